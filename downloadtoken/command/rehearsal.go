package command

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// rehearsal is what would become of a request.
type rehearsal struct {
	Method string `json:"method"`
	Host   string `json:"host"`
	Path   string `json:"path"`

	// Verdict is passed, refused or unjudged.
	Verdict string `json:"verdict"`

	// Server is the one of the configuration whose routes were followed.
	Server string `json:"server"`

	// Assumed names the handlers that might have answered before, and are taken
	// to let the request pass.
	Assumed []string `json:"assumed,omitzero"`

	// Checks are the directives that the request came to.
	Checks []check `json:"checks,omitzero"`

	// AnsweredBy is the handler that would answer, if no directive refuses.
	AnsweredBy string `json:"answered_by,omitzero"`
}

const (
	verdictPassed   = "passed"
	verdictRefused  = "refused"
	verdictUnjudged = "unjudged"
)

// rehearse follows the request through the routes of a configuration.
func rehearse(o inspectOptions, text string) (*rehearsal, error) {
	u, err := o.check(text)
	if err != nil {
		return nil, err
	}
	encoded, _, _, err := caddycmd.LoadConfig(o.config, o.adapter)
	if err != nil {
		return nil, err
	}
	if encoded == nil {
		return nil, errors.New("--config is missing, and there is no Caddyfile in this folder")
	}
	var c struct {
		Apps struct {
			HTTP          caddyhttp.App   `json:"http"`
			DownloadToken json.RawMessage `json:"download_token"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(encoded, &c); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	ctx, closeContext, err := newContext(c.Apps.DownloadToken)
	if err != nil {
		return nil, err
	}
	defer closeContext()

	if held, _ := tokenIn(u); held != "" {
		text = "" // it is where it is, and that may be the reason why it is refused
	}
	found := &rehearsal{Method: o.method, Host: u.Host, Path: u.Path, Verdict: verdictUnjudged}
	for _, name := range candidates(c.Apps.HTTP.Servers, u) {
		r, err := newRequest(o, u)
		if err != nil {
			return nil, err
		}
		server := c.Apps.HTTP.Servers[name]
		found.Server, found.Assumed, found.AnsweredBy = name, nil, ""
		s := stage{ctx: ctx, named: server.NamedRoutes, text: text, found: found}
		if err := s.run(server.Routes, make(nowhere), r, nobody); err != nil {
			return nil, fmt.Errorf("server %s: %w", name, err)
		}
		if n := len(found.Checks); n > 0 {
			found.Verdict = verdictPassed
			if found.Checks[n-1].Reason != "" {
				found.Verdict = verdictRefused
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

// newRequest makes the request as a server would get it.
func newRequest(o inspectOptions, u *url.URL) (*http.Request, error) {
	r, err := http.NewRequest(o.method, u.RequestURI(), nil)
	if err != nil {
		return nil, errors.New("--method or --url cannot be used in a request") // the error quotes the address
	}
	r.Host = u.Host
	r.RequestURI = u.RequestURI()
	r.RemoteAddr = net.JoinHostPort(o.clientIP, "1")
	for _, field := range o.header {
		name, value, _ := strings.Cut(field, ":")
		r.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if u.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: u.Hostname()}
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), make(nowhere), new(caddyhttp.Server)), nil
}

// nowhere is a response that nobody reads.
type nowhere http.Header

func (n nowhere) Header() http.Header             { return http.Header(n) }
func (nowhere) Write(content []byte) (int, error) { return len(content), nil }
func (nowhere) WriteHeader(int)                   {}

// nobody is what comes behind the last route.
var nobody = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// write prints the rehearsal for people.
func (r *rehearsal) write(w io.Writer) {
	fmt.Fprintf(w, "Request %s %s%s\n", r.Method, r.Host, printable(r.Path))
	if r.Server == "" {
		fmt.Fprintln(w, "  The configuration has no HTTP server.")
		return
	}
	fmt.Fprintf(w, "  It comes to the server %s.\n", r.Server)
	for _, name := range r.Assumed {
		fmt.Fprintf(w, "  It is taken to be let pass by %s, which was not asked.\n", name)
	}
	for _, check := range r.Checks {
		check.write(w)
	}
	switch {
	case r.Verdict == verdictRefused:
	case r.Verdict == verdictUnjudged && r.AnsweredBy == "":
		fmt.Fprintln(w, "  No route of the server has a handler for it.")
	case r.Verdict == verdictUnjudged:
		fmt.Fprintf(w, "  It is answered by %s, without a token being asked for.\n", r.AnsweredBy)
	case r.AnsweredBy == "":
		fmt.Fprintln(w, "  No handler behind it would answer.")
	default:
		fmt.Fprintf(w, "  It is answered by %s.\n", r.AnsweredBy)
	}
}
