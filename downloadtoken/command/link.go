package command

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
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

// checkLink compares what the token opens with the address that it is put into. An
// error: the link could not work. A warning: it may, and what it then opens.
func (o *mintOptions) checkLink(claims map[string]jsontext.Value) (warnings []string, err error) {
	u, err := parseLink(o.url)
	if err != nil {
		return nil, err
	}
	if err := scope.CheckLink(u.String()); err != nil {
		return nil, fmt.Errorf("--url: no link can open this address: %w", err)
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
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
	case !namesSomething(claims):
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

// addToken puts a token into the query of a link, and leaves all the rest as it is.
func addToken(link, parameter, token string) (string, error) {
	u, err := parseLink(link)
	if err != nil {
		return "", err
	}
	if parameter == "" {
		return "", errors.New("--param: the name of the query parameter is missing")
	}
	if hasParameter(u.RawQuery, parameter) {
		return "", fmt.Errorf("--url: the address has a parameter %s already, and the server refuses two", parameter)
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += url.QueryEscape(parameter) + "=" + token
	return u.String(), nil
}

func hasParameter(rawQuery, name string) bool {
	for piece := range strings.SplitSeq(rawQuery, "&") {
		key, _, _ := strings.Cut(piece, "=")
		if decoded, err := url.QueryUnescape(key); err == nil && decoded == name {
			return true
		}
	}
	return false
}

// tokenIn finds the token in a link: the value of the one parameter that looks
// like a token, or "".
func tokenIn(link *url.URL) (string, error) {
	var found []string
	for piece := range strings.SplitSeq(link.RawQuery, "&") {
		_, value, _ := strings.Cut(piece, "=")
		if decoded, err := url.QueryUnescape(value); err == nil && looksLikeToken(decoded) {
			found = append(found, decoded)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", errors.New("the address has more than one token; give the one that you mean by itself")
}

// looksLikeToken reports whether text is a JWT by its first looks: two dots, and
// base64url of a JSON object in front.
func looksLikeToken(text string) bool {
	return strings.Count(text, ".") == 2 && strings.HasPrefix(text, "ey")
}
