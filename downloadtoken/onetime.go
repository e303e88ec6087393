package downloadtoken

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/problem"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
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
func (o *oneTime) query(v *visit, judged string) (store.Query, error) {
	p, err := o.present(v, judged)
	if err != nil {
		return store.Query{}, err
	}
	v.grants = o.grantKeys(p.Key, v, judged)
	return store.Query{Presentation: p, Grants: v.grants.list(), Patience: patience}, nil
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

// once serves a request with a one-time token: admit it, serve, and commit when
// the first byte is about to go out, or release.
func (h *Handler) once(v *visit, next caddyhttp.Handler) error {
	q, err := h.oneTime.query(v, h.PathPrefix+v.path)
	if err != nil {
		return h.deny(v, err)
	}
	q.Revocable = func() rules.Revocable { return h.revocable(v) }
	asks := h.asks(v)
	dropUnresumable(v.r.Header, h.oneTime.resume != nil)
	ctx := v.r.Context()

	if v.r.Method == http.MethodHead {
		if _, err = h.store.Look(ctx, q, h.now); err == nil {
			err = h.again(v)
		}
		if err != nil {
			return h.deny(v, err)
		}
		h.publish(v)
		return h.deliver(v, next)
	}
	if err := unasked(v.r); err != nil {
		return h.deny(v, err)
	}
	if asks || v.unpressed {
		joins, err := h.store.Look(ctx, q, h.now)
		if err == nil {
			err = h.again(v)
		}
		if err == nil && v.unpressed && !joins {
			err = errUnconfirmed
		}
		if err != nil {
			return h.deny(v, err)
		}
		if !joins {
			h.publish(v)
			return h.ask(v, next)
		}
	}

	use, err := h.store.Admit(ctx, q, h.now)
	if err != nil {
		return h.deny(v, err)
	}
	defer use.Release() // in a defer: a panic must not leave the nonce reserved
	err = h.again(v)
	switch grant := use.Grant(); {
	case err != nil:
	case grant != nil && !grant.Terms().IsOpen(v.now):
		err = rules.ErrReplayed // its window has ended meanwhile
	case grant != nil:
		h.publish(v)
		return h.resume(v, grant, next)
	case asks, v.unpressed:
		err = errUnconfirmed // the grant has just ended
	}
	if err != nil {
		return h.deny(v, err)
	}
	return h.spend(v, use, next)
}

// spend serves a request that uses the token.
func (h *Handler) spend(v *visit, use store.Use, next caddyhttp.Handler) error {
	s := &spending{use: use, spent: func() { h.logSpent(v) }}
	if h.oneTime.onRequest {
		if _, err := s.commit(v.r.Context(), nil); err != nil {
			return h.deny(v, err)
		}
	}
	h.publish(v)
	d := h.newDelivery(v)
	d.spending = s
	return d.serve(next)
}

// dropUnresumable takes out of the request what would make parts that do not
// belong together, or a part that spends the whole.
func dropUnresumable(header http.Header, resume bool) {
	header.Del("Accept-Encoding") // it is chosen anew for every request
	if !resume || strings.Contains(header.Get("Range"), ",") || len(header.Values("Range")) > 1 {
		header.Del("Range")
		header.Del("If-Range")
	}
}

// logSpent writes the line that says when and for what a token was used.
func (h *Handler) logSpent(v *visit) {
	h.logger.Info("token spent",
		zap.String("fingerprint", v.fingerprint.String()),
		zap.String("path", token.Redact(v.path)),
		zap.String("client_ip", problem.ClientIP(v.r)))
}

// spending is a reserved nonce on its way to being spent or released.
type spending struct {
	use       store.Use
	spent     func() // told once, after a successful commit
	committed bool
}

// commit spends the nonce, durably where the store is durable, and opens a grant
// if there are terms for one.
func (s *spending) commit(ctx context.Context, terms *rules.Terms) (store.Grant, error) {
	if s.committed && terms == nil {
		return nil, nil
	}
	// A client that goes away while the store is at work must not leave it
	// half done.
	grant, err := s.use.Commit(context.WithoutCancel(ctx), terms)
	if err != nil {
		return nil, err
	}
	if !s.committed {
		s.committed = true
		s.spent()
	}
	return grant, nil
}
