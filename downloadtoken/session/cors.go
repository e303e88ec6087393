package session

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// allowed are the methods of [Session], for Allow and for preflights.
const allowed = "PUT, DELETE, OPTIONS"

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

// checkOrigin refuses what browsers never send as an origin (RFC 6454 section
// 6.2), because it would never match.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || origin != strings.ToLower(u.Scheme+"://"+u.Host) {
		return errors.New("origin: '" + origin + "' is not an origin; write scheme, host and port if it is not the usual one, " +
			"in lower case and without a slash at the end, such as https://app.example.com")
	}
	return nil
}
