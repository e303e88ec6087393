package token

import "strings"

// MaxLength is the length in bytes above which a text is refused unread. Real
// download tokens have a few hundred; header lines of 8 KiB are what most servers
// in front of us allow.
const MaxLength = 8192

// A compact is a JWS in compact form (RFC 7515 7.1), cut at its dots and not
// decoded.
type compact struct {
	header, payload, signature string
	signed                     string // header, dot, payload: what the signature covers
}

// IsCompact reports whether a text has the form of a token, alone and whole. Nothing
// of it is verified.
func IsCompact(text string) bool {
	_, err := screen(text)
	return err == nil && beginsObject(text, 0)
}

// screen cuts a text into its three parts, or refuses it, before anything is
// decoded or allocated.
//
// Only the JWT alphabet may pass ("Check JWT Format Type", RFC 8725bis): Go's
// base64 skips CR and LF, which a query can carry, so without it one token would
// have any number of spellings.
func screen(text string) (compact, error) {
	if len(text) > MaxLength {
		return compact{}, ErrTooLarge
	}
	first := strings.IndexByte(text, '.')
	if first < 0 {
		return compact{}, errShape
	}
	second := strings.IndexByte(text[first+1:], '.')
	if second < 0 {
		return compact{}, errShape
	}
	second += first + 1
	parts := compact{
		header:    text[:first],
		payload:   text[first+1 : second],
		signature: text[second+1:],
		signed:    text[:second],
	}
	if !isBase64url(parts.header) || !isBase64url(parts.payload) || !isBase64url(parts.signature) {
		return compact{}, errShape
	}
	return parts, nil
}

// isBase64url reports whether there is something, and all of it of the alphabet.
func isBase64url(text string) bool {
	if text == "" {
		return false
	}
	all := byte(0)
	for ; len(text) >= 8; text = text[8:] { // several at a time, since this is done for every request
		all |= digits[text[0]] | digits[text[1]] | digits[text[2]] | digits[text[3]] |
			digits[text[4]] | digits[text[5]] | digits[text[6]] | digits[text[7]]
	}
	for i := range len(text) {
		all |= digits[text[i]]
	}
	return all != noDigit
}

// digits holds the values of the base64url digits (RFC 4648 5), and noDigit for every
// other byte.
var digits = func() (values [256]byte) {
	for i := range values {
		values[i] = noDigit
	}
	for value, digit := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		values[digit] = byte(value)
	}
	return values
}()

// noDigit holds every bit, so that nothing takes it back out of a sum.
const noDigit = 0xff
