package command

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// parseLink parses an absolute http or https URL.
func parseLink(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("--url: write the whole address, such as https://example.com/report.pdf") // it may hold a token
	}
	return u, nil
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
