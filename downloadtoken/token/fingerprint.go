package token

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Fingerprint names a token where the token itself must not be written. It is the
// first 8 bytes of SHA-256 over the signing input, so that every spelling of the
// signature has the same.
type Fingerprint [8]byte

// FingerprintOf returns the fingerprint of any text, a malformed one too: it covers
// the text up to its last dot, or all of it. No text has the zero value.
func FingerprintOf(text string) Fingerprint {
	if text == "" {
		return Fingerprint{}
	}
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		text = text[:i]
	}
	sum := sha256.Sum256([]byte(text))
	return Fingerprint(sum[:8])
}

// String returns 16 hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }
