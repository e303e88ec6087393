package problem

import (
	"net/http"
	"net/url"

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
	failed := srv.Errors.WithError(asErrorRoutesSeeIt(r), err)
	if routesHandle(srv.Errors.Routes, failed, make(map[string]struct{})) {
		return true
	}
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).DeleteByPrefix("http.error")
	return false
}

// asErrorRoutesSeeIt copies r as Caddy restores it before it runs error routes.
func asErrorRoutesSeeIt(r *http.Request) *http.Request {
	restored := *r
	if orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		u := new(url.URL)
		*u = *orig.URL
		restored.Method, restored.RequestURI, restored.URL = orig.Method, orig.RequestURI, u
	}
	return &restored
}

// routesHandle walks routes as Caddy would run them and reports whether a
// handler is reached. Subroutes are looked into, because the Caddyfile wraps
// the error routes of every site in one.
func routesHandle(routes caddyhttp.RouteList, r *http.Request, groups map[string]struct{}) bool {
	for _, route := range routes {
		if _, taken := groups[route.Group]; taken && route.Group != "" {
			continue
		}
		if matches, err := route.MatcherSets.AnyMatchWithError(r); err != nil {
			return true // Caddy will meet the same error; let it decide
		} else if !matches {
			continue
		}
		if route.Group != "" {
			groups[route.Group] = struct{}{}
		}
		for _, handler := range route.Handlers {
			subroute, ok := handler.(*caddyhttp.Subroute)
			if !ok || routesHandle(subroute.Routes, r, groups) {
				return true
			}
		}
		if route.Terminal {
			return false
		}
	}
	return false
}
