package downloadtoken

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// receive finds the token, takes it out of the request, and reads what else the
// request has to say.
func (v *visit) receive() (err error) {
	h, r := v.h, v.r
	v.judged, v.uri = h.now(), h.signedURI(r)
	v.text, v.source, err = token.Find(r, h.sources)
	v.answer.Asked.RawQuery = r.URL.RawQuery
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if ok {
		v.answer.Asked.URL = *original.URL
	}
	h.strip(r)
	if ok {
		v.answer.Asked.Path = original.URL.Path
	}
	if v.passes = h.Optional && err == token.ErrMissing && (onlyReads(r.Method) || !h.writable()); v.passes {
		if h.writable() {
			response.Confine(r) // no other method may hide in it
		}
		return nil
	}
	response.Confine(r)
	if err == nil && h.Confirm != nil && r.Method == http.MethodPost {
		if v.press, err = confirm.ReadForm(v.w, r); err == nil && v.hasWaited() && h.app.Superseded() {
			err = errReloaded
		}
	}
	return err
}

// pass lets a request without a token through as it is. What is served for it may be
// different from what a token opens at the same URL.
func (v *visit) pass(next caddyhttp.Handler) error {
	outcomePassed.Inc()
	v.placeholders()
	v.h.answers.Vary(v.w.Header())
	return next.ServeHTTP(v.w, v.r)
}

// strip takes the token out of the request, and out of the copy of the original
// request that Caddy restores for error routes and uses for {http.request.orig_uri}.
func (h *Handler) strip(r *http.Request) {
	if h.Forward {
		return
	}
	token.Strip(r, h.sources)
	stripReferences(r.Header, h.sources)
	orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || orig.URL == nil {
		return
	}
	asked := orig.RequestURI
	token.Strip(&orig, h.sources)
	if orig.RequestURI == asked {
		return
	}
	// The URL is shared by all copies of the original request; its request line
	// is not, so the copy in the context has to be replaced, and in place: Caddy
	// looks it up in the request it started with, which is normally this one.
	// If an earlier handler has copied the request, placeholders and error routes
	// still look at the one it was made from.
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.request.orig_uri", orig.RequestURI)
	*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, orig))
}
