package downloadtoken

import (
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
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
	leeway    time.Duration
	maxTTL    time.Duration
	resume    *Resume
}

// patience is how long a request waits for others that use the same token.
const patience = 2 * time.Second

// query turns a verified token into what the store is asked about.
func (o *oneTime) query(v *visit) (store.Query, error) {
	judged := v.h.PathPrefix + v.path
	p, err := o.present(v, judged)
	if err != nil {
		return store.Query{}, err
	}
	v.keys = o.grantKeys(p.Key, v, judged)
	return store.Query{Presentation: p, Revocable: v.revocable, Grants: v.keys.list(), Patience: patience}, nil
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
	return rules.Presentation{
		Key:     rules.NewKey(signer, v.token.Claims.Issuer, value, path),
		Signer:  signer,
		Expires: v.token.Claims.ExpiresAt,
		Issued:  v.token.Claims.IssuedAt,
		Leeway:  o.leeway,
		MaxTTL:  o.maxTTL,
		Uses:    uses,
		Policy:  o.policy,
	}, nil
}
