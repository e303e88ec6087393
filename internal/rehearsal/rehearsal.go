// Package rehearsal finds out what would become of a request, by a configuration
// that is not running. Caddy takes the request through its routes, and each
// download_token directive on the way is asked what it would say.
//
// It leaves no trace: nothing is started, no port is opened, no network is used,
// and no store is asked.
package rehearsal

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// Request is what a client would send.
type Request struct {
	Method   string
	URL      *url.URL // absolute
	Header   http.Header
	ClientIP string // without a port

	// Meet is called with each directive that the request comes to, and the request as
	// it is then, before it is asked. Default: not at all.
	Meet func(h *downloadtoken.Handler, r *http.Request)

	// Token is put where the first directive looks first, unless the request has one
	// there. It may be empty.
	Token string
}

// Rehearsal is what would become of a request. It is what the command line prints
// as JSON.
type Rehearsal struct {
	Method string `json:"method"`
	Host   string `json:"host"`
	Path   string `json:"path"`

	// Verdict is [Passed], [Refused] or [Unjudged].
	Verdict string `json:"verdict"`

	// Server is the one of the configuration whose routes were followed, "" if it
	// has none.
	Server string `json:"server"`

	// Assumed names the handlers that might have answered before, and are taken
	// to let the request pass.
	Assumed []string `json:"assumed,omitzero"`

	// Checks are the directives that the request came to.
	Checks []Check `json:"checks,omitzero"`

	// AnsweredBy is the handler that would answer, if no directive refuses.
	AnsweredBy string `json:"answered_by,omitzero"`
}

// The verdicts of all directives together. Unjudged means that the request came to
// none.
const (
	Passed   = "passed"
	Refused  = "refused"
	Unjudged = "unjudged"
)

// Run follows a request through the routes of a configuration in JSON.
func Run(config []byte, asked Request) (*Rehearsal, error) {
	var c struct {
		Apps struct {
			HTTP          caddyhttp.App   `json:"http"`
			DownloadToken json.RawMessage `json:"download_token"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	ctx, closeContext, err := newContext(c.Apps.DownloadToken)
	if err != nil {
		return nil, err
	}
	defer closeContext()

	found := &Rehearsal{Method: asked.Method, Host: asked.URL.Host, Path: asked.URL.Path, Verdict: Unjudged}
	for _, name := range candidates(c.Apps.HTTP.Servers, asked.URL) {
		r, err := asked.arrive()
		if err != nil {
			return nil, err
		}
		server := c.Apps.HTTP.Servers[name]
		found.Server, found.Assumed, found.AnsweredBy = name, nil, ""
		s := stage{ctx: ctx, named: server.NamedRoutes, text: asked.Token, meet: asked.Meet, found: found}
		if err := s.run(server.Routes, make(nowhere), r, behindAll); err != nil {
			return nil, fmt.Errorf("server %s: %w", name, err)
		}
		if n := len(found.Checks); n > 0 {
			found.Verdict = Passed
			if found.Checks[n-1].Reason != "" {
				found.Verdict = Refused
			}
			break
		}
	}
	return found, nil
}

// newContext makes surroundings in which modules can be provisioned, and no more:
// the configuration's own would open log files, start health checks, make
// certificates and reach for its storage.
func newContext(app json.RawMessage) (caddy.Context, func(), error) {
	dir, err := os.MkdirTemp("", "download-token-inspect-")
	if err != nil {
		return caddy.Context{}, nil, err
	}
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": dir})
	if err != nil {
		return caddy.Context{}, nil, err
	}
	if app == nil {
		app = json.RawMessage("{}")
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
			caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "WARN"}}, // to standard error
		}},
		StorageRaw: storage,
		AppsRaw:    caddy.ModuleMap{"download_token": app},
	})
	if err != nil {
		os.RemoveAll(dir)
		return caddy.Context{}, nil, fmt.Errorf("the configuration is not valid: %w", err)
	}
	inner, cancel := caddy.NewContext(ctx)
	return inner, func() { cancel(); os.RemoveAll(dir) }, nil
}

// candidates names the servers that listen on the port of the address, or, if
// none does (there may be a proxy in front), all of them.
func candidates(servers map[string]*caddyhttp.Server, u *url.URL) []string {
	text := u.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	port, _ := strconv.ParseUint(text, 10, 16)
	all := slices.Sorted(maps.Keys(servers))
	listening := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return !slices.ContainsFunc(servers[name].Listen, func(listen string) bool {
			addr, err := caddy.ParseNetworkAddress(listen)
			return err == nil && addr.StartPort <= uint(port) && uint(port) <= addr.EndPort
		})
	})
	if len(listening) == 0 {
		return all
	}
	return listening
}

// arrive makes the request as a server would get it.
func (asked *Request) arrive() (*http.Request, error) {
	u := asked.URL
	r, err := http.NewRequest(asked.Method, u.RequestURI(), nil)
	if err != nil {
		return nil, errors.New("--method or --url cannot be used in a request") // the error quotes the address
	}
	r.Host = u.Host
	r.RequestURI = u.RequestURI()
	r.RemoteAddr = net.JoinHostPort(asked.ClientIP, "1")
	r.Header = asked.Header.Clone()
	if u.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: u.Hostname()}
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), make(nowhere), new(caddyhttp.Server)), nil
}

// nowhere is a response that is thrown away.
type nowhere http.Header

func (n nowhere) Header() http.Header             { return http.Header(n) }
func (nowhere) Write(content []byte) (int, error) { return len(content), nil }
func (nowhere) WriteHeader(int)                   {}

// behindAll is what comes behind the last route.
var behindAll = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
