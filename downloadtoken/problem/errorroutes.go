package problem

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// HasErrorRoute reports whether one of the server's error routes would handle
// err for this request. Caddy runs all error routes for any error and answers
// with an empty body if none of them matches, so whether to return the error or
// to answer oneself has to be found out for each request.
func HasErrorRoute(r *http.Request, err error) bool {
	srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || srv == nil || srv.Errors == nil || len(srv.Errors.Routes) == 0 {
		return false
	}
	// Placeholders in matchers look at the live request, so it is made to look as
	// Caddy restores it before it runs error routes, and put back afterwards.
	method, uri, url := r.Method, r.RequestURI, *r.URL
	if orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		r.Method, r.RequestURI, *r.URL = orig.Method, orig.RequestURI, *orig.URL
	}
	defer func() { r.Method, r.RequestURI, *r.URL = method, uri, url }()

	failed := srv.Errors.WithError(r, err)
	if reached, _ := walk(srv.Errors.Routes, failed, make(map[string]struct{})); reached {
		return true
	}
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).DeleteByPrefix("http.error")
	return false
}

// walk goes through routes as Caddy would run them, and reports whether a
// handler that can answer is reached, and whether the walk ends there because a
// route is terminal. Subroutes are looked into, because the Caddyfile wraps the
// error routes of every site in one.
func walk(routes caddyhttp.RouteList, r *http.Request, groups map[string]struct{}) (reached, ends bool) {
	for _, route := range routes {
		if _, taken := groups[route.Group]; taken && route.Group != "" {
			continue
		}
		if matches, err := route.MatcherSets.AnyMatchWithError(r); err != nil {
			return true, true // Caddy will meet the same error; let it decide
		} else if !matches {
			continue
		}
		if route.Group != "" {
			groups[route.Group] = struct{}{}
		}
		for _, handler := range route.Handlers {
			if subroute, ok := handler.(*caddyhttp.Subroute); ok {
				if reached, ends := walk(subroute.Routes, r, groups); reached || ends {
					return reached, true
				}
			} else if !passesOn[caddy.GetModuleID(handler)] {
				return true, true
			}
		}
		if route.Terminal {
			return false, true
		}
	}
	return false, false
}

// passesOn are the handlers that prepare an answer and leave it to others.
var passesOn = map[string]bool{
	"http.handlers.vars":       true, // root, too
	"http.handlers.headers":    true,
	"http.handlers.rewrite":    true,
	"http.handlers.map":        true,
	"http.handlers.log_append": true,
	"http.handlers.encode":     true,
	"http.handlers.templates":  true,
	"http.handlers.intercept":  true,
	"http.handlers.tracing":    true,
}
