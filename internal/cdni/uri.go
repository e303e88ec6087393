package cdni

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Target is what a client asked for, before any rewrite.
type Target struct {
	Scheme     string // http or https, in any case
	Host       string // with the port, if the client named one
	RequestURI string // in origin form, escaped as it came (RFC 9112 section 3.2.1)
}

// maxURI bounds what an expression is run over, without the package: RFC 9112 section 3
// has servers support 8000 bytes.
const maxURI = 8192

// URI returns what a container is compared with: the absolute URI without the package,
// normalised (RFC 9246 section 2.1.15, steps 1 and 2), at most 8 KiB. The attribute is
// the name that the package is carried under. The error says what is wrong with a target
// that is no URI, and has nothing of it.
//
// The package is taken out of the query and of the path, and so [token.Strip] must have
// been asked to, else another file would be served than the one that was compared.
//
// What cannot stand in a URI, but comes in requests, such as bytes that are not ASCII, is
// percent-encoded, so that a file has one spelling only. What RFC 3986 does not normalise
// is left as it is: the spelling of an IP address or of a port, doubled slashes, an
// empty query.
func (t Target) URI(attribute string) (string, error) {
	scheme := strings.ToLower(t.Scheme)
	port, ok := map[string]string{"http": "80", "https": "443"}[scheme]
	if !ok {
		return "", errors.New("the scheme is neither http nor https")
	}
	host, ok := normalHost(t.Host, port)
	if !ok {
		return "", errors.New("the host is not one that a URI can have")
	}
	path, query, hasQuery := strings.Cut(t.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		return "", errors.New("the request target has no path")
	}
	names := []string{attribute}
	path, ok = normalEscapes(token.StripPath(path, names), inPath)
	if !ok {
		return "", errEscape
	}
	uri := scheme + "://" + host + withoutDots(path)
	// The question mark goes with a package that was all there was, not with the empty
	// piece beside one: the ampersand between them has gone with the package.
	stripped := token.StripQuery(query, names)
	if hasQuery && (stripped != "" || query == "" || strings.Contains(query, "&")) {
		if stripped, ok = normalEscapes(stripped, inQuery); !ok {
			return "", errEscape
		}
		uri += "?" + stripped
	}
	if len(uri) > maxURI {
		return "", errors.New("the URI is longer than 8 KiB")
	}
	return uri, nil
}

var errEscape = errors.New("the request target has a percent sign that escapes nothing")

// normalHost normalises an authority without user information (RFC 3986 sections 3.2,
// 6.2.2.1 and 6.2.3).
func normalHost(host, defaultPort string) (normal string, ok bool) {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
	}
	if name == "" || strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	if literal, isLiteral := strings.CutPrefix(name, "["); isLiteral {
		literal, closed := strings.CutSuffix(literal, "]")
		if !closed || literal == "" || strings.Trim(literal, "0123456789abcdefABCDEF:.") != "" {
			return "", false
		}
		name = strings.ToLower(name)
	} else {
		if strings.ContainsAny(name, "/?#[]@: \\\"<>^`{|}") {
			return "", false
		}
		if name, ok = normalEscapes(name, subDelims); !ok {
			return "", false
		}
		name = lowerOutsideEscapes(name)
	}
	if port != "" && port != defaultPort {
		name += ":" + port
	}
	return name, true
}

// lowerOutsideEscapes makes letters lower-case, but not those of escapes.
func lowerOutsideEscapes(text string) string {
	b := []byte(strings.ToLower(text))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' {
			i += copy(b[i+1:i+3], text[i+1:i+3])
		}
	}
	return string(b)
}

// The bytes that stand for themselves, besides those that are unreserved (RFC 3986
// sections 2.2, 3.3 and 3.4).
const (
	subDelims = "!$&'()*+,;="
	inPath    = subDelims + ":@/"
	inQuery   = inPath + "?"
)

// normalEscapes decodes what is unreserved, writes the other escapes with capitals, and
// escapes what is neither unreserved nor allowed (RFC 3986 sections 2.1, 6.2.2.1 and
// 6.2.2.2). It is not ok if a percent sign escapes nothing.
func normalEscapes(text, allowed string) (normal string, ok bool) {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); i++ {
		c, escaped := text[i], text[i] == '%'
		if escaped {
			one, err := url.PathUnescape(text[i:min(i+3, len(text))])
			if err != nil {
				return "", false
			}
			c, i = one[0], i+2
		}
		if isUnreserved(c) || !escaped && strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String(), true
}

// isUnreserved is unreserved of RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// withoutDots removes the dot segments of an absolute path (RFC 3986 section 5.2.4).
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path[1:], "/")
	var kept []string
	for i, segment := range segments {
		if segment == ".." && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		switch isDot := segment == "." || segment == ".."; {
		case !isDot:
			kept = append(kept, segment)
		case i == len(segments)-1:
			kept = append(kept, "") // what they name is a folder
		}
	}
	return "/" + strings.Join(kept, "/")
}
