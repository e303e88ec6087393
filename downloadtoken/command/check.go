package command

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// check is what one directive would say.
type check struct {
	// Reason is empty if the request would be let through.
	Reason string `json:"reason"`

	// Step is where in the order of checks it would be refused.
	Step int `json:"step,omitzero"`

	// Detail says why, and Remedy what may help.
	Detail string `json:"detail,omitzero"`
	Remedy string `json:"remedy,omitzero"`

	// OneTime: the nonce would be reserved, if the store can vouch for it.
	OneTime bool `json:"one_time,omitzero"`
}

// steps are the checks in the order in which the directive makes them, with the
// reasons for which each refuses, and what to look at then.
var steps = []struct {
	name     string
	remedies map[string]string
}{
	{"finding the token", map[string]string{
		"missing":   "The directive looks in other places; compare its from lines with how the token is sent.",
		"ambiguous": "Send the token once.",
	}},
	{"its outer form", map[string]string{
		"too_large": "Put fewer or shorter claims into it.",
		"malformed": "It was damaged on its way, cut off perhaps, or its header or payload is not strict JSON.",
	}},
	{"the header", map[string]string{"critical": "Sign it without the header parameter crit."}},
	{"the key", map[string]string{
		"unknown_key": "Compare the header's kid with those of the key lines. A token without kid needs a key without one. Keys of a jwks address are not fetched here.",
		"algorithm":   "Compare the header's alg with the algorithms of the key lines.",
	}},
	{"the signature", map[string]string{"signature": "It was signed with another key, or changed since. Is the secret the same on both sides, byte by byte?"}},
	{"the claims", map[string]string{
		"claim":          "Compare the claims above with the require lines; exp is always needed, and for one use a nonce.",
		"expired":        "Make a new one. If it is young, compare the clocks, or allow for them with leeway.",
		"not_yet_valid":  "Compare the clocks; leeway allows for them. The iat of a one-time token must not lie in the future at all.",
		"issuer":         "Compare the claim iss with the issuer lines, also those inside key.",
		"audience":       "Compare the claim aud with the audience line. Without one, a token must not have an aud.",
		"header_typ":     "Compare the header's typ with the header_typ line.",
		"too_long_lived": "Compare exp less iat with max_ttl; make tokens that live shorter.",
	}},
	{"the method", map[string]string{"method": "Use GET or HEAD."}},
	{"the path and the scope", map[string]string{
		"bad_path": "Write the address without dot segments, double slashes, backslashes and encoded slashes.",
		"scope":    "Compare the claim scope above with the scope lines, and the path with what they make of it. Behind handle_path or strip_prefix it takes path_prefix.",
	}},
	{"the client's address", map[string]string{"client_ip": "Compare the claim with the client's address (--client-ip). Behind a proxy it takes trusted_proxies."}},
}

func newCheck(h *downloadtoken.Handler, reason string, err error) check {
	c := check{Reason: reason, OneTime: h.OneTime != nil}
	for i, step := range steps {
		if remedy, ok := step.remedies[reason]; ok {
			c.Step, c.Remedy = i+1, remedy
		}
	}
	if err != nil {
		c.Detail = err.Error()
	}
	return c
}

// write prints the check for people.
func (c *check) write(w io.Writer) {
	switch {
	case c.Reason == "" && c.OneTime:
		fmt.Fprintln(w, "  It would be let through by download_token, and its nonce would be reserved, if the store")
		fmt.Fprintln(w, "  can tell that it was not used before. The store was not asked.")
	case c.Reason == "":
		fmt.Fprintln(w, "  It would be let through by download_token.")
	case c.Step == 0:
		fmt.Fprintf(w, "  It would be refused by download_token (%s): %s.\n", c.Reason, c.Detail)
	default:
		fmt.Fprintf(w, "  It would be refused by download_token (%s) at step %d, %s: %s.\n", c.Reason, c.Step, steps[c.Step-1].name, c.Detail)
		fmt.Fprintf(w, "  %s\n", c.Remedy)
	}
}

// carry puts the token where the directive looks first, unless the request holds
// one where it looks.
func carry(r *http.Request, from []downloadtoken.Source, text string) {
	var sources []token.Source
	for _, source := range from {
		sources = append(sources, source.Sources()...)
	}
	if text == "" || len(sources) == 0 {
		return
	}
	if _, _, err := token.Find(r, sources); err != token.ErrMissing {
		return
	}
	name := sources[0].Name
	switch sources[0].Kind {
	case token.Query:
		addParameter(r.URL, name, text)
	case token.Header:
		if strings.EqualFold(name, "Authorization") {
			text = "Bearer " + text
		}
		r.Header.Set(name, text)
	case token.Cookie:
		r.Header.Add("Cookie", name+"="+text)
	case token.Basic:
		r.SetBasicAuth(name, text)
	}
}
