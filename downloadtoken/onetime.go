package downloadtoken

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// oneTime is [OneTime], ready for use.
type oneTime struct {
	claims    []string
	onRequest bool // spend when authorised, not when served
	uses      int
	usesClaim string
	perPath   bool
	leeway    time.Duration
	maxTTL    time.Duration
	resume    *Resume
}

// policy names the way in which nonces become keys of the store. Whoever
// changes it makes everything spent before unreadable, so the store has to know.
func (o *oneTime) policy() string {
	per := "token"
	if o.perPath {
		per = "path"
	}
	return per + " " + strings.Join(o.claims, " ")
}

// present turns a verified token into what the store is asked about.
func (o *oneTime) present(v *visit, judged string) (nonce.Presentation, error) {
	value, err := v.token.Claims.Nonce(o.claims...)
	if err != nil {
		return nonce.Presentation{}, err
	}
	v.nonce = value
	uses, err := o.usesOf(&v.token.Claims)
	if err != nil {
		return nonce.Presentation{}, err
	}
	path := ""
	if o.perPath {
		// file_server may serve a file under both spellings
		path = "/" + strings.Trim(judged, "/")
	}
	signer := nonce.Signer(v.token.Key.Fingerprint())
	return nonce.Presentation{
		Key:     nonce.NewKey(signer, v.token.Claims.Issuer, value, path),
		Signer:  signer,
		Expires: v.token.Claims.ExpiresAt,
		Issued:  v.token.Claims.IssuedAt,
		Leeway:  o.leeway,
		MaxTTL:  o.maxTTL,
		Uses:    uses,
		Policy:  o.policy(),
	}, nil
}

// once serves a request with a one-time token: reserve, serve, and commit when
// the first byte is about to go out, or release.
func (h *Handler) once(v *visit, store HeldStore, next caddyhttp.Handler) error {
	presentation, err := h.oneTime.present(v, h.PathPrefix+v.path)
	if err != nil {
		return h.deny(v, err)
	}
	asks := h.asks(v)
	dropUnresumable(v.r.Header, h.oneTime.resume != nil)
	grantKey := h.oneTime.grantKey(presentation.Key, v)
	grant, resumes := h.oneTime.findGrant(store, grantKey, v.now)

	ctx := v.r.Context()
	if v.r.Method == http.MethodHead {
		if !resumes {
			if err := store.Look(ctx, presentation, v.now); err != nil {
				return h.deny(v, err)
			}
		}
		h.publish(v)
		return h.deliver(v, next)
	}
	if err := unasked(v.r); err != nil {
		return h.deny(v, err)
	}
	if resumes {
		return h.resume(v, grant, next)
	}
	if asks {
		if err := store.Look(ctx, presentation, v.now); err != nil {
			return h.deny(v, err)
		}
		h.publish(v)
		return h.ask(v, next)
	}

	reserved, err := store.Reserve(ctx, presentation, v.now)
	if err != nil {
		return h.deny(v, err)
	}
	s := &spending{store: store, reserved: reserved, spent: func() { h.logSpent(v) }}
	defer s.release() // in a defer: a panic must not leave the nonce reserved
	if h.oneTime.onRequest {
		if err := s.commit(ctx); err != nil {
			return h.deny(v, err)
		}
	}
	h.publish(v)
	d := h.newDelivery(v)
	d.spending = s
	if h.oneTime.resume != nil {
		d.opener = &opener{grants: store.Grants(), key: grantKey, resume: h.oneTime.resume}
		defer d.opener.leave()
	}
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
		zap.String("client_ip", clientIP(v.r)))
}

// spending is a reserved nonce on its way to being spent or released.
type spending struct {
	store     nonce.Store
	reserved  nonce.Reservation
	spent     func() // told once, after a successful commit
	committed bool
}

// commit spends the nonce, durably where the store is durable.
func (s *spending) commit(ctx context.Context) error {
	if s.committed {
		return nil
	}
	// A client that goes away while the store is at work must not leave it
	// half done.
	if err := s.store.Commit(context.WithoutCancel(ctx), s.reserved); err != nil {
		return err
	}
	s.committed = true
	s.spent()
	return nil
}

// release gives the nonce back if it was not spent.
func (s *spending) release() {
	if !s.committed {
		s.store.Release(s.reserved)
	}
}
