package response

import (
	"strings"
	"unicode/utf8"
)

// Attachment builds a Content-Disposition that every client reads the same
// way: a quoted ASCII name, and the exact one in UTF-8 (RFC 8187) where they
// differ.
func Attachment(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r == 0x7f, r == utf8.RuneError:
			return -1
		case r == '/', r == '\\':
			return '_' // RFC 6266 section 4.3: a name, not a path
		}
		return r
	}, name)
	if name == "" || name == "." || name == ".." {
		return "attachment"
	}
	var ascii, exact strings.Builder
	same := true
	for _, r := range name {
		switch {
		case r >= utf8.RuneSelf:
			ascii.WriteByte('_')
			same = false
		case r == '"':
			ascii.WriteString(`\"`)
		case r == '%':
			// some browsers decode %xx in the plain parameter (RFC 6266 appendix D)
			ascii.WriteByte('_')
			same = false
		default:
			ascii.WriteRune(r)
		}
	}
	if same {
		return `attachment; filename="` + ascii.String() + `"`
	}
	for _, b := range []byte(name) {
		if isAttrChar(b) {
			exact.WriteByte(b)
		} else {
			const hex = "0123456789ABCDEF"
			exact.Write([]byte{'%', hex[b>>4], hex[b&0xf]})
		}
	}
	return `attachment; filename="` + ascii.String() + `"; filename*=UTF-8''` + exact.String()
}

// isAttrChar reports whether b stands for itself in an extended parameter (RFC
// 8187 section 3.2.1).
func isAttrChar(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("!#$&+-.^_`|~", b) >= 0
}
