package command

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// parseLink parses an absolute http or https URL.
func parseLink(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if escape := new(url.EscapeError); errors.As(err, escape) {
		return nil, errors.New("--url: two hex digits must follow a %; for a % in a file's name write %25")
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("--url: write the whole address, such as https://example.com/report.pdf") // it may hold a token
	}
	return u, nil
}

// link puts the token into the query of the address that it is for, and leaves all
// the rest as it is. An error: the link could not work. A warning: it may, and what
// it then opens.
func (o *mintOptions) link(made *minted) (link string, warnings []string, err error) {
	u, err := parseLink(o.url)
	if err != nil {
		return "", nil, err
	}
	if err := scope.CheckLink(u.String()); err != nil {
		return "", nil, fmt.Errorf("--url: no link can open this address: %w", err)
	}
	if o.uri.profile == "" {
		warnings, err = o.compare(u, made.Claims)
	}
	if err != nil {
		return "", nil, err
	}
	if o.param == "" {
		return "", nil, errors.New("--param: the name of the query parameter is missing")
	}
	if _, _, err := token.Find(&http.Request{URL: u}, []token.Source{{Kind: token.Query, Name: o.param}}); err != token.ErrMissing {
		return "", nil, fmt.Errorf("--url: the address has a parameter %s already, and the server refuses two", o.param)
	}
	if o.uri.pathStyle {
		u.RawPath = u.EscapedPath() + ";" + o.param + "=" + made.Token
		u.Path += ";" + o.param + "=" + made.Token
		return u.String(), warnings, nil
	}
	addParameter(u, o.param, made.Token)
	return u.String(), warnings, nil
}

// compare holds what the token opens against the address.
func (o *mintOptions) compare(u *url.URL, claims map[string]jsontext.Value) (warnings []string, err error) {
	path := cmp.Or(u.Path, "/")
	opens := func(path string) bool {
		return slices.ContainsFunc(o.paths, func(entry string) bool { return scope.PathAdmits(entry, path) })
	}
	disagrees := len(o.paths) > 0 && !opens(path)
	switch {
	case disagrees && u.Fragment != "" && opens(path+"#"+u.Fragment):
		return nil, errors.New("--url: what follows a # is not sent to the server; for the # in the file's name write %23")
	case disagrees && slices.Contains(o.paths, u.EscapedPath()):
		return nil, fmt.Errorf("--path is written decoded, not as in an address: --path '%s'", path)
	case disagrees && len(o.scopes) == 0:
		warnings = append(warnings, fmt.Sprintf("--path does not open %s, the path of --url; the link works only if the site rewrites that to a path which it opens", path))
	case o.config == "" && !namesSomething(claims):
		warnings = append(warnings, "no --scope and no --path: this token opens nothing with a scope line such as scope path or scope template, and with scope any every file, not only this one")
	}
	if u.Fragment != "" {
		warnings = append(warnings, fmt.Sprintf("--url: what follows a # is not sent to the server, so the link asks for %s; for a # in a file's name write %%23", path))
	}
	return warnings, nil
}

// namesSomething reports whether a claim may say what the token opens: scope, access
// or, with scope path, any that holds a path.
func namesSomething(claims map[string]jsontext.Value) bool {
	for name, value := range claims {
		if name == "scope" || name == "access" || strings.Contains(string(value), `"/`) {
			return true
		}
	}
	return false
}

// addParameter adds a parameter to a query, and leaves all that is there as it is.
func addParameter(u *url.URL, name, value string) {
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += url.QueryEscape(name) + "=" + url.QueryEscape(value)
}

// tokenIn finds the token in a link: the value of the one parameter, of its query or its
// path, that looks like a token, or "".
func tokenIn(link *url.URL) (text string, err error) {
	inPath := strings.FieldsFunc(link.EscapedPath(), func(c rune) bool { return c == '/' || c == ';' })
	for _, piece := range append(strings.Split(link.RawQuery, "&"), inPath...) {
		_, value, _ := strings.Cut(piece, "=")
		decoded, err := url.QueryUnescape(value)
		if err != nil || strings.Count(decoded, ".") != 2 || !strings.HasPrefix(decoded, "ey") { // {" in base64url
			continue
		}
		if text != "" {
			return "", errors.New("the address has more than one token; give the one that you mean by itself")
		}
		text = decoded
	}
	return text, nil
}
