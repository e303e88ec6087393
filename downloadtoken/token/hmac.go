package token

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
)

// macKey is an HMAC key (RFC 2104), prepared: its two pads are a block of the hash each.
// HMAC is put together here, out of hashes of whole texts, because crypto/hmac allocates
// for each of its own.
type macKey struct {
	hash         crypto.Hash
	inner, outer []byte
}

// maxMAC and maxBlock are those of the largest hash, in bytes.
const (
	maxMAC   = sha512.Size
	maxBlock = sha512.BlockSize
)

// newMACKey prepares a key for SHA-256, SHA-384 or SHA-512.
func newMACKey(hash crypto.Hash, key []byte) *macKey {
	block := hash.New().BlockSize()
	s := &macKey{hash, make([]byte, block), make([]byte, block)}
	if len(key) > block {
		h := hash.New()
		h.Write(key)
		key = h.Sum(nil)
	}
	copy(s.inner, key)
	copy(s.outer, key)
	for i := range block {
		s.inner[i] ^= 0x36
		s.outer[i] ^= 0x5c
	}
	return s
}

// verify tells whether mac is that of the text, in constant time.
func (s *macKey) verify(text string, mac []byte) bool {
	var room [maxBlock + smallToken]byte
	var inside [maxBlock + maxMAC]byte
	var want [maxMAC]byte
	hashed := s.sum(&want, append(append(room[:0], s.inner...), text...))
	outside := append(append(inside[:0], s.outer...), hashed...)
	return hmac.Equal(s.sum(&want, outside), mac)
}

// sum hashes a text into room.
func (s *macKey) sum(room *[maxMAC]byte, text []byte) []byte {
	switch s.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(text)
		return room[:copy(room[:], sum[:])]
	case crypto.SHA384:
		sum := sha512.Sum384(text)
		return room[:copy(room[:], sum[:])]
	}
	sum := sha512.Sum512(text)
	return room[:copy(room[:], sum[:])]
}
