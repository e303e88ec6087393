// Package routes knows how Caddy goes through routes: which handlers leave the
// answer to others, and where a list of routes may lead.
package routes

import (
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Leaves reports whether the handler of that name only prepares an answer, and
// always leaves it to those behind it.
func Leaves(name string) bool { return slices.Contains(leaving, name) }

var leaving = []string{
	"encode", "headers", "intercept", "log_append", "map", "push", "request_body", "rewrite", "templates", "tracing",
	"vars", // root, too
}

// Match says whether a request enters a route.
type Match int

// Maybe is for what cannot be known without a request.
const (
	Never Match = iota
	Maybe
	Surely
)

// Walk follows routes as Caddy runs them. S is what has surely happened so far.
type Walk[S any] struct {
	Named map[string]*caddyhttp.Route

	// Enter returns what is known inside a route, and whether it is entered.
	Enter func(route *caddyhttp.Route, before S) (S, Match)

	// Handle returns what has happened behind a handler, and whether the request
	// ends with it.
	Handle func(handler caddyhttp.MiddlewareHandler, before S) (after S, ends bool)

	taken []string // groups
	depth int      // of named routes, which may invoke each other
}

// maxDepth ends what never would.
const maxDepth = 10

// Routes returns what has surely happened behind the list, and whether nothing
// behind it is reached.
func (w *Walk[S]) Routes(list caddyhttp.RouteList, s S) (after S, ends bool) {
	for i := range list {
		route := &list[i]
		if slices.Contains(w.taken, route.Group) {
			continue
		}
		inside, match := w.Enter(route, s)
		if match == Never {
			continue
		}
		if match == Surely && route.Group != "" {
			w.taken = append(w.taken, route.Group)
		}
		inside, ends := w.handlers(route.Handlers, inside)
		if match == Surely {
			if s = inside; ends || route.Terminal {
				return s, true
			}
		}
	}
	return s, false
}

func (w *Walk[S]) handlers(handlers []caddyhttp.MiddlewareHandler, s S) (after S, ends bool) {
	for _, handler := range handlers {
		if s, ends = w.handler(handler, s); ends {
			return s, true
		}
	}
	return s, false
}

// handler looks into subroutes, because the Caddyfile wraps the routes of every
// site in one, and into named routes.
func (w *Walk[S]) handler(handler caddyhttp.MiddlewareHandler, s S) (after S, ends bool) {
	switch h := handler.(type) {
	case *caddyhttp.Subroute:
		return w.Routes(h.Routes, s)
	case *caddyhttp.Invoke:
		if named, ok := w.Named[h.Name]; ok && w.depth < maxDepth {
			w.depth++
			defer func() { w.depth-- }()
			return w.Routes(caddyhttp.RouteList{*named}, s)
		}
	}
	return w.Handle(handler, s)
}
