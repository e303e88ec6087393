package scope

import (
	"net/url"
	"runtime"
	"strings"
)

// CheckLink tells why no client could open this URL, absolute or relative: its path
// is one that [Path] refuses. The error is [ErrPath]. To be asked before a link is
// handed out.
func CheckLink(link string) error {
	u, err := url.Parse(link)
	if err != nil {
		return refused("it is no URL") // whose error would repeat it
	}
	if u.Path == "" {
		return nil // clients ask for "/"
	}
	_, err = Path(u)
	return err
}

// CheckName tells why no path could hold this name, which is a segment or several:
// a file of this name has no link that [Path] accepts. The error is [ErrPath].
func CheckName(name string) error {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if rule := flaw(name, runtime.GOOS == "windows"); rule != "" {
		return refused(rule)
	}
	return nil
}

// CheckScope tells why one of the paths in a scope, such as "download:/a%20b", can
// open nothing. Path is what follows a colon and begins with one slash, to the next
// space; it may be percent-encoded. What cannot be decoded is left alone, because it
// may be the name in a [Template]. The error is [ErrPath].
func CheckScope(scope string) error {
	for piece := range strings.SplitSeq(scope, " ") {
		path, ok := pathIn(piece)
		if !ok {
			continue
		}
		if separatorEscaped(path) {
			return refused("it holds an encoded slash or backslash")
		}
		if decoded, err := url.PathUnescape(path); err == nil {
			path = decoded
		}
		if err := CheckName(path); err != nil {
			return err
		}
	}
	return nil
}

// HasPath tells whether a scope holds a path, as [CheckScope] sees it.
func HasPath(scope string) bool {
	for piece := range strings.SplitSeq(scope, " ") {
		if _, ok := pathIn(piece); ok {
			return true
		}
	}
	return false
}

// pathIn leaves out https://, which begins the names of scopes as well.
func pathIn(piece string) (string, bool) {
	_, path, ok := strings.Cut(piece, ":")
	return path, ok && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//")
}
