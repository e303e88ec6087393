package rules

import (
	"encoding/hex"
	"testing"
)

// TestKeyIsFixed pins the layout: a key that changes between two versions is a
// token honoured twice.
func TestKeyIsFixed(t *testing.T) {
	got := NewKey(Signer{1, 2, 3}, "https://issuer.example", "n-1", "/a/b")
	const want = "0da83554ad4fc7a9101720819a34166ba0503f06dcdaf1f03babd01dc54205e4"
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestKeysAreApart(t *testing.T) {
	keys := map[Key]string{}
	for _, k := range []struct {
		name                string
		signer              Signer
		issuer, nonce, path string
	}{
		{"plain", Signer{1}, "iss", "nonce", ""},
		{"another signer", Signer{2}, "iss", "nonce", ""},
		{"another issuer", Signer{1}, "iss2", "nonce", ""},
		{"no issuer", Signer{1}, "", "nonce", ""},
		{"another nonce", Signer{1}, "iss", "nonce2", ""},
		{"a path", Signer{1}, "iss", "nonce", "/a"},
		{"another path", Signer{1}, "iss", "nonce", "/a/"},
		{"moved boundary", Signer{1}, "issn", "once", ""},
		{"nonce as issuer", Signer{1}, "nonce", "iss", ""},
		{"path in nonce", Signer{1}, "iss", "nonce/a", ""},
		{"path for nonce", Signer{1}, "iss", "", "nonce"},
		{"length in nonce", Signer{1}, "", "iss\x00\x00\x00\x00\x00\x00\x00\x05nonce", ""},
		{"NUL", Signer{1}, "iss", "nonce\x00", ""},
	} {
		key := NewKey(k.signer, k.issuer, k.nonce, k.path)
		if other, taken := keys[key]; taken {
			t.Errorf("%q has the key of %q", k.name, other)
		}
		keys[key] = k.name
	}
}
