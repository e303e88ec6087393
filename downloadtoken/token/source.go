package token

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Kind is the part of a request that a token comes in.
type Kind string

// The kinds of [Source].
const (
	Query  Kind = "query"  // a parameter of the URL's query
	Path   Kind = "path"   // a path-style parameter: /file;name=token (RFC 6570 3.2.7)
	Header Kind = "header" // a header field; Authorization counts only if it is Bearer
	Cookie Kind = "cookie"
	Basic  Kind = "basic" // the password of HTTP Basic authentication (RFC 7617)

	// Carried is a cookie, too. Of several with the name the first decides, because
	// browsers send all whose Path is in front of that of the request, the longest first
	// (RFC 6265 section 5.4).
	Carried Kind = "carried"
)

// Source is one place to look for the token. There is no default.
type Source struct {
	Kind Kind

	// Name of the parameter, field or cookie. Parameters, of both styles, and cookies are
	// case-sensitive, header fields are not (RFC 9110 5.1); a field in its
	// canonical form (see [http.CanonicalHeaderKey]) is found without allocation.
	//
	// For [Basic] it is the user name that the token must come with, byte for byte;
	// "" takes any, the empty one too.
	Name string
}

// InURL tells whether a token of the kind comes in the URL, so that caches keep the
// answers to two tokens apart.
func (k Kind) InURL() bool { return k == Query || k == Path }

// Field returns the header field that the source looks at, "" for the URL: what
// a cache has to tell answers apart by (Vary, RFC 9110 12.5.5).
func (s Source) Field() string {
	switch s.Kind {
	case Header:
		return http.CanonicalHeaderKey(s.Name)
	case Cookie, Carried:
		return "Cookie"
	case Basic:
		return authorizationField
	}
	return ""
}

// IsAmbient reports whether browsers send the token along by themselves, so that the
// request may be the idea of another site.
func (s Source) IsAmbient() bool { return s.Kind == Cookie || s.Kind == Carried || s.Kind == Basic }

// Find returns the token of a request as it came, and the source it came from.
// Sources are asked in order, and the first that is present decides, whatever it
// holds: a refused token must never fall back to another one, or to none.
//
// Present means that the name is there, in Authorization that its scheme is the
// source's. [ErrMissing]: no source is present. [ErrAmbiguous]: the name is there
// twice, though not if it is [Carried]. [ErrMalformed]: the value is empty or cannot be decoded. With the last two,
// from is the source that decided. Basic credentials for another user than the
// source's are as absent as another scheme.
//
// The raw query is split on & only and decoded here, since [url.ParseQuery] drops
// what it does not like (=%zz, =a;b) and a dropped token would look like none. So is the
// escaped path split, since in a decoded one a semicolon may be part of a name.
func Find(r *http.Request, sources []Source) (text string, from Source, err error) {
	for _, source := range sources {
		switch source.Kind {
		case Query:
			text, err = findParameter(r.URL.RawQuery, source.Name)
		case Path:
			text, err = findPathParameter(escapedPath(r.URL), source.Name)
		case Header:
			text, err = findField(r.Header.Values(source.Name), isAuthorization(source.Name))
		case Cookie, Carried:
			text, err = findCookie(r.Header["Cookie"], source.Name, source.Kind == Carried)
		case Basic:
			text, err = findPassword(r.Header[authorizationField], source.Name)
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
	return valueOf(found, count, unescapeQuery)
}

// valueOf returns the value of a parameter that was found so many times.
func valueOf(found string, count int, unescape func(string) (string, bool)) (string, error) {
	switch {
	case count == 0:
		return "", ErrMissing
	case count > 1:
		return "", ErrAmbiguous
	}
	_, value, _ := strings.Cut(found, "=")
	text, ok := unescape(value)
	if !ok || text == "" {
		return "", errValue
	}
	return text, nil
}

// unescapeQuery is [url.QueryUnescape], which would look at every byte.
func unescapeQuery(text string) (unescaped string, ok bool) {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '+') < 0 {
		return text, true
	}
	unescaped, err := url.QueryUnescape(text)
	return unescaped, err == nil
}

// isParameter compares a raw piece of a query with a name. An undecodable name is
// not the same as any.
func isParameter(piece, name string) bool {
	got, _, _ := strings.Cut(piece, "=")
	got, ok := unescapeQuery(got)
	return ok && got == name && name != ""
}

func findField(lines []string, authorization bool) (string, error) {
	if len(lines) == 0 || authorization && !slices.ContainsFunc(lines, isBearer) {
		return "", ErrMissing
	}
	if len(lines) > 1 {
		return "", ErrAmbiguous
	}
	text := trim(lines[0])
	if authorization {
		text = credentials(text, bearer)
	}
	if text == "" {
		return "", errValue
	}
	return text, nil
}

// findPassword looks for Basic credentials of this user, or of any.
func findPassword(lines []string, user string) (string, error) {
	if !slices.ContainsFunc(lines, func(line string) bool { return isBasic(line, user) }) {
		return "", ErrMissing
	}
	if len(lines) > 1 {
		return "", ErrAmbiguous
	}
	_, password, ok := userPassword(lines[0])
	if !ok || password == "" {
		return "", ErrMalformed
	}
	return password, nil
}

const (
	authorizationField = "Authorization"

	bearer = "Bearer"
	basic  = "Basic"
)

func isAuthorization(name string) bool { return strings.EqualFold(name, authorizationField) }

func isBearer(line string) bool { return hasScheme(line, bearer) }

// isBasic reports whether the line holds Basic credentials for the user, or such as
// cannot be decoded and may be the user's.
func isBasic(line, user string) bool {
	if !hasScheme(line, basic) {
		return false
	}
	if user == "" {
		return true
	}
	got, _, ok := userPassword(line)
	return !ok || got == user
}

// userPassword decodes the credentials of RFC 7617 section 2, on a line with this
// scheme. A user name has no colon, a password may.
func userPassword(line string) (user, password string, ok bool) {
	decoded, err := base64.StdEncoding.DecodeString(credentials(trim(line), basic))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}

// credentials is what follows the scheme and at least one space, or "".
func credentials(line, scheme string) string {
	rest := line[len(scheme):]
	text := strings.TrimLeft(rest, " ")
	if text == rest {
		return ""
	}
	return text
}

// hasScheme compares the scheme as RFC 9110 11.1 says. The scheme ends where a
// token character cannot follow, so that "Bearer" alone, or with a tab, is a
// Bearer without credentials and not some unknown scheme.
func hasScheme(line, scheme string) bool {
	line = trim(line)
	if len(line) < len(scheme) || !strings.EqualFold(line[:len(scheme)], scheme) {
		return false
	}
	return len(line) == len(scheme) || !isTokenChar(line[len(scheme)])
}

// isTokenChar is tchar of RFC 9110 5.6.2.
func isTokenChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// findCookie reads the raw lines, since net/http drops a cookie whose value it
// does not like.
func findCookie(lines []string, name string, several bool) (string, error) {
	var found string
	count := 0
	for _, line := range lines {
		for piece := range strings.SplitSeq(line, ";") {
			if isCookie(piece, name) {
				if count == 0 {
					found = piece
				}
				count++
			}
		}
	}
	switch {
	case count == 0:
		return "", ErrMissing
	case count > 1 && !several:
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
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
