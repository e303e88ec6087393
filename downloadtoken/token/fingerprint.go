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

// FingerprintOf returns the fingerprint of a text that begins as a token does, a
// malformed one too: it covers the text up to its last dot. Every other text has the
// zero value: it may be a password that was typed in the place of a token, and what a
// person can remember can be guessed from a hash.
func FingerprintOf(text string) Fingerprint {
	end := strings.LastIndexByte(text, '.')
	if end < 0 || !beginsObject(text, 0) {
		return Fingerprint{}
	}
	s := takeScratch()
	defer s.giveBack()
	return s.fingerprint(text[:end])
}

func (s *scratch) fingerprint(signed string) Fingerprint {
	sum := sha256.Sum256(s.bytes(signed))
	return Fingerprint(sum[:8])
}

// String returns 16 hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }
