package downloadtoken

import (
	"context"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// original is what the client asked for, kept for the canonical redirect.
type original struct {
	url      url.URL // as received, before any rewrite, with the token
	rawQuery string  // the query as it reached this handler, with the token
}

// rememberOriginal keeps what [Handler.strip] is about to change.
func (v *visit) rememberOriginal() {
	v.original.rawQuery = v.r.URL.RawQuery
	if orig, ok := v.r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		v.original.url = *orig.URL
	}
}

// strip takes the token out of the request, and out of the copy of the original
// request that Caddy restores for error routes and uses for {http.request.orig_uri};
// and, whoever sees the request next, what asks for more than this one answer.
func (h *Handler) strip(r *http.Request) {
	confine(r)
	if h.Forward {
		return
	}
	token.Strip(r, h.sources)
	orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || orig.URL == nil {
		return
	}
	stripped := token.StripURI(orig.RequestURI, h.queryNames)
	if stripped == orig.RequestURI {
		return
	}
	// The URL is shared by all copies of the original request; its request line
	// is not, so the copy in the context has to be replaced, and in place: Caddy
	// looks it up in the request it started with, which is normally this one.
	orig.URL.RawQuery = token.StripQuery(orig.URL.RawQuery, h.queryNames)
	orig.RequestURI = stripped
	// If an earlier handler has copied the request, placeholders and error routes
	// still look at the one it was made from.
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.request.orig_uri", stripped)
	*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, orig))
}
