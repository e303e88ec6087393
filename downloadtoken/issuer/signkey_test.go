package issuer

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

const testSecret = "planted-secret-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-x"

var testNow = time.Date(2026, 8, 2, 10, 0, 0, 123_900_000, time.UTC)

// testKeys are signing keys for every algorithm, by their name and form.
func testKeys(t testing.TB) map[string][]SigningKey {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string][]SigningKey{}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		keys[alg] = []SigningKey{
			{Alg: alg, Key: testSecret},
			{Alg: alg, Key: "base64:" + base64.StdEncoding.EncodeToString([]byte(testSecret))},
			{Alg: alg, Key: "base64:" + base64.RawURLEncoding.EncodeToString([]byte(testSecret)) + "\n"},
		}
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[alg] = []SigningKey{
			{Alg: alg, Key: pkcs8(t, rsaKey)},
			{Alg: alg, Key: pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)) + "\n"},
		}
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sec1, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		keys[alg] = []SigningKey{{Alg: alg, Key: pkcs8(t, key)}, {Alg: alg, Key: pemOf("EC PRIVATE KEY", sec1)}}
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys["EdDSA"] = []SigningKey{{Alg: "EdDSA", Key: pkcs8(t, edKey)}}
	return keys
}

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func testSigner(t testing.TB, alg string) *sign.Signer {
	t.Helper()
	s, _, err := newSigner(&SigningKey{Alg: alg, Key: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSigningKeys signs with every algorithm and form of key; the verifying side
// of this plugin must accept it, and all forms of a key must be the same key.
func TestSigningKeys(t *testing.T) {
	for alg, forms := range testKeys(t) {
		var first *sign.Signer
		for i, k := range forms {
			t.Run(fmt.Sprintf("%s %d", alg, i+1), func(t *testing.T) {
				k.KeyID = "main"
				s, _, err := newSigner(&k)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = s
				}
				if own, other := s.Key(), first.Key(); own.Fingerprint() != other.Fingerprint() || string(s.Derive("x")) != string(first.Derive("x")) {
					t.Error("another key than that of the first form")
				}
				if string(s.Derive("x")) == string(s.Derive("y")) {
					t.Error("derives the same for everything")
				}
				m := minter{signer: s, nonce: "jti", ttl: time.Minute}
				got, err := m.mint(caddy.NewReplacer(), testNow)
				if err != nil {
					t.Fatal(err)
				}
				own := token.Verifier{Keys: mustTable(t, s)}
				verified, err := own.Verify(context.Background(), got.text)
				if err != nil {
					t.Fatal(err)
				}
				if verified.KeyID != "main" || verified.Alg != alg || verified.Typ != "JWT" || verified.Fingerprint != got.fingerprint {
					t.Errorf("%+v", verified)
				}
			})
		}
	}
}

func TestSigningKeyErrors(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := testKeys(t)["ES256"][0].Key
	for _, tt := range []struct {
		name, alg, key, want string
	}{
		{"no algorithm", "", testSecret, "unknown algorithm"},
		{"none", "none", testSecret, "anybody could write a token"},
		{"lower case", "hs256", testSecret, "write HS256"},
		{"a short secret", "HS256", testSecret[:31], "31 bytes"},
		{"a short secret in base64", "HS256", "base64:" + base64.StdEncoding.EncodeToString([]byte(testSecret[:31])), "31 bytes"},
		{"bad base64", "HS256", "base64:" + testSecret + "!", "cannot be decoded"},
		{"PEM as a secret", "HS256", ec, "PEM text"},
		{"no PEM", "ES256", testSecret, "not PEM"},
		{"a weak RSA key", "RS256", pkcs8(t, weak), "1024 bits"},
		{"another algorithm", "RS256", ec, "write one of ES256"},
		{"another curve", "ES384", ec, "write one of ES256"},
		{"an unknown curve", "ES256", pkcs8(t, p224), "no algorithm uses"},
		{"a key that does not sign", "EdDSA", pkcs8(t, exchange), "key that signs"},
		{"cut off", "ES256", ec[:len(ec)-10], "cannot be read"},
		{"text after it", "ES256", ec + "x", "cannot be read"},
		{"two", "ES256", ec + ec, "more than one"},
		{"a truncated body", "ES256", pemOf("PRIVATE KEY", []byte(testSecret)), "cannot be read"},
		{"another type", "ES256", pemOf("OPENSSH PRIVATE KEY", []byte(testSecret)), "unknown type"},
		{"escaped line breaks", "ES256", strings.ReplaceAll(ec, "\n", `\n`), "real line breaks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := newSigner(&SigningKey{Alg: tt.alg, Key: tt.key})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			for _, part := range []string{"planted", ec[30:60]} {
				if strings.Contains(fmt.Sprint(err, warnings), part) {
					t.Errorf("the error holds the key: %v", err)
				}
			}
		})
	}
}

// TestSignerShowsNothing formats the handler in every way that a log may.
func TestSignerShowsNothing(t *testing.T) {
	t.Setenv("SIGNING_KEY", testSecret)
	i := &Issuer{Key: &SigningKey{Alg: "HS256", Key: "{env.SIGNING_KEY}"}}
	s, _, err := newSigner(i.Key)
	if err != nil {
		t.Fatal(err)
	}
	i.minter, i.sealer = &minter{signer: s}, newSealer(s)
	i.own = &token.Verifier{Keys: mustTable(t, s)}
	asJSON, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(asJSON), fmt.Sprintf("%v %+v %#v", i, i, i), fmt.Sprintf("%+v %#v", *s, *s)} {
		for _, secret := range []string{testSecret, fmt.Sprint([]byte(testSecret))} {
			if strings.Contains(text, secret) {
				t.Errorf("shows the key: %s", text)
			}
		}
	}
}

func TestSigningKeyWarnings(t *testing.T) {
	_, warnings, err := newSigner(&SigningKey{Alg: "HS512", Key: testSecret[:32]})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "RFC 7518") {
		t.Error(warnings, err)
	}
}
