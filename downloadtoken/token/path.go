package token

import (
	"net/http"
	"net/url"
	"strings"
)

// escapedPath is the path of a URL as it came. Where that holds bytes that a URL cannot
// have, [url.URL.EscapedPath] would escape the decoded path anew, and make a delimiter of
// an escaped semicolon.
func escapedPath(u *url.URL) string {
	if path, err := url.PathUnescape(u.RawPath); err == nil && path == u.Path && u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// findPathParameter looks for a path-style parameter (RFC 6570 section 3.2.7) in an
// escaped path: behind a semicolon within a segment (RFC 3986 section 3.3). An escaped
// semicolon is part of a name, and no delimiter.
func findPathParameter(escapedPath, name string) (string, error) {
	if strings.IndexByte(escapedPath, ';') < 0 {
		return "", ErrMissing
	}
	var found string
	count := 0
	for segment := range strings.SplitSeq(escapedPath, "/") {
		_, parameters, _ := strings.Cut(segment, ";")
		for piece := range strings.SplitSeq(parameters, ";") {
			if isPathParameter(piece, name) {
				found = piece
				count++
			}
		}
	}
	return valueOf(found, count, unescapePath)
}

func unescapePath(text string) (unescaped string, ok bool) {
	unescaped, err := url.PathUnescape(text)
	return unescaped, err == nil
}

func isPathParameter(piece, name string) bool {
	got, _, _ := strings.Cut(piece, "=")
	got, ok := unescapePath(got)
	return ok && got == name && name != ""
}

// StripPath returns an escaped path without the path-style parameters of these names,
// and the semicolons in front of them, wherever they stand, as RFC 9246 section 2.1.15
// takes a package out of a URI. The other bytes stay as they are, so that segments may
// be left that are empty, or dots.
func StripPath(escapedPath string, names []string) string {
	if strings.IndexByte(escapedPath, ';') < 0 {
		return escapedPath
	}
	var kept strings.Builder
	kept.Grow(len(escapedPath))
	for i, segment := range strings.Split(escapedPath, "/") {
		if i > 0 {
			kept.WriteByte('/')
		}
		for j, piece := range strings.Split(segment, ";") {
			switch {
			case j > 0 && isAnyPathParameter(piece, names):
				continue
			case j > 0:
				kept.WriteByte(';')
			}
			kept.WriteString(piece)
		}
	}
	return kept.String()
}

func isAnyPathParameter(piece string, names []string) bool {
	for _, name := range names {
		if isPathParameter(piece, name) {
			return true
		}
	}
	return false
}

// stripPath takes the parameter out of the path of the URL and of the RequestURI, of
// which a rewrite may have changed one.
func stripPath(r *http.Request, name string) {
	names := []string{name}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if stripped := StripPath(path, names); len(stripped) != len(path) {
		r.RequestURI = stripped + r.RequestURI[len(path):]
	}
	escaped := escapedPath(r.URL)
	stripped := StripPath(escaped, names)
	if len(stripped) == len(escaped) {
		return
	}
	// What can be unescaped can be when whole escapes are missing.
	r.URL.Path, _ = url.PathUnescape(stripped)
	r.URL.RawPath = ""
	if r.URL.EscapedPath() != stripped {
		r.URL.RawPath = stripped
	}
}
