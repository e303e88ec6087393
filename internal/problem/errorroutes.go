package problem

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/internal/routes"
)

// ErrorRoutes are the error routes of the server that has taken the request. nil: none.
func ErrorRoutes(r *http.Request) caddyhttp.RouteList {
	srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || srv == nil || srv.Errors == nil {
		return nil
	}
	return srv.Errors.Routes
}

// HasErrorRoute reports whether one of the server's error routes would handle
// err for this request. Caddy runs all error routes for any error and answers
// with an empty body if none of them matches, so whether to return the error or
// to answer oneself has to be found out for each request.
func HasErrorRoute(r *http.Request, err error) bool {
	if len(ErrorRoutes(r)) == 0 {
		return false
	}
	srv := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	// Placeholders in matchers look at the live request, so it is made to look as
	// Caddy restores it before it runs error routes, and put back afterwards.
	method, uri, url := r.Method, r.RequestURI, *r.URL
	if orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		r.Method, r.RequestURI, *r.URL = orig.Method, orig.RequestURI, *orig.URL
	}
	defer func() { r.Method, r.RequestURI, *r.URL = method, uri, url }()

	failed := srv.Errors.WithError(r, err)
	walk := routes.Walk[bool]{
		Named: srv.NamedRoutes,
		Enter: func(route *caddyhttp.Route, answered bool) (bool, routes.Match) {
			matches, err := route.MatcherSets.AnyMatchWithError(failed)
			if err != nil {
				return true, routes.Surely // Caddy will meet the same error; let it decide
			}
			if !matches {
				return answered, routes.Never
			}
			return answered, routes.Surely
		},
		Handle: func(handler caddyhttp.MiddlewareHandler, answered bool) (bool, bool) {
			answered = answered || !routes.Leaves(strings.TrimPrefix(caddy.GetModuleID(handler), "http.handlers."))
			return answered, answered
		},
	}
	if answered, _ := walk.Routes(srv.Errors.Routes, false); answered {
		return true
	}
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).DeleteByPrefix("http.error")
	return false
}
