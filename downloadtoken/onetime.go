package downloadtoken

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
)

// oneTime is [OneTime], ready for use.
type oneTime struct {
	claims    []string
	onRequest bool // spend when authorised, not when served
	uses      int
	usesClaim string
	perPath   bool
	index     []string // files that count as their folder
	policy    string   // see policyOf
	chains    bool     // tokens may be renewed, see renewal.go
	leeway    time.Duration
	maxTTL    time.Duration
	resume    *Resume
}

// prepare sets the defaults and checks what belongs together.
func (o *OneTime) prepare(c *verification.Config) (*oneTime, error) {
	if len(o.Claim) == 0 {
		o.Claim = []string{"jti", "nonce"}
	}
	if o.Spend == "" {
		o.Spend = "response"
	}
	if o.Per == "" {
		o.Per = "token"
	}
	if o.Uses == 0 {
		o.Uses = 1
		if o.UsesClaim != "" {
			o.Uses = defaultUsesCap
		}
	}
	switch {
	case o.Spend != "response" && o.Spend != "request":
		return nil, fmt.Errorf("one_time: spend is response or request, not '%s'", o.Spend)
	case o.Per != "token" && o.Per != "path":
		return nil, fmt.Errorf("one_time: per is token or path, not '%s'", o.Per)
	case o.Uses < 1 || o.Uses > maxUses:
		return nil, fmt.Errorf("one_time: uses must be between 1 and %d, not %d", maxUses, o.Uses)
	case c.MaxTTL == 0 && !trust.Requires(c, "iat") && !o.profiled: // a store refuses them as unproven
		return nil, errors.New("one_time: after a restart, a token without iat can be told from a used one only by its exp; " +
			"add max_ttl (such as: max_ttl 10m), or require iat")
	}
	if err := o.prepareIndex(); err != nil {
		return nil, err
	}
	if err := o.Resume.prepare(); err != nil {
		return nil, err
	}
	maxTTL := time.Duration(c.MaxTTL)
	if maxTTL > 0 {
		maxTTL += token.MaxTTLSlack // as far ahead as the exp of an accepted token can be
	}
	return &oneTime{
		resume:    o.Resume,
		claims:    o.Claim,
		onRequest: o.Spend == "request",
		uses:      o.Uses,
		usesClaim: o.UsesClaim,
		perPath:   o.Per == "path",
		index:     o.Index,
		policy:    policyOf(o),
		leeway:    time.Duration(c.Leeway),
		maxTTL:    maxTTL,
	}, nil
}

// prepare sets the defaults and checks them. r may be nil.
func (r *Resume) prepare() error {
	if r == nil {
		return nil
	}
	if r.Copies == 0 {
		r.Copies = 2
	}
	if r.Window < caddy.Duration(time.Second) {
		return errors.New("one_time: resume needs a window of at least 1s, such as: resume 1h")
	}
	if r.Copies < 1 || r.Copies > maxCopies {
		return fmt.Errorf("one_time: resume takes 1 to %d copies, not %d", maxCopies, r.Copies)
	}
	if r.PastExp && r.Window > caddy.Duration(maxPastExp) {
		return fmt.Errorf("one_time: resume with past_exp takes a window of 30d at most, not %v, because only the window ends a grant; "+
			"make it as long as the slowest download takes", time.Duration(r.Window))
	}
	return nil
}

// maxPastExp bounds the window of `past_exp`: without it, exp does.
const maxPastExp = 30 * 24 * time.Hour

// maxCopies bounds the copies of `resume`; more than that is what `uses` is for.
const maxCopies = 100

// maxUses bounds `uses`; a token for more is not a one-time token any more.
const maxUses = 1000

// defaultUsesCap is the most that a claim can ask for unless configured.
const defaultUsesCap = 100

// patience is how long a request waits for others that use the same token.
const patience = 2 * time.Second

// query turns a verified token into what the store is asked about.
func (o *oneTime) query(v *visit) (store.Query, error) {
	judged := v.h.PathPrefix + v.path
	p, err := o.present(v, judged)
	if err != nil {
		return store.Query{}, err
	}
	if !v.writes { // what can be continued is a download
		v.keys = o.grantKeys(p.Key, v, judged)
	}
	return store.Query{Presentation: p, Fingerprint: v.fingerprint, Revocable: v.revocable, Grants: v.keys.list(), Patience: patience}, nil
}

// present says what the store has to know of the token.
func (o *oneTime) present(v *visit, judged string) (rules.Presentation, error) {
	value, err := v.token.Claims.Nonce(o.claims...)
	if err != nil {
		return rules.Presentation{}, err
	}
	v.nonce = value
	uses, err := o.usesOf(&v.token.Claims)
	if err != nil {
		return rules.Presentation{}, err
	}
	path := ""
	if o.perPath {
		path = o.counted(judged)
	}
	signer := rules.Signer(v.token.Key.Fingerprint())
	p := rules.Presentation{
		Key:     rules.NewKey(signer, v.token.Claims.Issuer, value, path),
		Signer:  signer,
		Expires: v.token.Claims.ExpiresAt,
		Issued:  v.token.Claims.IssuedAt,
		Leeway:  o.leeway,
		MaxTTL:  o.maxTTL,
		Uses:    uses,
		Policy:  o.policy,
	}
	if o.chains {
		v.prolong(&p)
	}
	return p, nil
}
