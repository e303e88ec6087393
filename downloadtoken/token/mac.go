package token

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha512"
	"hash"
	"sync"
)

// macs verifies HMAC (RFC 2104) under one secret. Its hashes are used again: from the
// second time on, they begin with the secret already in them.
type macs struct{ pool sync.Pool }

type mac struct {
	hash.Hash
	sum [sha512.Size]byte
}

func newMACs(hash crypto.Hash, secret []byte) *macs {
	return &macs{sync.Pool{New: func() any { return &mac{Hash: hmac.New(hash.New, secret)} }}}
}

// verify compares in constant time.
func (m *macs) verify(signed, signature []byte) bool {
	h := m.pool.Get().(*mac)
	defer m.pool.Put(h)
	h.Reset()
	h.Write(signed)
	return hmac.Equal(h.Sum(h.sum[:0]), signature)
}
