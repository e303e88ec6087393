package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

func TestMint(t *testing.T) {
	claims, err := prepareClaims([]Claim{{"typ", "download"}, {"user", "{x}"}, {"none", "{empty}"}}, "nonce")
	if err != nil {
		t.Fatal(err)
	}
	m := minter{signer: testSigner(t, "HS256"), claims: claims, nonce: "nonce", ttl: 2 * time.Minute}
	got, err := m.mint(replacer("alice"), testNow)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(got.text, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	if string(header) != `{"alg":"HS256","typ":"JWT"}` {
		t.Errorf("header %s", header)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	// 10:00:00.1239 UTC: iat is cut to milliseconds, exp to seconds
	want := `^\{"typ":"download","user":"alice","nonce":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","iat":1785664800\.123,"exp":1785664920\}$`
	if !regexp.MustCompile(want).Match(payload) {
		t.Errorf("payload %s", payload)
	}
	if !got.issued.Equal(testNow.Truncate(time.Millisecond)) || got.expires.Unix() != 1785664920 {
		t.Errorf("%v, %v", got.issued, got.expires)
	}

	// as strict as a verifier can be: not a millisecond before it was made
	verifier, rules := token.Verifier{Keys: mustTable(t, m.signer)}, token.Rules{MaxTTL: 2 * time.Minute, OneTime: true}
	if err := accepted(&verifier, rules, got.text, testNow); err != nil {
		t.Error(err)
	}
	again, err := m.mint(replacer("alice"), testNow)
	if err != nil || again.text == got.text || again.fingerprint == got.fingerprint {
		t.Error("two tokens are the same", err)
	}
}

// TestMintNeverOutlives mints at every millisecond of a second.
func TestMintNeverOutlives(t *testing.T) {
	m := minter{signer: testSigner(t, "HS256"), ttl: time.Second}
	verifier, rules := token.Verifier{Keys: mustTable(t, m.signer)}, token.Rules{MaxTTL: time.Second, OneTime: true}
	for ms := range 1000 {
		now := testNow.Truncate(time.Second).Add(time.Duration(ms)*time.Millisecond + 999*time.Microsecond)
		got, err := m.mint(caddy.NewReplacer(), now)
		if err != nil {
			t.Fatal(err)
		}
		if err := accepted(&verifier, rules, got.text, now); err != nil {
			t.Fatalf("at %v: %v", now, err)
		}
		if life := got.expires.Sub(now); life <= 0 || life > time.Second {
			t.Fatalf("at %v: lives for %v", now, life)
		}
	}
}

// accepted reports why a token would be refused.
func accepted(v *token.Verifier, rules token.Rules, text string, now time.Time) error {
	t, err := v.Verify(context.Background(), text)
	if err != nil {
		return err
	}
	return rules.Accept(t, now)
}

func mustTable(t testing.TB, s *sign.Signer) *token.Table {
	t.Helper()
	table, err := token.NewTable(s.Key())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMintTooLarge(t *testing.T) {
	claims, err := prepareClaims([]Claim{{"x", "{x}"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	m := minter{signer: testSigner(t, "HS256"), claims: claims, ttl: time.Minute}
	refused := false
	for size := 5900; size < 6300; size++ {
		got, err := m.mint(replacer(strings.Repeat("x", size)), testNow)
		switch {
		case err == nil && (refused || len(got.text) > token.MaxLength):
			t.Fatalf("%d: a token of %d bytes", size, len(got.text))
		case err != nil && !errors.Is(err, token.ErrTooLarge):
			t.Fatal(err)
		}
		refused = err != nil
	}
	if !refused {
		t.Error("no size is too large")
	}
}

func TestRecognise(t *testing.T) {
	s := testSigner(t, "HS256")
	own := &token.Verifier{Keys: mustTable(t, s)}
	sign := func(key string, claims jwt.MapClaims) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	at := testNow.Unix()
	for _, tt := range []struct {
		name string
		text string
		want int64 // 0 if it is not recognised
	}{
		{"valid", sign(testSecret, jwt.MapClaims{"exp": at + 60}), at + 61},
		{"expired", sign(testSecret, jwt.MapClaims{"exp": at - 60}), at - 59},
		{"not yet valid", sign(testSecret, jwt.MapClaims{"exp": at + 60, "nbf": at + 30}), at + 61},
		{"for an audience", sign(testSecret, jwt.MapClaims{"exp": at + 60, "aud": "x"}), at + 61},
		{"a fraction", sign(testSecret, jwt.MapClaims{"exp": float64(at) + 60.5}), at + 61},
		{"another key", sign(testSecret+"x", jwt.MapClaims{"exp": at + 60}), 0},
		{"no exp", sign(testSecret, jwt.MapClaims{"sub": "x"}), 0},
		{"changed", sign(testSecret, jwt.MapClaims{"exp": at + 60}) + "A", 0},
		{"no token", "abc", 0},
		{"nothing", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := recognise(own, tt.text)
			if ok != (tt.want != 0) || ok && (r.expires.Unix() != tt.want || r.fingerprint != token.FingerprintOf(tt.text)) {
				t.Errorf("%+v, %v", r, ok)
			}
		})
	}
}

func BenchmarkMint(b *testing.B) {
	claims, err := prepareClaims([]Claim{{"sub", "{x}"}, {"scope", "dataset:{y}"}, {"typ", "download"}}, "jti")
	if err != nil {
		b.Fatal(err)
	}
	for alg, keys := range testKeys(b) {
		if len(alg) != 5 || !strings.HasSuffix(alg, "256") && alg != "EdDSA" {
			continue
		}
		s, _, err := newSigner(&keys[0])
		if err != nil {
			b.Fatal(err)
		}
		b.Run(alg, func(b *testing.B) {
			m := minter{signer: s, claims: claims, nonce: "jti", ttl: time.Minute}
			repl := replacer("alice")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.mint(repl, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
