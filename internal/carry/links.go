// Package carry hands a token on to what a page, a playlist or a listing refers to:
// it puts the token into the references that stand in a body.
package carry

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// Links puts a token into references that stand in a document. All fields must be
// set. It is for one goroutine at a time.
type Links struct {
	// Page is the document as the client asked for it: scheme, host and escaped path,
	// before any rewrite.
	Page *url.URL

	// Opens tells whether the token opens what a URL of the page's own origin leads
	// to. It must refuse paths that are not canonical, such as those with dot segments
	// that are escaped, because clients do not agree on where they lead.
	Opens func(u *url.URL) bool

	// Name is the query parameter.
	Name string

	// Token returns what is put in for u; index: it leads to another playlist, or stands
	// in a listing. If it is empty, nothing is put in.
	Token func(u *url.URL, index bool) string

	token, first, further string // the last token, and what is put in where it is the first parameter, or not
}

// Sign returns ref, which stands in the document and is relative to base, usually
// [Links.Page], with the token in its query (RFC 3986 section 3.4). All its other bytes
// stay as they are.
//
// The reference is returned as it is if it leads to another origin (RFC 6454), to what
// the token does not open or nowhere else, if it has the parameter already, or if
// clients might read it in another way than this server does.
func (l *Links) Sign(base *url.URL, ref string, index bool) string {
	at := endOfQuery(ref)
	return ref[:at] + l.insertion(base, ref, index) + ref[at:]
}

// insertion is what is put in front of ref[endOfQuery(ref):]; "": nothing.
func (l *Links) insertion(base *url.URL, ref string, index bool) string {
	u, ok := resolve(base, ref)
	if !ok || !sameOrigin(u, l.Page) || l.holds(u.RawQuery) || !l.Opens(u) {
		return ""
	}
	text := l.Token(u, index)
	if text == "" {
		return ""
	}
	if text != l.token {
		parameter := url.QueryEscape(l.Name) + "=" + url.QueryEscape(text)
		l.token, l.first, l.further = text, "?"+parameter, "&"+parameter
	}
	if strings.Contains(ref[:endOfQuery(ref)], "?") {
		return l.further
	}
	return l.first
}

// endOfQuery is where in a reference its fragment begins, or its length.
func endOfQuery(ref string) int {
	if at := strings.IndexByte(ref, '#'); at >= 0 {
		return at
	}
	return len(ref)
}

// maxURL is how long a path with a reference may be, in bytes: longer than that of any file.
const maxURL = 8 << 10

// beforeQuery is a reference up to its query or fragment.
func beforeQuery(ref string) string {
	ref, _, _ = strings.Cut(ref[:endOfQuery(ref)], "?")
	return ref
}

// resolve is where ref leads; false: nowhere, or clients might not agree.
func resolve(base *url.URL, ref string) (*url.URL, bool) {
	if len(base.Path)+len(ref) > maxURL {
		return nil, false
	}
	if isPlain(ref) {
		u := url.URL{Scheme: base.Scheme, Host: base.Host, Path: directory(base.Path) + ref}
		if base.RawPath != "" {
			u.RawPath = directory(base.RawPath) + ref
		}
		return &u, true
	}
	if !unequivocal(ref) {
		return nil, false
	}
	u, err := url.Parse(ref)
	if err != nil || u.Opaque != "" || u.User != nil || (u.Scheme != "" || strings.HasPrefix(ref, "//")) && u.Host == "" {
		return nil, false
	}
	u = base.ResolveReference(u)
	_, err = scope.Path(u) // browsers go up by segments that are escaped, as ResolveReference does not
	return u, err == nil
}

// isPlain tells whether ref is what most are: a path that goes down, and in which every
// character stands for itself, so that nothing has to be parsed.
func isPlain(ref string) bool {
	before := byte('/')
	for i := range len(ref) {
		c := ref[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && before != '/':
		case c == '/' && before != '/' && before != '.':
		default:
			return false
		}
		before = c
	}
	return ref != ""
}

// directory is a path up to its last slash.
func directory(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }

// unequivocal tells whether ref leads somewhere, and whether all clients read it as
// RFC 3986 does. Browsers take a backslash for a slash, and leave out tabs and line
// breaks, and spaces at either end (WHATWG URL, section 4.4); players leave out what
// their language takes for a space.
func unequivocal(ref string) bool {
	return ref != "" && ref[0] != '#' && utf8.ValidString(ref) && len(strings.TrimFunc(ref, isSpace)) == len(ref) &&
		!strings.ContainsFunc(ref, func(c rune) bool { return c == '\\' || c == '\t' || breaksLine(c) })
}

func isSpace(c rune) bool { return unicode.IsSpace(c) || c == '\uFEFF' }

// breaksLine is about what ends a line in some language, and control characters.
func breaksLine(c rune) bool {
	return c != '\t' && unicode.IsControl(c) || c == '\u2028' || c == '\u2029'
}

// sameOrigin compares scheme, host and port (RFC 6454 section 5).
func sameOrigin(a, b *url.URL) bool {
	if a.Scheme == b.Scheme && a.Host == b.Host && sameASCII(a.Host, b.Host) {
		return true // as of most
	}
	return a.Scheme == b.Scheme && sameASCII(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// sameASCII compares without regard to case. What is not ASCII is never the same:
// clients map it to a host of their own.
func sameASCII(a, b string) bool {
	for i := range len(a) {
		if a[i] >= utf8.RuneSelf {
			return false
		}
	}
	return len(a) == len(b) && strings.EqualFold(a, b)
}

func port(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// holds tells whether the parameter is in a query, however it is escaped.
func (l *Links) holds(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if name == l.Name {
			return true
		}
		if unescaped, err := url.QueryUnescape(name); err == nil && unescaped == l.Name {
			return true
		}
	}
	return false
}
