package scope

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
)

// ErrPath says that a request path is not canonical, so that no scope may be
// asked about it. The error that [Path] returns wraps it and adds the rule
// that was broken, never the path itself.
var ErrPath = errors.New("request path is not canonical")

// Path returns the path of u on which scopes are judged: decoded once, exactly
// as the file server will read it. It refuses, with an error that is
// [ErrPath], every path that has a second spelling for the same file:
//
//   - one that does not start with a slash, such as that of "OPTIONS *", or an
//     opaque URL;
//   - NUL and other control bytes, and backslashes, raw or encoded;
//   - an encoded slash (%2F), which the file server does not tell from a slash;
//   - the segments "." and "..", and doubled slashes, which are removed when
//     the file is opened (RFC 3986 section 6.2.2.3 would have had the client
//     do so);
//   - on Windows also a colon, device names such as NUL and COM1.txt, a
//     segment that ends in a dot or space, and what looks like the short form
//     of another name (PROGRA~1).
//
// A trailing slash is kept, it makes the path that of a directory. Bytes that
// are not UTF-8 are allowed: file names may hold them.
func Path(u *url.URL) (string, error) {
	if u.Opaque != "" {
		return "", refused("the URL is opaque")
	}
	// Without RawPath, url.URL would escape Path by itself, and a slash or
	// backslash in Path is judged below: so RawPath is all there is to see.
	if separatorEscaped(u.RawPath) {
		return "", refused("it holds an encoded slash or backslash")
	}
	if rule := flaw(u.Path, runtime.GOOS == "windows"); rule != "" {
		return "", refused(rule)
	}
	return u.Path, nil
}

// Suffix tells whether final is authorised itself, or what is left of it when
// leading segments are taken off, as handle_path does: "/a.txt" is left of
// "/pub/a.txt", but not of "/pub/ba.txt". It is asked about the path that a
// handler ended up serving. A final path that does not start with a slash is
// never a suffix.
func Suffix(authorised, final string) bool {
	return strings.HasPrefix(final, "/") && strings.HasSuffix(authorised, final)
}

func refused(rule string) error { return fmt.Errorf("%w: %s", ErrPath, rule) }

// canonical tells whether Path could have returned this path. The
// operating system makes no difference to the matchers that ask.
func canonical(path string) bool { return flaw(path, false) == "" }

// flaw names the rule that a decoded path breaks, or returns "".
func flaw(path string, windows bool) string {
	if !strings.HasPrefix(path, "/") {
		return "it does not start with a slash"
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c < 0x20 || c == 0x7f:
			return "it holds a control byte"
		case c == '\\':
			return "it holds a backslash"
		}
	}
	if strings.Contains(path, "//") {
		return "it holds a doubled slash"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "it holds a dot segment"
		}
		if windows && aliasedOnWindows(segment) {
			return "it holds a name that Windows takes for another"
		}
	}
	return ""
}

// aliasedOnWindows tells whether Windows would open something else than a file
// of just this name.
func aliasedOnWindows(segment string) bool {
	if segment == "" {
		return false
	}
	// file.txt:stream and C: both hide another name behind the colon.
	if strings.Contains(segment, ":") {
		return true
	}
	// Win32 drops these at the end of a name.
	if last := segment[len(segment)-1]; last == '.' || last == ' ' {
		return true
	}
	// NTFS gives long names a second, short one: MICROS~1.TXT.
	for i := range len(segment) - 1 {
		if segment[i] == '~' && '0' <= segment[i+1] && segment[i+1] <= '9' {
			return true
		}
	}
	return isDevice(segment)
}

// Portable tells whether a segment names one file on every operating system, and the
// same one.
func Portable(segment string) bool {
	return canonical("/"+segment) && !strings.Contains(segment, "/") && !aliasedOnWindows(segment)
}

// isDevice knows the names that Windows reserves for devices in every
// directory, whatever extension follows, with spaces before it or without.
func isDevice(segment string) bool {
	name, _, _ := strings.Cut(segment, ".")
	name = strings.ToUpper(strings.TrimRight(name, " "))
	switch name {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	port, ok := strings.CutPrefix(name, "COM")
	if !ok {
		port, ok = strings.CutPrefix(name, "LPT")
	}
	if !ok {
		return false
	}
	switch port {
	// The superscripts are digits to Windows: they are in ISO 8859-1.
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}

// separatorEscaped tells whether escaped text holds %2F or %5C, in any case.
func separatorEscaped(escaped string) bool {
	for {
		i := strings.IndexByte(escaped, '%')
		if i < 0 || len(escaped) < i+3 {
			return false
		}
		switch escaped[i+1 : i+3] {
		case "2F", "2f", "5C", "5c":
			return true
		}
		escaped = escaped[i+1:]
	}
}
