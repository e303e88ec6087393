package downloadtoken

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/internal/routes"
)

// warnOfErrorRoutes looks through the servers for error routes that would hand out
// the very file that was refused: Caddy runs them without this handler and with the
// URL as it was before every rewrite, so a file_server there serves it. It cannot be
// an error, since a path or a status that cannot be seen here may keep the two apart.
func warnOfErrorRoutes(ctx caddy.Context, logger *zap.Logger) {
	for name, srv := range serversOf(ctx) {
		if srv.Errors != nil && handsOutRefused(srv) {
			logger.Warn("handle_errors has a file_server that serves the file which download_token has refused, because there the URL is the one "+
				"that was asked for; write respond instead, or a rewrite to an error page in front of it, such as: "+
				"rewrite * /{err.status_code}.html", zap.String("server", name))
		}
	}
}

// serversOf are the HTTP servers of the configuration, by name.
func serversOf(ctx caddy.Context) map[string]*caddyhttp.Server {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	if app, ok := app.(*caddyhttp.App); ok {
		return app.Servers
	}
	return nil
}

// eachHandler hands over the handlers of a server, in its routes and named routes, each
// with the hosts whose requests may come to it; "" is any.
func eachHandler(srv *caddyhttp.Server, do func(handler caddyhttp.MiddlewareHandler, hosts []string)) {
	look := routes.Walk[[]string]{
		Enter: func(route *caddyhttp.Route, hosts []string) ([]string, routes.Match) {
			return hostsOf(route, hosts), routes.Maybe
		},
		Handle: func(handler caddyhttp.MiddlewareHandler, hosts []string) ([]string, bool) {
			do(handler, hosts)
			return hosts, false
		},
	}
	look.Routes(srv.Routes, []string{""})
	for _, named := range srv.NamedRoutes { // whichever route may invoke them
		look.Routes(caddyhttp.RouteList{*named}, []string{""})
	}
}

// attempt is a request that a download_token handler of the server may refuse.
type attempt struct {
	host   string // of the request; empty: any
	status int
}

// handsOutRefused reports whether, as far as can be told without a request, a
// refused one can get its file from an error route.
func handsOutRefused(srv *caddyhttp.Server) bool {
	attempts := make(map[attempt]bool)
	var roots []string // of the files that are guarded
	eachHandler(srv, func(handler caddyhttp.MiddlewareHandler, hosts []string) {
		if h, ok := handler.(*Handler); ok {
			for _, host := range hosts {
				for _, d := range denials {
					attempts[attempt{host, h.refusals[d].status}] = true
				}
			}
		} else if root := settingOf(handler, "root"); root != "" {
			roots = append(roots, root)
		}
	})
	for attempt := range attempts {
		if attempt.mayBeServed(srv, roots) {
			return true
		}
	}
	return false
}

// errorWay is what has surely happened before a handler of an error route.
type errorWay struct {
	rewritten bool
	root      string // empty: as it was
}

// mayBeServed reports whether an error route may serve the file all the same.
func (f attempt) mayBeServed(srv *caddyhttp.Server, roots []string) (found bool) {
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		return true
	}
	r.Host = f.host
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, srv)
	r = srv.Errors.WithError(r, caddyhttp.Error(f.status, errScope))
	walk := routes.Walk[errorWay]{
		Named: srv.NamedRoutes,
		Enter: func(route *caddyhttp.Route, way errorWay) (errorWay, routes.Match) { return way, f.match(route, r) },
		Handle: func(handler caddyhttp.MiddlewareHandler, way errorWay) (errorWay, bool) {
			root := settingOf(handler, "root")
			switch caddy.GetModuleName(handler) {
			case "rewrite":
				uri := settingOf(handler, "uri")
				way.rewritten = way.rewritten || uri != "" && !strings.HasPrefix(uri, "?")
			case "vars":
				way.root = cmp.Or(root, way.root)
			case "file_server":
				if root == "" || root == "{http.vars.root}" {
					root = way.root
				}
				found = found || !way.rewritten && (root == "" || slices.Contains(roots, root))
				return way, true
			case "static_response", "error":
				return way, true
			}
			return way, false
		},
	}
	walk.Routes(srv.Errors.Routes, errorWay{})
	return found
}

// match says whether the refusal enters the route.
func (f attempt) match(route *caddyhttp.Route, r *http.Request) routes.Match {
	if len(route.MatcherSets) == 0 {
		return routes.Surely
	}
	for _, set := range route.MatcherSets {
		if !slices.ContainsFunc(set, func(matcher any) bool { return f.excludedBy(matcher, r) }) {
			return routes.Maybe
		}
	}
	return routes.Never
}

// excludedBy asks what a matcher says about the status or the host, and leaves
// everything else open.
func (f attempt) excludedBy(matcher any, r *http.Request) bool {
	switch m := matcher.(type) {
	case *caddyhttp.MatchExpression:
		if !strings.Contains(m.Expr, "http.error.status_code") {
			return false
		}
	case *caddyhttp.MatchHost:
		if f.host == "" {
			return false
		}
	default:
		return false
	}
	matches, err := caddyhttp.MatcherSet{matcher}.MatchWithError(r)
	return err == nil && !matches
}

// hostsOf are the hosts that the route is for, those of what is around it if it
// does not say. One that is only known by a request is empty.
func hostsOf(route *caddyhttp.Route, around []string) []string {
	var hosts []string
	for _, set := range route.MatcherSets {
		named := len(hosts)
		for _, matcher := range set {
			if m, ok := matcher.(*caddyhttp.MatchHost); ok {
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
	for i, host := range hosts {
		if strings.ContainsAny(host, "*{") {
			hosts[i] = ""
		}
	}
	return hosts
}

// settingOf reads a setting of a handler that is a text, by its name in JSON, so
// that the handler's package need not be linked in.
func settingOf(handler any, name string) string {
	switch caddy.GetModuleID(handler) {
	case "http.handlers.file_server", "http.handlers.vars", "http.handlers.rewrite", "http.handlers.download_token_upload":
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
