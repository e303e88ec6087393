package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-download-token/caddy-download-token/internal/rehearsal"
)

// rehearse finds out what would become of the request that the options describe.
func rehearse(o inspectOptions, text string) (*rehearsal.Rehearsal, error) {
	asked, err := o.request(text)
	if err != nil {
		return nil, err
	}
	config, err := loadConfig(o.config, o.adapter)
	if err != nil {
		return nil, err
	}
	return rehearsal.Run(config, asked)
}

// loadConfig reads a configuration, of an adjacent Caddyfile by default, as JSON.
func loadConfig(file, adapter string) ([]byte, error) {
	config, _, _, err := caddycmd.LoadConfig(file, adapter)
	if err == nil && config == nil {
		err = errors.New("--config is missing, and there is no Caddyfile in this folder")
	}
	return config, err
}

// request refuses options that cannot be made into a request.
func (o *inspectOptions) request(text string) (asked rehearsal.Request, err error) {
	asked = rehearsal.Request{Method: o.method, Header: make(http.Header), ClientIP: o.clientIP, Token: text}
	if asked.URL, err = parseLink(o.url); err != nil {
		return asked, err
	}
	switch inURL, err := tokenIn(asked.URL); {
	case err != nil:
		return asked, err
	case inURL == text:
		asked.Token = "" // it is where it is, and that may be the reason why it is refused
	case inURL != "":
		return asked, errors.New("--url holds another token than the one to inspect")
	}
	if _, err := netip.ParseAddr(o.clientIP); err != nil {
		return asked, errors.New("--client-ip: write an IP address, such as 192.0.2.1")
	}
	for _, field := range o.header {
		name, value, ok := strings.Cut(field, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return asked, errors.New("--header: write 'Name: value'") // it may hold a token
		}
		asked.Header.Add(name, strings.TrimSpace(value))
	}
	return asked, nil
}

// writeRehearsal prints a rehearsal for people.
func writeRehearsal(w io.Writer, r *rehearsal.Rehearsal) {
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
		writeCheck(w, check)
	}
	switch {
	case r.Verdict == rehearsal.Refused:
	case r.Verdict == rehearsal.Unjudged && r.AnsweredBy == "":
		fmt.Fprintln(w, "  No route of the server has a handler for it.")
	case r.Verdict == rehearsal.Unjudged:
		fmt.Fprintf(w, "  It is answered by %s, without a token being asked for.\n", r.AnsweredBy)
	case r.AnsweredBy == "":
		fmt.Fprintln(w, "  No handler behind it would answer.")
	default:
		fmt.Fprintf(w, "  It is answered by %s.\n", r.AnsweredBy)
	}
}

func writeCheck(w io.Writer, c rehearsal.Check) {
	switch {
	case c.Reason == "" && c.OneTime:
		fmt.Fprintln(w, "  It would be let through by download_token, and its nonce would be reserved, if the store")
		fmt.Fprintln(w, "  can tell that it was not used before. The store was not asked.")
	case c.Reason == "":
		fmt.Fprintln(w, "  It would be let through by download_token.")
	case c.Step == 0:
		fmt.Fprintf(w, "  It would be refused by download_token (%s): %s.\n", c.Reason, c.Detail)
	default:
		fmt.Fprintf(w, "  It would be refused by download_token (%s) at step %d, %s: %s.\n", c.Reason, c.Step, c.StepName(), c.Detail)
		fmt.Fprintf(w, "  %s\n", c.Remedy)
	}
	if c.URISigning != "" {
		fmt.Fprintf(w, "  The code of RFC 9246 is %s.\n", c.URISigning)
	}
}
