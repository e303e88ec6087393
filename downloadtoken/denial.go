package downloadtoken

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
)

// Refusals that are decided in this package; the others are sentinels of
// packages token, scope and nonce.
var (
	errMethod   = errors.New("method is not one of those that pass")
	errRequest  = errors.New("request is ambiguous, or not one for this method")
	errScope    = errors.New("no scope of the token opens this path")
	errClientIP = errors.New("token is bound to another client address")
	errPrefetch = errors.New("a browser asks ahead of its user")
	errEarly    = errors.New("request is early data and could be a replay")
	errReloaded = errors.New("the configuration was replaced while the request waited")
	errSoon     = errors.New("token is valid in a moment")

	errCrossOrigin = errors.New("a browser sends the token along with a request of another site")
)

// denial is one way to be refused: one row of the table in which reason,
// status and codes meet.
type denial struct {
	err    error  // what it is recognised by
	reason string // exact: log, metric, placeholder
	status int    // unless configured otherwise
	told   told   // coarse: all that the client learns
	oauth  string // error code of RFC 6750 section 3.1; "" for a bare challenge or none
}

// denials is in the order in which the checks are made.
var denials = []*denial{
	{token.ErrMissing, "missing", http.StatusUnauthorized, toldMissing, ""},
	{token.ErrAmbiguous, "ambiguous", http.StatusBadRequest, toldMalformed, "invalid_request"},
	{token.ErrTooLarge, "too_large", http.StatusBadRequest, toldMalformed, "invalid_request"},
	{token.ErrMalformed, "malformed", http.StatusUnauthorized, toldMalformed, "invalid_token"},
	{token.ErrCritical, "critical", http.StatusUnauthorized, toldMalformed, "invalid_token"},
	{cdni.ErrCritical, "critical", http.StatusUnauthorized, toldMalformed, "invalid_token"},
	{token.ErrUnknownKey, "unknown_key", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrAlgorithm, "algorithm", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrSignature, "signature", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrClaim, "claim", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrExpired, "expired", http.StatusUnauthorized, toldExpired, "invalid_token"},
	{errSoon, "not_yet_valid", http.StatusUnauthorized, toldSoon, "invalid_token"},
	{token.ErrNotYetValid, "not_yet_valid", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrIssuer, "issuer", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrAudience, "audience", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrHeaderTyp, "header_typ", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{token.ErrTooLongLived, "too_long_lived", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{cdni.ErrVersion, "version", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{cdni.ErrSubject, "subject", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{cdni.ErrRenewal, "renewal", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{errMethod, "method", http.StatusMethodNotAllowed, toldMethod, ""},
	{errCrossOrigin, "cross_origin", http.StatusForbidden, toldForbidden, ""},
	{confirm.ErrUnconfirmed, "unconfirmed", http.StatusForbidden, toldUnconfirmed, ""},
	{scope.ErrPath, "bad_path", http.StatusBadRequest, toldMalformed, "invalid_request"},
	{errRequest, "bad_request", http.StatusBadRequest, toldMalformed, "invalid_request"},
	{errScope, "scope", http.StatusForbidden, toldForbidden, "insufficient_scope"},
	{cdni.ErrContainer, "scope", http.StatusForbidden, toldForbidden, "insufficient_scope"},
	{errClientIP, "client_ip", http.StatusForbidden, toldForbidden, "insufficient_scope"},
	{cdni.ErrClientIP, "client_ip", http.StatusForbidden, toldForbidden, "insufficient_scope"},
	{rules.ErrRevoked, "revoked", http.StatusUnauthorized, toldInvalid, "invalid_token"},
	{errPrefetch, "prefetch", http.StatusServiceUnavailable, toldPrefetch, ""},
	{errEarly, "early_data", http.StatusTooEarly, toldEarly, ""},
	{rules.ErrReplayed, "replayed", http.StatusUnauthorized, toldUsed, "invalid_token"},
	{rules.ErrUnproven, "unproven", http.StatusUnauthorized, toldUnproven, "invalid_token"},
	{rules.ErrBudget, "budget", http.StatusUnauthorized, toldBudget, "invalid_token"},
	{rules.ErrInUse, "in_use", http.StatusServiceUnavailable, toldInUse, ""},
	{errReloaded, "reloaded", http.StatusServiceUnavailable, toldReloaded, ""},
	unavailable,
}

// unavailable is also the answer to an error that the table does not know:
// whatever went wrong, the request is refused.
var unavailable = &denial{rules.ErrUnavailable, "store_unavailable", http.StatusServiceUnavailable, toldUnavailable, ""}

// detailOf is what err says beyond its reason, such as which claim is missing, or
// which rule a path breaks. It is for the log, and holds no token, key or value of a
// claim: it stands behind the text of the sentinel, where the refusal is made.
func (d *denial) detailOf(err error) string {
	detail, _ := strings.CutPrefix(err.Error(), d.err.Error())
	return token.Redact(strings.TrimPrefix(detail, ": "))
}

// departed reports whether the reason is only that the client has gone, so that
// the wait for a store, a key or a moment to come was broken off: no failure.
func (d *denial) departed(r *http.Request) bool {
	if !errors.Is(r.Context().Err(), context.Canceled) {
		return false
	}
	return d == unavailable || d.err == rules.ErrInUse || d.err == errSoon || d.err == token.ErrUnknownKey
}

// denialOf finds the row for err.
func denialOf(err error) *denial {
	for _, d := range denials {
		if errors.Is(err, d.err) {
			return d
		}
	}
	return unavailable
}

// Reasons lists the exact reasons for which a request can be refused, as they
// appear in the log, in the metric, in `{http.download_token.reason}`, and as
// arguments of `status`. The client is told less.
func Reasons() []string {
	reasons := make([]string, 0, len(denials))
	for _, d := range denials {
		reasons = append(reasons, d.reason)
	}
	return slices.Compact(reasons)
}

// statusesOf turns the configured status codes into a table; a code given with
// reasons wins over one without.
func statusesOf(configured []Status) map[*denial]int {
	statuses := make(map[*denial]int)
	for _, d := range denials {
		for _, s := range configured {
			switch {
			case slices.Contains(s.Reason, d.reason):
				statuses[d] = s.Code
			case len(s.Reason) > 0, d.status != http.StatusUnauthorized && d.status != http.StatusForbidden:
			case statuses[d] == 0:
				statuses[d] = s.Code
			}
		}
	}
	return statuses
}

// told is what a refused client is told: a word for programs, which has texts for
// people in package confirm. It is coarse so that trials do not show which key, claim
// or address a token would need.
type told string

const (
	toldMissing     told = "missing"
	toldMalformed   told = "malformed"
	toldInvalid     told = "invalid"
	toldExpired     told = "expired"
	toldForbidden   told = "forbidden"
	toldUsed        told = "used"
	toldUnproven    told = "unproven"
	toldSoon        told = "not_yet_valid"
	toldBudget      told = "used_up"
	toldPrefetch    told = "prefetch"
	toldEarly       told = "early_data"
	toldInUse       told = "in_use"
	toldReloaded    told = "reloaded"
	toldUnconfirmed told = "unconfirmed"
	toldMethod      told = "method"
	toldUnavailable told = "unavailable"
)
