package rules

import (
	"crypto/sha256"
	"encoding/binary"
)

// Signer is the fingerprint of the key that verified a token. Everything that
// a store remembers is kept apart by it, so that one tenant's tokens can
// neither collide with another's nor make another's unproven.
type Signer [32]byte

// Key is what an entry is found by. Build it with [NewKey].
type Key [32]byte

// keyVersion is hashed into every key. A change to how keys are built must
// change it, and [Presentation.Policy] with it: entries under old keys would
// otherwise be overlooked, and their tokens honoured again.
const keyVersion = 1

// NewKey derives the key of a one-time token from verified claims only: the
// issuer (claim iss, "" if there is none) and the nonce (jti or nonce claim).
// The path is "" where the token counts once as a whole, and the requested
// path where it counts once for each file (RFC 9246 section 2.1.10).
//
// The key is never derived from the token text: one token has many spellings
// that all verify. Every field is hashed behind its length, so that no two
// different sets of fields run together.
func NewKey(signer Signer, issuer, nonce, path string) Key {
	b := make([]byte, 0, 512)
	b = append(b, keyVersion)
	b = append(b, signer[:]...)
	for _, field := range [...]string{issuer, nonce, path} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
		b = append(b, field...)
	}
	return sha256.Sum256(b)
}
