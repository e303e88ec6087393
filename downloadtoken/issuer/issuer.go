package issuer

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
)

func init() {
	caddy.RegisterModule(Issuer{})
}

// Issuer makes download tokens and takes them back. It stands behind what
// authenticates the user, and answers every request itself:
//
// POST makes a token. The claims are those configured, then the nonce claim if
// there is one, `iat`, with a fraction then, and `exp` in whole seconds. The answer is
// JSON (`token`, `expires_in`, `expires_at` and, if configured, `link`) or, for
// `Accept: application/vnd.collection+json`, the document that ChRIS clients read.
// Location names the URL that revokes the token; it does not contain the token. A
// body is ignored; over 64 KiB it is refused.
//
// DELETE revokes a token: either with the token itself in the query parameter
// `download_token` or `token`, or by the URL that Location named and as the same
// user. It is answered with 204, also if the token was used or has expired, and
// the revocation holds from the next request on, until an hour after `exp`.
//
// OPTIONS is answered with 204, so that CORS needs no more than `header`. Other
// methods are refused.
//
// Refusals are problem details (RFC 9457), or errors if the server has an error
// route for them: 400 if something is missing that the token must say, 401 without
// a user, 404 for a token that is not known here or is another user's, 405,
// 413, 422 if a value is not the UUID that it must be, or would make a path
// that no link can open, 503 if the store cannot keep a revocation. Every answer has `Cache-Control: no-store` and
// `Referrer-Policy: no-referrer`.
//
// It does not limit how many tokens a user makes; put a rate limit in front.
type Issuer struct {
	// The key that signs. Required.
	Key *SigningKey `json:"key,omitempty"`

	// How long a token lives, in whole seconds. Required.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// The claim that gets a random UUID, so that the token can be used once:
	// `jti`, or what the verifying side is configured for. Default: none.
	OneTime string `json:"one_time,omitempty"`

	// What else the tokens say.
	Claim []Claim `json:"claim,omitempty"`

	// Who the user is; placeholders are replaced. Without one, and without
	// `anonymous`, nothing is made. If it is a header, such as
	// `{http.request.header.Remote-User}` behind forward_auth, make sure that
	// clients cannot set it. Default: `{http.auth.user.id}`.
	User string `json:"user,omitempty"`

	// Make tokens without a user too. For public data only. Default: false.
	Anonymous bool `json:"anonymous,omitempty"`

	// Values that must be UUIDs, such as `{http.regexp.dataset.1}`; anything else
	// is refused with 422. Default: none.
	RequireUUID []string `json:"require_uuid,omitempty"`

	// The link for the answer. `{token}` stands for the token; the values of other
	// placeholders are percent-encoded. Default: none.
	Link string `json:"link,omitempty"`

	// The status code of the answer with the token, 200 to 299. Default: 201.
	Status int `json:"status,omitempty"`

	// The store that revocations are kept in: that of the download_token
	// directives that accept the tokens. Default: `default`.
	Store string `json:"store,omitempty"`

	logger  *zap.Logger
	now     func() time.Time
	minter  *minter
	sealer  *sealer
	link    *link
	own     *token.Verifier // of what our own key has signed
	revoker revoker
}

// CaddyModule returns the Caddy module information.
func (Issuer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.download_token_issuer",
		New: func() caddy.Module { return new(Issuer) },
	}
}

// ServeHTTP answers the request. The next handler is never asked.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	x := &exchange{w: w, r: r, repl: repl, user: repl.ReplaceAll(i.User, ""), now: i.now()}
	switch r.Method {
	case http.MethodPost:
		return i.issue(x)
	case http.MethodDelete:
		return i.revoke(x)
	case http.MethodOptions:
		header.Set("Allow", allowed)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return i.deny(x, refusedMethod, nil)
}

// exchange is one request, and the answer to it.
type exchange struct {
	w          http.ResponseWriter
	r          *http.Request
	repl       *caddy.Replacer
	user       string // "" if not known
	now        time.Time
	holdsToken bool // in the URL
}

// issued counts the tokens of all issuers.
var issued = metrics.Counter("issued_total", "Tokens made by download_token_issuer.")

// maxBody bounds what is read and ignored.
const maxBody = 64 << 10

// issue makes a token.
func (i *Issuer) issue(x *exchange) error {
	if x.user == "" && !i.Anonymous {
		return i.deny(x, refusedAnonymous, nil)
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(x.w, x.r.Body, maxBody)); err != nil {
		return i.deny(x, refusedBody, nil)
	}
	for _, value := range i.RequireUUID {
		if !scope.IsUUID(x.repl.ReplaceAll(value, "")) {
			return i.deny(x, refusedUUID, nil)
		}
	}
	m, err := i.minter.mint(x.repl, x.now)
	if errors.Is(err, scope.ErrPath) {
		return i.deny(x, refusedPath, err)
	}
	if errors.Is(err, errClaim) || errors.Is(err, token.ErrTooLarge) {
		return i.deny(x, refusedClaim, err)
	}
	if err != nil {
		return i.deny(x, refusedInternal, err)
	}
	var url string
	if i.link != nil {
		if url, err = i.link.fill(x.repl, m.text); err != nil {
			return i.deny(x, refusedClaim, err)
		}
		if err = scope.CheckLink(url); err != nil {
			return i.deny(x, refusedPath, err)
		}
	}
	issued.Inc()
	i.logger.Info("token minted",
		zap.String("fingerprint", m.fingerprint.String()),
		zap.Time("expires", m.expires),
		zap.String("client_ip", problem.ClientIP(x.r)))
	return i.answer(x, m, url)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Issuer)(nil)
	_ caddyhttp.MiddlewareHandler = (*Issuer)(nil)
)
