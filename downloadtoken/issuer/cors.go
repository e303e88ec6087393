package issuer

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// sessionMethods are the methods of [Session], for Allow and for preflights.
const sessionMethods = "PUT, DELETE, OPTIONS"

// admitOrigin reports whether a page of that origin may use the session, and says
// so to the browser (WHATWG Fetch, "CORS protocol"). A request without Origin comes
// from no page. The origin is echoed, never a pattern, because cookies are allowed
// for it.
//
// Browsers would not even send the request of a foreign page, because PUT and DELETE
// need a preflight; but an allowing proxy in front of us must not change that.
func (s *Session) admitOrigin(w http.ResponseWriter, r *http.Request) bool {
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if !slices.Contains(s.Origin, origin) {
		return isSameOrigin(origin, r)
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "PUT, DELETE")
		header.Set("Access-Control-Allow-Headers", "Content-Type")
		header.Set("Access-Control-Max-Age", "600")
	}
	return true
}

// isSameOrigin reports whether the origin is that of the request itself. Behind a
// proxy that ends TLS, Caddy does not know the scheme.
func isSameOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) && (r.TLS == nil || u.Scheme == "https")
}
