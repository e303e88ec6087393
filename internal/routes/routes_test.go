package routes

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// TestLeaves: all names are those of Caddy's handlers.
func TestLeaves(t *testing.T) {
	for _, name := range leaving {
		if _, err := caddy.GetModule("http.handlers." + name); err != nil || !Leaves(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if Leaves("file_server") || Leaves("") {
		t.Error("what answers is taken to leave it to others")
	}
}

// on is a route of which match says whether it is entered, with handlers that are
// static responses: their bodies name them, and ! ends the request.
func on(match string, handlers ...caddyhttp.MiddlewareHandler) caddyhttp.Route {
	return caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{{match}}, Handlers: handlers}
}

func say(body string) caddyhttp.MiddlewareHandler { return &caddyhttp.StaticResponse{Body: body} }

func sub(routes ...caddyhttp.Route) caddyhttp.MiddlewareHandler {
	return &caddyhttp.Subroute{Routes: routes}
}

func within(group string, route caddyhttp.Route) caddyhttp.Route {
	route.Group = group
	return route
}

func last(route caddyhttp.Route) caddyhttp.Route {
	route.Terminal = true
	return route
}

func TestWalk(t *testing.T) {
	named := map[string]*caddyhttp.Route{
		"loop": {MatcherSets: caddyhttp.MatcherSets{{"surely"}}, Handlers: []caddyhttp.MiddlewareHandler{say("l"), &caddyhttp.Invoke{Name: "loop"}}},
		"end":  {MatcherSets: caddyhttp.MatcherSets{{"surely"}}, Handlers: []caddyhttp.MiddlewareHandler{say("e!")}},
	}
	for name, c := range map[string]struct {
		routes caddyhttp.RouteList
		seen   string // handlers, in the order in which they are reached
		surely string // has happened behind the list
		ends   bool
	}{
		"nothing":                         {nil, "", "", false},
		"in order":                        {caddyhttp.RouteList{on("surely", say("a"), say("b")), on("surely", say("c"))}, "abc", "abc", false},
		"never":                           {caddyhttp.RouteList{on("never", say("a!")), on("surely", say("b"))}, "b", "b", false},
		"an end":                          {caddyhttp.RouteList{on("surely", say("a!"), say("b")), on("surely", say("c"))}, "a", "a", true},
		"a terminal route":                {caddyhttp.RouteList{last(on("surely", say("a"))), on("surely", say("b"))}, "a", "a", true},
		"maybe an end":                    {caddyhttp.RouteList{on("maybe", say("a!")), on("surely", say("b"))}, "ab", "b", false},
		"maybe a terminal route":          {caddyhttp.RouteList{last(on("maybe", say("a"))), on("surely", say("b"))}, "ab", "b", false},
		"a subroute":                      {caddyhttp.RouteList{on("surely", say("a"), sub(on("surely", say("b"))), say("c"))}, "abc", "abc", false},
		"an empty subroute":               {caddyhttp.RouteList{on("surely", sub(), say("a"))}, "a", "a", false},
		"an end in a subroute":            {caddyhttp.RouteList{on("surely", sub(on("surely", say("a!"))), say("b"))}, "a", "a", true},
		"one of a group":                  {caddyhttp.RouteList{within("g", on("surely", say("a"))), within("g", on("surely", say("b"))), within("h", on("surely", say("c")))}, "ac", "ac", false},
		"a group whose first is not":      {caddyhttp.RouteList{within("g", on("never", say("a"))), within("g", on("surely", say("b")))}, "b", "b", false},
		"a group whose first may be":      {caddyhttp.RouteList{within("g", on("maybe", say("a"))), within("g", on("surely", say("b")))}, "ab", "b", false},
		"a group beyond subroutes":        {caddyhttp.RouteList{on("surely", sub(within("g", on("surely", say("a"))))), within("g", on("surely", say("b")))}, "a", "a", false},
		"a named route":                   {caddyhttp.RouteList{on("surely", &caddyhttp.Invoke{Name: "end"}, say("b"))}, "e", "e", true},
		"a named route that is not there": {caddyhttp.RouteList{on("surely", &caddyhttp.Invoke{Name: "none"}, say("b"))}, "?b", "?b", false},
		"a named route without end":       {caddyhttp.RouteList{on("surely", &caddyhttp.Invoke{Name: "loop"})}, strings.Repeat("l", maxDepth) + "?", strings.Repeat("l", maxDepth) + "?", false},
	} {
		t.Run(name, func(t *testing.T) {
			var seen string
			walk := Walk[string]{
				Named: named,
				Enter: func(route *caddyhttp.Route, before string) (string, Match) {
					return before, Match(slices.Index([]string{"never", "maybe", "surely"}, route.MatcherSets[0][0].(string)))
				},
				Handle: func(handler caddyhttp.MiddlewareHandler, before string) (string, bool) {
					said, ends := "?", false
					if h, ok := handler.(*caddyhttp.StaticResponse); ok {
						said, ends = strings.CutSuffix(h.Body, "!")
					}
					seen += said
					return before + said, ends
				},
			}
			surely, ends := walk.Routes(c.routes, "")
			if seen != c.seen || surely != c.surely || ends != c.ends {
				t.Errorf("saw %q, surely %q, ends %v", seen, surely, ends)
			}
		})
	}
}
