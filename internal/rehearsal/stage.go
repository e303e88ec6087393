package rehearsal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/internal/routes"
)

// stage is where a request is rehearsed: Caddy itself takes it through the routes,
// but every handler is played by an understudy. Only matchers, download_token, and
// the handlers that may change what others match are real, and they are provisioned
// only when the request comes to them; all others are known by their names, and
// never made.
type stage struct {
	ctx     caddy.Context
	named   map[string]*caddyhttp.Route
	text    string // the token, until it is in the request
	meet    func(h *downloadtoken.Handler, r *http.Request)
	found   *Rehearsal
	invoked int
}

// maxInvoked ends named routes that invoke themselves.
const maxInvoked = 100

var errInvoked = errors.New("routes are nested too deeply; does a named route invoke itself?")

// changing are the handlers whose effect on the request is part of the rehearsal.
var changing = map[string]bool{"vars": true, "rewrite": true, "map": true, "headers": true}

// answering are those that always answer.
var answering = map[string]bool{
	"static_response": true, "error": true, "acme_server": true, "metrics": true,
	"download_token_issuer": true,
}

// run takes the request through routes, and to next unless they end it.
func (s *stage) run(list caddyhttp.RouteList, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	for i := range list {
		route := &list[i]
		for _, raw := range route.HandlersRaw {
			route.Handlers = append(route.Handlers, understudy{s, raw})
		}
		route.HandlersRaw = nil
		if err := route.Provision(s.ctx, nil); err != nil {
			return err
		}
	}
	return list.Compile(next).ServeHTTP(w, r)
}

// understudy stands in for a handler of the configuration.
type understudy struct {
	stage *stage
	raw   json.RawMessage
}

// settings are what has to be known of a handler without provisioning it.
type settings struct {
	Routes         caddyhttp.RouteList `json:"routes"`          // of subroute
	Name           string              `json:"name"`            // of invoke
	PassThru       bool                `json:"pass_thru"`       // of file_server
	HandleResponse []json.RawMessage   `json:"handle_response"` // of reverse_proxy; forward_auth has it
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (u understudy) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	var named struct {
		Handler string `json:"handler"`
	}
	if err := json.Unmarshal(u.raw, &named); err != nil {
		return err
	}
	var of settings
	switch named.Handler {
	case "subroute", "invoke", "file_server", "reverse_proxy":
		if err := json.Unmarshal(u.raw, &of); err != nil {
			return err
		}
	}
	s := u.stage
	switch name := named.Handler; {
	case name == "download_token", changing[name]:
		handler, err := s.provision(u.raw)
		if err != nil {
			return err
		}
		h, ok := handler.(*downloadtoken.Handler)
		if !ok {
			return handler.ServeHTTP(w, r, next)
		}
		if s.meet != nil {
			s.meet(h, r)
		}
		carry(r, h.From, s.text)
		s.text = ""
		said := ask(h, r)
		if s.found.Checks = append(s.found.Checks, said); said.Reason != "" {
			return nil
		}
	case name == "subroute":
		return s.run(of.Routes, w, r, next)
	case name == "invoke":
		route, ok := s.named[of.Name]
		if !ok {
			return fmt.Errorf("named route %s does not exist", of.Name)
		}
		if s.invoked++; s.invoked > maxInvoked {
			return errInvoked
		}
		return s.run(caddyhttp.RouteList{*route}, w, r, next)
	case name == "download_token_upload": // with its page, or with what it stores
		if s.found.AnsweredBy = name; r.Method == http.MethodPut || r.Method == http.MethodPost {
			return nil
		}
	case answering[name], name == "file_server" && !of.PassThru, name == "reverse_proxy" && len(of.HandleResponse) == 0:
		s.found.AnsweredBy = name
		return nil
	case !routes.Leaves(name) && name != "file_server":
		s.found.Assumed = append(s.found.Assumed, name)
	}
	return next.ServeHTTP(w, r)
}

// provision makes the handler of a configuration.
func (s *stage) provision(raw json.RawMessage) (caddyhttp.MiddlewareHandler, error) {
	route := caddyhttp.Route{HandlersRaw: []json.RawMessage{raw}}
	if err := route.ProvisionHandlers(s.ctx, nil); err != nil {
		return nil, err
	}
	return route.Handlers[0], nil
}
