package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// walker takes a request through routes as Caddy would, and provisions only what
// it meets: matchers, download_token, and the handlers that may change what others
// match. All other handlers are known by their names, and never run.
type walker struct {
	ctx     caddy.Context
	named   map[string]*caddyhttp.Route
	request *http.Request
	text    string // the token, until it is in the request
	groups  map[string]struct{}
	depth   int

	assumed    []string
	checks     []check
	answeredBy string
}

// maxDepth ends named routes that invoke themselves.
const maxDepth = 100

var errDepth = errors.New("routes are nested too deeply; does a named route invoke itself?")

// changing are the handlers whose effect on the request is part of the rehearsal.
var changing = map[string]bool{"vars": true, "rewrite": true, "map": true, "headers": true}

// harmless are those that never answer by themselves.
var harmless = map[string]bool{
	"encode": true, "intercept": true, "log_append": true, "push": true, "request_body": true,
	"templates": true, "tracing": true, "copy_response": true, "copy_response_headers": true,
}

// answering are those that always do.
var answering = map[string]bool{
	"static_response": true, "error": true, "acme_server": true, "metrics": true,
	"download_token_issuer": true,
}

// routes reports whether the request has come to its end.
func (w *walker) routes(routes caddyhttp.RouteList) (done bool, err error) {
	if w.depth++; w.depth > maxDepth {
		return true, errDepth
	}
	defer func() { w.depth-- }()
	for i := range routes {
		if done, err := w.route(&routes[i]); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

func (w *walker) route(route *caddyhttp.Route) (done bool, err error) {
	if _, taken := w.groups[route.Group]; taken && route.Group != "" {
		return false, nil
	}
	if route.MatcherSetsRaw != nil {
		if err := route.ProvisionMatchers(w.ctx); err != nil {
			return false, err
		}
	}
	if matches, err := route.MatcherSets.AnyMatchWithError(w.request); err != nil || !matches {
		return false, err
	}
	if route.Group != "" {
		w.groups[route.Group] = struct{}{}
	}
	for _, raw := range route.HandlersRaw {
		if done, err := w.handler(raw); done || err != nil {
			return done, err
		}
	}
	return route.Terminal, nil
}

// settings are what has to be known of a handler without provisioning it.
type settings struct {
	Handler        string              `json:"handler"`
	Routes         caddyhttp.RouteList `json:"routes"`          // of subroute
	Name           string              `json:"name"`            // of invoke
	PassThru       bool                `json:"pass_thru"`       // of file_server
	HandleResponse []json.RawMessage   `json:"handle_response"` // of reverse_proxy; forward_auth has it
}

func (w *walker) handler(raw json.RawMessage) (done bool, err error) {
	var named struct {
		Handler string `json:"handler"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return false, err
	}
	var s settings
	switch named.Handler {
	case "subroute", "invoke", "file_server", "reverse_proxy":
		if err := json.Unmarshal(raw, &s); err != nil {
			return false, err
		}
	}
	switch name := named.Handler; {
	case name == "download_token":
		return w.ask(raw)
	case name == "subroute":
		return w.routes(s.Routes)
	case name == "invoke":
		route, ok := w.named[s.Name]
		if !ok {
			return false, fmt.Errorf("named route %s does not exist", s.Name)
		}
		return w.routes(caddyhttp.RouteList{*route})
	case changing[name]:
		handler, err := w.provision(raw)
		if err != nil {
			return false, err
		}
		return false, handler.ServeHTTP(make(nowhere), w.request, nobody)
	case answering[name], name == "file_server" && !s.PassThru, name == "reverse_proxy" && len(s.HandleResponse) == 0:
		w.answeredBy = name
		return true, nil
	case harmless[name], name == "file_server":
		return false, nil
	default:
		w.assumed = append(w.assumed, name)
		return false, nil
	}
}

// nobody is what comes behind a handler that is run for its effect on the request.
var nobody = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// provision makes the handler of a configuration.
func (w *walker) provision(raw json.RawMessage) (caddyhttp.MiddlewareHandler, error) {
	route := caddyhttp.Route{HandlersRaw: []json.RawMessage{raw}}
	if err := route.ProvisionHandlers(w.ctx, nil); err != nil {
		return nil, err
	}
	return route.Handlers[0], nil
}

// ask hands the request to a download_token directive.
func (w *walker) ask(raw json.RawMessage) (done bool, err error) {
	handler, err := w.provision(raw)
	if err != nil {
		return false, err
	}
	h, ok := handler.(*downloadtoken.Handler)
	if !ok {
		return false, fmt.Errorf("download_token is a %T", handler)
	}
	carry(w.request, h.From, w.text)
	w.text = ""
	reason, err := h.Explain(w.request)
	w.checks = append(w.checks, newCheck(h, reason, err))
	return reason != "", nil
}
