package downloadtoken

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// warnOfErrorRoutes looks through the servers for error routes that would hand out
// the very file that was refused: Caddy runs them without this handler and with the
// URL as it was before every rewrite, so a file_server there serves it. It cannot be
// an error, since a path or a status may keep the two apart that nobody can see here.
func warnOfErrorRoutes(ctx caddy.Context, logger *zap.Logger) {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	servers, ok := app.(*caddyhttp.App)
	if !ok {
		return
	}
	for name, srv := range servers.Servers {
		if srv.Errors != nil && handsOutRefused(srv) {
			logger.Warn("handle_errors has a file_server that serves the file which download_token has refused, because there the URL is the one "+
				"that was asked for; write respond instead, or a rewrite to an error page in front of it, such as: "+
				"rewrite * /{err.status_code}.html", zap.String("server", name))
		}
	}
}

// guarded is what one download_token handler refuses.
type guarded struct {
	hosts    []string // nil: all
	statuses []int
}

// handsOutRefused reports whether, as far as can be told without a request, a
// refused one can get its file from an error route.
func handsOutRefused(srv *caddyhttp.Server) bool {
	var guards []guarded
	var roots []string // of the files that are guarded
	look := func(handler any, hosts []string) {
		if h, ok := handler.(*Handler); ok {
			guards = append(guards, guarded{hosts, h.refusedWith()})
		} else if root := settingOf(handler, "root"); root != "" {
			roots = append(roots, root)
		}
	}
	eachHandler(srv.Routes, nil, look)
	for _, named := range srv.NamedRoutes {
		eachHandler(caddyhttp.RouteList{*named}, nil, look)
	}
	for _, guard := range guards {
		w := errorWalk{srv: srv, guard: guard, roots: roots}
		if w.routes(srv.Errors.Routes, errorWay{}); w.found {
			return true
		}
	}
	return false
}

// eachHandler calls look with every handler of the routes.
func eachHandler(routes caddyhttp.RouteList, hosts []string, look func(handler any, hosts []string)) {
	for _, route := range routes {
		within := hostsOf(route, hosts)
		for _, handler := range route.Handlers {
			if subroute, ok := handler.(*caddyhttp.Subroute); ok {
				eachHandler(subroute.Routes, within, look)
			} else {
				look(handler, within)
			}
		}
	}
}

// refusedWith are the status codes with which h refuses.
func (h *Handler) refusedWith() []int {
	var statuses []int
	for _, d := range denials {
		status := d.status
		if configured, ok := h.statuses[d]; ok {
			status = configured
		}
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}

// errorWalk goes through error routes as Caddy may run them for a refusal.
type errorWalk struct {
	srv   *caddyhttp.Server
	guard guarded
	roots []string
	found bool
}

// errorWay is what has surely happened before a handler is reached.
type errorWay struct {
	hosts     []string
	rewritten bool
	root      string // empty: as it was
	depth     int    // of named routes, which may invoke each other
}

// routes returns what has surely happened behind the list, and whether nothing
// behind it is reached.
func (w *errorWalk) routes(list caddyhttp.RouteList, way errorWay) (after errorWay, ends bool) {
	for _, route := range list {
		if !w.mayMatch(route) {
			continue
		}
		inside := way
		inside.hosts = hostsOf(route, way.hosts)
		inside, ends := w.handlers(route.Handlers, inside)
		if len(route.MatcherSets) == 0 {
			way = inside
			if ends || route.Terminal {
				return way, true
			}
		}
	}
	return way, false
}

func (w *errorWalk) handlers(handlers []caddyhttp.MiddlewareHandler, way errorWay) (after errorWay, ends bool) {
	for _, handler := range handlers {
		switch caddy.GetModuleID(handler) {
		case "http.handlers.subroute":
			if subroute, ok := handler.(*caddyhttp.Subroute); ok {
				way, ends = w.routes(subroute.Routes, way)
			}
		case "http.handlers.invoke":
			if named, ok := w.srv.NamedRoutes[settingOf(handler, "name")]; ok && way.depth < 10 {
				way.depth++
				way, ends = w.routes(caddyhttp.RouteList{*named}, way)
			}
		case "http.handlers.rewrite":
			uri := settingOf(handler, "uri")
			way.rewritten = way.rewritten || uri != "" && !strings.HasPrefix(uri, "?")
		case "http.handlers.vars":
			if root := settingOf(handler, "root"); root != "" {
				way.root = root
			}
		case "http.handlers.file_server":
			root := settingOf(handler, "root")
			if root == "" || root == "{http.vars.root}" {
				root = way.root
			}
			if !way.rewritten && (root == "" || slices.Contains(w.roots, root)) && meet(way.hosts, w.guard.hosts) {
				w.found = true
			}
			ends = true
		case "http.handlers.static_response", "http.handlers.error":
			ends = true
		}
		if ends {
			return way, true
		}
	}
	return way, false
}

// mayMatch reports whether the route can be meant for one of the refusals: what its
// matchers say about the status is asked, everything else is left open.
func (w *errorWalk) mayMatch(route caddyhttp.Route) bool {
	return len(route.MatcherSets) == 0 || slices.ContainsFunc(route.MatcherSets, func(set caddyhttp.MatcherSet) bool {
		for _, matcher := range set {
			if m, ok := matcher.(*caddyhttp.MatchExpression); ok && strings.Contains(m.Expr, "http.error.status_code") && !w.matchesAny(m) {
				return false
			}
		}
		return true
	})
}

func (w *errorWalk) matchesAny(m *caddyhttp.MatchExpression) bool {
	return slices.ContainsFunc(w.guard.statuses, func(status int) bool {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		if err != nil {
			return true
		}
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, w.srv)
		matches, err := m.MatchWithError(w.srv.Errors.WithError(r, caddyhttp.Error(status, errScope)))
		return matches || err != nil
	})
}

// hostsOf are the hosts that the route is for, those of what is around it if it
// does not say. nil: all.
func hostsOf(route caddyhttp.Route, around []string) []string {
	var hosts []string
	for _, set := range route.MatcherSets {
		named := len(hosts)
		for _, matcher := range set {
			switch m := matcher.(type) {
			case caddyhttp.MatchHost:
				hosts = append(hosts, m...)
			case *caddyhttp.MatchHost:
				hosts = append(hosts, *m...)
			}
		}
		if len(hosts) == named {
			return around
		}
	}
	if hosts == nil {
		return around
	}
	return hosts
}

// meet reports whether a request may be for both.
func meet(a, b []string) bool {
	return a == nil || b == nil || slices.ContainsFunc(a, func(host string) bool {
		return strings.ContainsAny(host, "*{") || slices.ContainsFunc(b, func(other string) bool {
			return strings.ContainsAny(other, "*{") || strings.EqualFold(host, other)
		})
	})
}

// settingOf reads a setting of a handler that is a text, by its name in JSON, so
// that the handler's package need not be linked in.
func settingOf(handler any, name string) string {
	switch caddy.GetModuleID(handler) {
	case "http.handlers.file_server", "http.handlers.vars", "http.handlers.rewrite", "http.handlers.invoke":
	default:
		return ""
	}
	encoded, err := json.Marshal(handler)
	if err != nil {
		return ""
	}
	var settings map[string]any
	if json.Unmarshal(encoded, &settings) != nil {
		return ""
	}
	text, _ := settings[name].(string)
	return text
}
