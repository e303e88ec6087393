package issuer

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

var testReceipt = receipt{token.FingerprintOf("a.b.c"), time.Unix(1785664920, 0)}

func TestReceipts(t *testing.T) {
	s := newSealer(testSigner(t, "HS256"))
	for _, user := range []string{"", "alice", "ünï\x00code", strings.Repeat("x", 10000)} {
		sealed := s.seal(testReceipt, user)
		if len(sealed) != 43 {
			t.Errorf("%q", sealed)
		}
		if got, ok := s.open(sealed, user); !ok || got.fingerprint != testReceipt.fingerprint || !got.expires.Equal(testReceipt.expires) {
			t.Errorf("%+v, %v", got, ok)
		}
		for _, other := range []string{"bob", "", "alice", "alice\x00"} {
			if _, ok := s.open(sealed, other); ok != (other == user) {
				t.Errorf("the receipt of %.10q opened by %q: %v", user, other, ok)
			}
		}
	}
	// every server with the key reads it, and none with another
	sealed := s.seal(testReceipt, "alice")
	if _, ok := newSealer(testSigner(t, "HS512")).open(sealed, "alice"); !ok {
		t.Error("not read with the same key")
	}
	other, _, err := newSigner(&SigningKey{Alg: "HS256", Key: testSecret + "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := newSealer(other).open(sealed, "alice"); ok {
		t.Error("read with another key")
	}
}

// TestForgedReceipts changes each bit.
func TestForgedReceipts(t *testing.T) {
	s := newSealer(testSigner(t, "HS256"))
	good, err := base64.RawURLEncoding.DecodeString(s.seal(testReceipt, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		forged := append([]byte(nil), good...)
		forged[i/8] ^= 1 << (i % 8)
		if _, ok := s.open(base64.RawURLEncoding.EncodeToString(forged), "alice"); ok {
			t.Errorf("bit %d may be changed", i)
		}
	}
	for _, forged := range [][]byte{good[:31], append(good, 0), nil} {
		if _, ok := s.open(base64.RawURLEncoding.EncodeToString(forged), "alice"); ok {
			t.Errorf("%d bytes are accepted", len(forged))
		}
	}
}

func FuzzReceipt(f *testing.F) {
	s := newSealer(testSigner(f, "HS256"))
	sealed := s.seal(testReceipt, "alice")
	f.Add(sealed)
	f.Add(sealed[:42] + "A")
	f.Add("")
	f.Add("\n" + sealed)
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := s.open(text, "alice"); ok && text != sealed {
			t.Fatalf("%q is accepted", text)
		}
	})
}

func TestPrefersCollection(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                    false,
		"*/*":                                 false,
		plainJSON:                             false,
		"text/*":                              false,
		"nonsense":                            false,
		"application/vnd.collection+json;q=x": false,
		collectionJSON:                        true,
		"Application/VND.collection+JSON":     true,
		collectionJSON + ";q=0":               false,
		"application/json, " + collectionJSON: true,
		"application/json, " + collectionJSON + ";q=0.5":         false,
		"application/json;q=0.5," + collectionJSON + ";q=0.8":    true,
		"text/html, " + collectionJSON + "; charset=utf-8, */*":  true,
		"application/json;q=0.9, */*;q=0.1, text/html;level=1,,": false,
	} {
		if got := prefersCollection([]string{accept}); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
	if !prefersCollection([]string{"text/html", collectionJSON}) {
		t.Error("the second field is not read")
	}
}
