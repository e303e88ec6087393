package rehearsal

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
)

// Check is what one directive would say.
type Check struct {
	// Reason is empty if the request would be let through.
	Reason string `json:"reason"`

	// Step is where in the order of checks it would be refused, from 1; 0 for
	// reasons that belong to none.
	Step int `json:"step,omitzero"`

	// Detail says why, and Remedy what may help.
	Detail string `json:"detail,omitzero"`
	Remedy string `json:"remedy,omitzero"`

	// URISigning is what RFC 9246 has for the result, three digits; "" without its
	// profile.
	URISigning string `json:"uri_signing,omitzero"`

	// OneTime: the nonce would be reserved, if the store can vouch for it.
	OneTime bool `json:"one_time,omitzero"`
}

// StepName names the step at which the request would be refused.
func (c *Check) StepName() string { return steps[c.Step] }

// steps are the checks in the order in which the directive makes them.
var steps = [...]string{
	1: "finding the token",
	2: "its outer form",
	3: "the header",
	4: "the key",
	5: "the signature",
	6: "the claims",
	7: "the method",
	8: "the path and the scope",
	9: "the client's address",
}

// advice is what to look at when a directive refuses for a reason at a step.
var advice = map[string]struct {
	step   int
	remedy string
}{
	"missing":        {1, "The directive looks in other places; compare its from lines with how the token is sent."},
	"ambiguous":      {1, "Send the token once."},
	"too_large":      {2, "Put fewer or shorter claims into it."},
	"malformed":      {2, "It was damaged on its way, cut off perhaps, or its header or payload is not strict JSON."},
	"critical":       {3, "Sign it without the header parameter crit."},
	"unknown_key":    {4, "Compare the header's kid with those of the key lines. A token without kid needs a key without one. Keys of a jwks address are not fetched here."},
	"algorithm":      {4, "Compare the header's alg with the algorithms of the key lines."},
	"signature":      {5, "It was signed with another key, or changed since. Is the secret the same on both sides, byte by byte?"},
	"claim":          {6, "Compare the claims above with the require lines; exp is always needed, and for one use a nonce."},
	"expired":        {6, "Make a new one. If it is young, compare the clocks, or allow for them with leeway."},
	"not_yet_valid":  {6, "Compare the clocks; leeway allows for them. The iat of a one-time token must not lie in the future at all."},
	"issuer":         {6, "Compare the claim iss with the issuer lines, also those inside key."},
	"audience":       {6, "Compare the claim aud with the audience line. Without one, a token must not have an aud."},
	"header_typ":     {6, "Compare the header's typ with the header_typ line."},
	"too_long_lived": {6, "Compare exp less iat with max_ttl; make tokens that live shorter."},
	"version":        {6, "RFC 9246 has one version; write cdniv as 1, or leave it out."},
	"subject":        {6, "The claim sub must be encrypted (JWE) for one of the decrypt lines."},
	"renewal":        {6, "cdniets and cdnistt go together; compare them and cdnistd with RFC 9246 sections 2.1.12 to 2.1.14."},
	"method":         {7, "Use one of the methods that the directive admits: GET and HEAD, unless it has methods."},
	"bad_path":       {8, "Write the address without dot segments, double slashes, backslashes and encoded slashes."},
	"scope":          {8, "Compare the claim scope above with the scope lines, and the path with what they make of it, and for a write what they allow. Behind handle_path or strip_prefix it takes path_prefix."},
	"client_ip":      {9, "Compare the claim with the client's address (--client-ip). Behind a proxy it takes trusted_proxies."},
}

// ask has a directive decide.
func ask(h *downloadtoken.Handler, r *http.Request) Check {
	reason, oneTime, err := h.Explain(r)
	c := Check{Reason: reason, Step: advice[reason].step, Remedy: advice[reason].remedy, OneTime: oneTime}
	if err != nil {
		c.Detail = err.Error()
	}
	if h.Profile != nil {
		c.URISigning = fmt.Sprintf("%03d", cdni.Code(reason))
		if reason == "scope" {
			c.Remedy = "Compare the claim cdniuc above with the address as the client has it: scheme, host, port, path and query."
		}
	}
	return c
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
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+url.QueryEscape(name)+"="+url.QueryEscape(text), "&")
	case token.Path:
		r.URL.RawPath = r.URL.EscapedPath() + ";" + name + "=" + url.PathEscape(text)
		r.URL.Path += ";" + name + "=" + text
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
