package token

import (
	"net/http"
	"net/url"
	"strings"
)

// Kind is the part of a request that a token comes in.
type Kind string

// The kinds of [Source].
const (
	Query  Kind = "query"  // a parameter of the URL's query
	Header Kind = "header" // a header field; Authorization counts only if it is Bearer
	Cookie Kind = "cookie"
)

// Source is one place to look for the token. There is no default.
type Source struct {
	Kind Kind

	// Name of the parameter, field or cookie. Parameters and cookies are
	// case-sensitive, header fields are not (RFC 9110 5.1); a field in its
	// canonical form (see [http.CanonicalHeaderKey]) is found without allocation.
	Name string
}

// Find returns the token of a request as it came, and the source it came from.
// Sources are asked in order, and the first that is present decides, whatever it
// holds: a refused token must never fall back to another one, or to none.
//
// Present means that the name is there. [ErrMissing]: no source is present.
// [ErrAmbiguous]: the name is there twice. [ErrMalformed]: the value is empty or
// cannot be decoded. With the last two, from is the source that decided.
//
// The raw query is split on & only and decoded here, since [url.ParseQuery] drops
// what it does not like (=%zz, =a;b) and a dropped token would look like none.
func Find(r *http.Request, sources []Source) (text string, from Source, err error) {
	for _, source := range sources {
		switch source.Kind {
		case Query:
			text, err = findParameter(r.URL.RawQuery, source.Name)
		case Header:
			text, err = findField(r.Header.Values(source.Name), isAuthorization(source.Name))
		case Cookie:
			text, err = findCookie(r.Header["Cookie"], source.Name)
		default:
			continue
		}
		if err != ErrMissing {
			return text, source, err
		}
	}
	return "", Source{}, ErrMissing
}

func findParameter(rawQuery, name string) (string, error) {
	var found string
	count := 0
	for piece := range strings.SplitSeq(rawQuery, "&") {
		if isParameter(piece, name) {
			found = piece
			count++
		}
	}
	switch {
	case count == 0:
		return "", ErrMissing
	case count > 1:
		return "", ErrAmbiguous
	}
	_, value, _ := strings.Cut(found, "=")
	text, err := url.QueryUnescape(value)
	if err != nil || text == "" {
		return "", errValue
	}
	return text, nil
}

// isParameter compares a raw piece of a query with a name. An undecodable name is
// nobody's, so it is not ours.
func isParameter(piece, name string) bool {
	got, _, _ := strings.Cut(piece, "=")
	if strings.ContainsAny(got, "%+") {
		decoded, err := url.QueryUnescape(got)
		return err == nil && decoded == name && name != ""
	}
	return got == name && name != ""
}

func findField(lines []string, authorization bool) (string, error) {
	if len(lines) == 0 || authorization && !hasBearer(lines) {
		return "", ErrMissing
	}
	if len(lines) > 1 {
		return "", ErrAmbiguous
	}
	text := trim(lines[0])
	if authorization {
		credentials := text[len(bearer):]
		text = strings.TrimLeft(credentials, " ")
		if text == credentials {
			return "", errValue // no space between scheme and token
		}
	}
	if text == "" {
		return "", errValue
	}
	return text, nil
}

const bearer = "Bearer"

func isAuthorization(name string) bool { return strings.EqualFold(name, "Authorization") }

func hasBearer(lines []string) bool {
	for _, line := range lines {
		if isBearer(line) {
			return true
		}
	}
	return false
}

// isBearer compares the scheme as RFC 9110 11.1 says. The scheme ends where a
// token character cannot follow, so that "Bearer" alone, or with a tab, is a
// Bearer without credentials and not some unknown scheme.
func isBearer(line string) bool {
	line = trim(line)
	if len(line) < len(bearer) || !strings.EqualFold(line[:len(bearer)], bearer) {
		return false
	}
	return len(line) == len(bearer) || !isTokenChar(line[len(bearer)])
}

// isTokenChar is tchar of RFC 9110 5.6.2.
func isTokenChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// findCookie reads the raw lines, since net/http drops a cookie whose value it
// does not like.
func findCookie(lines []string, name string) (string, error) {
	var found string
	count := 0
	for _, line := range lines {
		for piece := range strings.SplitSeq(line, ";") {
			if isCookie(piece, name) {
				found = piece
				count++
			}
		}
	}
	switch {
	case count == 0:
		return "", ErrMissing
	case count > 1:
		return "", ErrAmbiguous
	}
	_, value, _ := strings.Cut(trim(found), "=")
	if value == "" || !isCookieValue(value) {
		return "", errValue
	}
	return value, nil
}

func isCookie(piece, name string) bool {
	got, _, _ := strings.Cut(piece, "=")
	return trim(got) == name && name != ""
}

// isCookieValue: only cookie-octets of RFC 6265 4.1.1. A token needs no quotes.
func isCookieValue(value string) bool {
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == '\\' {
			return false
		}
	}
	return true
}

// trim takes optional white space (RFC 9110 5.6.3) off both ends.
func trim(s string) string { return strings.Trim(s, " \t") }
