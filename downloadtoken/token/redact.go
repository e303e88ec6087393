package token

import "strings"

// Redacted is what [Redact] writes in the place of a token that is not whole.
const Redacted = "jwt:REDACTED"

// Redact returns text with every token in it replaced, so that text can be logged.
// A whole token becomes jwt: and its [Fingerprint], by which other log lines know
// it; what has only the first two parts of one, or too little of the second, becomes
// [Redacted].
//
// A token is found by its shape, wherever it stands: a JSON object in base64url, a
// dot, and whatever of the alphabet follows, dots and padding included. It may be
// percent-encoded in whole or in part, and more than once, as when the question mark of
// a link has been escaped. A header with nothing behind it stays, because it opens
// nothing and says nothing. Text without a token is returned as it is, without
// allocation.
//
// Redact looks at shapes only, so it also replaces tokens that no key of ours signed.
func Redact(text string) string {
	var redacted strings.Builder
	copied, seen, dots := 0, 0, dotFinder{text: text}
	for from := 0; ; {
		dot, behind := dots.next(from)
		if dot < 0 {
			break
		}
		i := dot
		for i > seen && text[i-1] == '=' {
			i--
		}
		for i > seen && (digits[text[i-1]] != noDigit || text[i-1] == '%') {
			i--
		}
		seen, from = dot+1, behind
		for i < dot {
			if !opens[text[i]] {
				i++
				continue
			}
			end, found := jwtAt(text, i)
			if found != "" {
				redacted.Grow(len(text) - copied) // nothing after the first time
				redacted.WriteString(text[copied:beginOfEscape(text, i)])
				redacted.WriteString(found)
				copied = end
			}
			i = max(i+1, end)
			seen, from = max(seen, end), max(from, end)
		}
	}
	if copied == 0 {
		return text
	}
	redacted.WriteString(text[copied:])
	return redacted.String()
}

// dotFinder goes from dot to dot, because most lines of a log have few, and a token
// begins in what stands in front of one.
type dotFinder struct {
	text           string
	plain, percent int // where the next of each is; the length of text if there is none
}

// next returns where the next dot begins, however it is encoded, and ends; -1 if there
// is none. The first call is for 0.
func (d *dotFinder) next(from int) (dot, behind int) {
	if d.plain < from || from == 0 {
		d.plain = d.index('.', from)
	}
	if d.percent < from || from == 0 {
		d.percent = d.index('%', from)
	}
	for d.percent < d.plain {
		c, n := unescaped(d.text, d.percent)
		if c == '.' {
			return d.percent, d.percent + n
		}
		d.percent = d.index('%', d.percent+n)
	}
	if d.plain == len(d.text) {
		return -1, 0
	}
	return d.plain, d.plain + 1
}

func (d *dotFinder) index(c byte, from int) int {
	if i := strings.IndexByte(d.text[from:], c); i >= 0 {
		return from + i
	}
	return len(d.text)
}

// opens are the bytes with which the base64url of a brace or white space begins, and
// every byte that is percent-encoded.
var opens = [256]bool{'e': true, 'C': true, 'D': true, 'I': true, '%': true}

// jwtAt looks for a token that begins at i. If there is one, it returns the end and
// what to write in its place. If there is none and none can begin before end, it
// returns only that; otherwise i.
func jwtAt(text string, i int) (end int, replacement string) {
	if !opens[text[i]] || !beginsObject(text, i) {
		return i, ""
	}
	end, dots := i, 0
	var second, third int // where the second and the third dot-separated part begin
	empty := false        // one of the first three parts is
	last := byte('.')
	for end < len(text) {
		c, n := unescaped(text, end)
		if digits[c] == noDigit && c != '.' && c != '=' || digits[c] != noDigit && last == '=' {
			break
		}
		if c == '.' {
			dots++
			empty = empty || last == '.' && dots <= 3
			switch dots {
			case 1:
				second = end + n
			case 2:
				third = end + n
			}
		}
		last = c
		end += n
	}
	switch {
	case dots == 0:
		return end, "" // and no later start has a dot either
	case second == end:
		return end, "" // a header and the end of a sentence
	case dots == 1, empty, third == end:
		return end, Redacted
	}
	return end, "jwt:" + fingerprintOfFirst(text[i:end]).String()
}

// beginOfEscape is where the escape of JSON (RFC 8259 section 7) begins of which text has
// the last digit at i; otherwise i. In a line that is JSON, half of one must not be left:
// a control character 1E before yJhbGciOi is written as \u001eyJhbGciOi.
func beginOfEscape(text string, i int) int {
	begin := i - len(`\u001`)
	if begin < 0 || text[begin] != '\\' || text[begin+1] != 'u' {
		return i
	}
	if before := strings.TrimRight(text[:begin], `\`); (begin-len(before))%2 == 1 {
		return i // the backslash is escaped itself
	}
	return begin
}

// fingerprintOfFirst is the fingerprint of the token that the escaped text begins
// with; something like a file extension may follow.
func fingerprintOfFirst(text string) Fingerprint {
	var token strings.Builder
	token.Grow(len(text))
	for i, dots := 0, 0; i < len(text); {
		c, n := unescaped(text, i)
		if c == '.' {
			dots++
		}
		if dots == 3 {
			break
		}
		token.WriteByte(c)
		i += n
	}
	return FingerprintOf(token.String())
}

// These bound how far an object is looked into, so that Redact takes linear time: what
// has no brace, or no name, by then is taken for a token. White space has the tighter
// bound, because each byte of it may be the one that an object begins with.
const (
	maxSpaceBytes = 16
	maxNameBytes  = 256
)

// beginsObject reports whether the base64url at i decodes to the beginning of a JSON
// object: a brace, a name, and a colon, with white space before each (RFC 8259 section
// 2). Less would find honeyJar.txt.
func beginsObject(text string, i int) bool {
	const (
		brace = iota
		quote
		name
		escape
		colon
	)
	state, bits, held := brace, uint32(0), 0
	for seen := 0; i < len(text); {
		if seen == maxNameBytes || seen == maxSpaceBytes && state == brace {
			return true
		}
		c, n := unescaped(text, i)
		digit := digits[c]
		if digit == noDigit {
			return false
		}
		i += n
		bits, held = bits<<6|uint32(digit), held+6
		if held < 8 {
			continue
		}
		held -= 8
		b := byte(bits >> held)
		seen++
		space := b == ' ' || b == '\t' || b == '\r' || b == '\n'
		switch {
		case state == brace && b == '{':
			state = quote
		case state == quote && b == '"':
			state = name
		case state == name && b == '"':
			state = colon
		case state == name && b == '\\':
			state = escape
		case state == escape && b >= ' ':
			state = name
		case state == colon && b == ':':
			return true
		case state != name && state != escape && space, state == name && b >= ' ':
		default:
			return false
		}
	}
	return false
}

// unescaped returns the byte that text means at i, however often it is
// percent-encoded (%2E, %252E), and how long it is written. A percent sign that
// introduces nothing means itself.
func unescaped(text string, i int) (c byte, n int) {
	c, n = text[i], 1
	for c == '%' && i+n+1 < len(text) {
		high, low := unhex(text[i+n]), unhex(text[i+n+1])
		if high > 15 || low > 15 {
			break
		}
		c = high<<4 | low
		n += 2
	}
	return c, n
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
