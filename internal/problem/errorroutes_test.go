package problem

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// failing is a matcher that cannot tell.
type failing struct{}

func (failing) MatchWithError(*http.Request) (bool, error) { return false, errors.New("cannot tell") }

// TestHasErrorRoute: the request was for /a.txt, and is for /inner/a.txt by now.
func TestHasErrorRoute(t *testing.T) {
	on := func(matcher any, handlers ...caddyhttp.MiddlewareHandler) caddyhttp.Route {
		return caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{{matcher}}, Handlers: handlers}
	}
	always := func(handlers ...caddyhttp.MiddlewareHandler) caddyhttp.Route {
		return caddyhttp.Route{Handlers: handlers}
	}
	answer, prepare := new(caddyhttp.StaticResponse), new(caddyhttp.VarsMiddleware)
	terminal := on(caddyhttp.MatchPath{"/a.txt"}, prepare)
	terminal.Terminal = true
	first, second := always(prepare), always(answer)
	first.Group, second.Group = "g", "g"
	named := map[string]*caddyhttp.Route{
		"answers":  {Handlers: []caddyhttp.MiddlewareHandler{answer}},
		"prepares": {Handlers: []caddyhttp.MiddlewareHandler{prepare}},
	}
	for name, c := range map[string]struct {
		routes caddyhttp.RouteList
		want   bool
	}{
		"none":                      {nil, false},
		"an answer":                 {caddyhttp.RouteList{always(answer)}, true},
		"nothing that answers":      {caddyhttp.RouteList{always(prepare)}, false},
		"prepared and answered":     {caddyhttp.RouteList{always(prepare), always(answer)}, true},
		"in a subroute":             {caddyhttp.RouteList{always(&caddyhttp.Subroute{Routes: caddyhttp.RouteList{always(answer)}})}, true},
		"an empty subroute":         {caddyhttp.RouteList{always(new(caddyhttp.Subroute))}, false},
		"for the original path":     {caddyhttp.RouteList{on(caddyhttp.MatchPath{"/a.txt"}, answer)}, true},
		"for the rewritten path":    {caddyhttp.RouteList{on(caddyhttp.MatchPath{"/inner/a.txt"}, answer)}, false},
		"behind a terminal route":   {caddyhttp.RouteList{terminal, always(answer)}, false},
		"the second of a group":     {caddyhttp.RouteList{first, second}, false},
		"a matcher that fails":      {caddyhttp.RouteList{on(failing{}), always(prepare)}, true},
		"a named route":             {caddyhttp.RouteList{always(&caddyhttp.Invoke{Name: "answers"})}, true},
		"a named one that prepares": {caddyhttp.RouteList{always(&caddyhttp.Invoke{Name: "prepares"})}, false},
		"a named one that is none":  {caddyhttp.RouteList{always(&caddyhttp.Invoke{Name: "none"})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &caddyhttp.Server{NamedRoutes: named, Errors: &caddyhttp.HTTPErrorConfig{Routes: c.routes}}
			repl := caddy.NewReplacer()
			r := caddyhttp.PrepareRequest(httptest.NewRequest(http.MethodGet, "/a.txt", nil), repl, httptest.NewRecorder(), srv)
			r.URL.Path, r.RequestURI = "/inner/a.txt", "/inner/a.txt"
			if got := HasErrorRoute(r, caddyhttp.Error(http.StatusForbidden, errors.New("refused"))); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if r.URL.Path != "/inner/a.txt" || r.RequestURI != "/inner/a.txt" {
				t.Errorf("the request is left for %s", r.URL)
			}
			if _, left := repl.Get("http.error.status_code"); left && !c.want {
				t.Error("an error is left in the placeholders")
			}
		})
	}
}
