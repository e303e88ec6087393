package token

import (
	"crypto/ed25519"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
)

// TestKeysOfSmallOrder shows, with each key that is refused, a signature made
// without a private key, and that crypto/ed25519 accepts it.
func TestKeysOfSmallOrder(t *testing.T) {
	for _, y := range smallOrder {
		for _, sign := range []byte{0, 0x80} {
			key, err := hex.DecodeString(y)
			if err != nil {
				t.Fatal(err)
			}
			key[31] |= sign
			if !forgeable(key) && sign == 0 { // with the other sign, some are no points at all
				t.Errorf("%x: nothing can be forged, so why refuse it?", key)
			}
			if _, err := NewKey("EdDSA", ed25519.PublicKey(key)); err == nil || !strings.Contains(err.Error(), "small order") {
				t.Errorf("%x: %v", key, err)
			}
		}
	}
	key := public(signers()["EdDSA"]).(ed25519.PublicKey)
	if forgeable(key) {
		t.Error("a real key is forgeable: this test shows nothing")
	}
}

// forgeable tries signatures with S = 0 and an R of small order.
func forgeable(key ed25519.PublicKey) bool {
	for i := range 100 {
		for _, y := range smallOrder {
			r, _ := hex.DecodeString(y)
			for range 2 {
				if ed25519.Verify(key, []byte(strconv.Itoa(i)), append(r, make([]byte, 32)...)) {
					return true
				}
				r[31] ^= 0x80
			}
		}
	}
	return false
}
