package issuer

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// tokenPlaceholder is where the token goes in a link.
const tokenPlaceholder = "{token}"

var errNoTokenInLink = errors.New("{token} is missing, where the token goes, such as: link https://files.example.com/report.pdf?download_token={token}")

var errFragment = errors.New("what follows a # is not sent to the server, so {token} cannot stand there; for a # in a name write %23")

// A link is a template for URLs, cut at its question mark: what placeholders stand
// for is escaped as in a path before it, as in a query after it.
type link struct{ path, query string }

func newLink(template string) (*link, error) {
	if !strings.Contains(template, tokenPlaceholder) {
		return nil, errNoTokenInLink
	}
	if before, _, _ := strings.Cut(template, tokenPlaceholder); strings.Contains(before, "#") {
		return nil, errFragment
	}
	path, query, _ := strings.Cut(template, "?")
	return &link{path, query}, nil
}

// fill returns the URL for a request. A placeholder that is empty or unknown is
// [errClaim]: the link would lead somewhere else than was meant.
func (l *link) fill(repl *caddy.Replacer, token string) (string, error) {
	path, err := fillPart(l.path, token, repl, escapePath)
	if err != nil || l.query == "" {
		return path, err
	}
	query, err := fillPart(l.query, token, repl, url.QueryEscape)
	return path + "?" + query, err
}

// fillPart replaces the placeholders between the tokens, so that the token is no
// value that anything else could ask for.
func fillPart(template, token string, repl *caddy.Replacer, escape func(string) string) (string, error) {
	parts := strings.Split(template, tokenPlaceholder)
	for i, part := range parts {
		filled, err := repl.ReplaceFunc(part, func(_ string, value any) (any, error) {
			text := caddy.ToString(value)
			if text == "" {
				return nil, errClaim
			}
			return escape(text), nil
		})
		if err != nil {
			return "", err
		}
		parts[i] = filled
	}
	return strings.Join(parts, token), nil
}

// escapePath leaves what a path, or a host with its port, is made of (RFC 3986
// section 3.3).
func escapePath(text string) string {
	var escaped strings.Builder
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~/:[]", c) >= 0:
			escaped.WriteByte(c)
		default:
			const hex = "0123456789ABCDEF"
			escaped.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return escaped.String()
}
