package e2e

import (
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
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func publicPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestSignatureSpellings: a signature that everybody can write in another way, or that
// another algorithm makes of the same key, is no second use, and revoking one spelling
// revokes all.
func TestSignatureSpellings(t *testing.T) {
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body := "download_token {\n"
	for alg, key := range map[string]any{"ES256": &ecdsaKey.PublicKey, "RS256": &rsaKey.PublicKey, "PS256": &rsaKey.PublicKey, "EdDSA": edPublic} {
		body += fmt.Sprintf("key %s `%s`\n", alg, publicPEM(t, key))
	}
	timed := body + "scope any\n}\nfile_server"
	s := start(t, map[string]string{"a.txt": "a"}, body+"scope any\nmax_ttl 10m\none_time\n}\nfile_server")

	edit := func(token string, change func(signature []byte) []byte) string {
		cut := strings.LastIndexByte(token, '.') + 1
		signature, err := base64.RawURLEncoding.DecodeString(token[cut:])
		if err != nil {
			t.Fatal(err)
		}
		return token[:cut] + base64.RawURLEncoding.EncodeToString(change(signature))
	}
	negated := func(b []byte) []byte { // r, n-s
		other := new(big.Int).Sub(ecdsaKey.Params().N, new(big.Int).SetBytes(b[32:]))
		return append(b[:32:32], other.FillBytes(make([]byte, 32))...)
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	raised := func(b []byte) []byte { // R, S+l
		little := make([]byte, 32)
		for i, c := range b[32:] {
			little[31-i] = c
		}
		sum := new(big.Int).Add(new(big.Int).SetBytes(little), order).FillBytes(make([]byte, 32))
		out := append([]byte(nil), b[:32]...)
		for i := range sum {
			out = append(out, sum[31-i])
		}
		return out
	}
	longer := func(b []byte) []byte { return append(b, 0) }
	doubled := func(b []byte) []byte { return append([]byte{0}, b...) }

	opens := func(token string) int { return s.get("/a.txt?download_token=" + token).StatusCode }
	for name, tt := range map[string]struct {
		method   jwt.SigningMethod
		key      any
		change   func([]byte) []byte
		verifies bool
	}{
		"ES256, n-s":            {jwt.SigningMethodES256, ecdsaKey, negated, true},
		"ES256, longer":         {jwt.SigningMethodES256, ecdsaKey, longer, false},
		"ES256, leading zero":   {jwt.SigningMethodES256, ecdsaKey, doubled, false},
		"EdDSA, S+l":            {jwt.SigningMethodEdDSA, edKey, raised, false},
		"EdDSA, longer":         {jwt.SigningMethodEdDSA, edKey, longer, false},
		"RS256, longer":         {jwt.SigningMethodRS256, rsaKey, longer, false},
		"RS256, leading zero":   {jwt.SigningMethodRS256, rsaKey, doubled, false},
		"PS256, leading zero":   {jwt.SigningMethodPS256, rsaKey, doubled, false},
		"PS256, the same again": {jwt.SigningMethodPS256, rsaKey, func(b []byte) []byte { return b }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			token := mintWith(t, tt.method, tt.key, claims{"jti": rand.Text()})
			if status := opens(edit(token, tt.change)); (status == http.StatusOK) != tt.verifies {
				t.Errorf("the other spelling: %d", status)
			}
			if status := opens(token); (status == http.StatusOK) == tt.verifies {
				t.Errorf("the token itself: %d", status)
			}
		})
	}
	t.Run("one RSA key, two algorithms", func(t *testing.T) {
		s.t = t
		jti := rand.Text()
		if status := opens(mintWith(t, jwt.SigningMethodRS256, rsaKey, claims{"jti": jti})); status != http.StatusOK {
			t.Errorf("RS256: %d", status)
		}
		if status := opens(mintWith(t, jwt.SigningMethodPS256, rsaKey, claims{"jti": jti})); status != http.StatusUnauthorized {
			t.Errorf("PS256: %d", status)
		}
	})
	t.Run("revoked by another spelling", func(t *testing.T) {
		s.t = t
		if err := s.reload(timed); err != nil {
			t.Fatal(err)
		}
		token := mintWith(t, jwt.SigningMethodES256, ecdsaKey, nil)
		s.get("/a.txt?download_token="+token).want(t, http.StatusOK)
		if status, answer := s.revoke(`{"token":"` + edit(token, negated) + `"}`); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		for name, text := range map[string]string{"as it was": token, "n-s": edit(token, negated), "percent-coded": strings.ReplaceAll(token, ".", "%2e")} {
			if status := opens(text); status != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, status)
			}
		}
	})
}

// TestAPublicKeyIsNoSecret signs with what everybody can know of a key, and with keys
// that the token brings along.
func TestAPublicKeyIsNoSecret(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := func(key *rsa.PrivateKey) map[string]any {
		return map[string]any{"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig", "n": b64(key.N.Bytes()), "e": "AQAB"}
	}
	set, err := json.Marshal(map[string]any{"keys": []any{jwk(key)}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	public := publicPEM(t, &key.PublicKey)
	block, _ := pem.Decode([]byte(public))
	for name, keys := range map[string]string{
		"key":  "key RS256 `" + public + "` {\nkid k\n}\n",
		"jwks": "jwks " + file + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "a"}, "download_token {\n"+keys+"scope any\n}\nfile_server")
			signed := func(method jwt.SigningMethod, key any, header map[string]any) int {
				token := jwt.NewWithClaims(method, claims{"exp": time.Now().Unix() + 60})
				token.Header["kid"] = "k"
				for name, value := range header {
					token.Header[name] = value
					if value == nil {
						delete(token.Header, name)
					}
				}
				text, err := token.SignedString(key)
				if err != nil {
					t.Fatal(err)
				}
				return s.get("/a.txt?download_token=" + text).StatusCode
			}
			if status := signed(jwt.SigningMethodRS256, key, nil); status != http.StatusOK {
				t.Fatalf("the real key: %d", status)
			}
			single, _ := json.Marshal(jwk(key))
			for what, secret := range map[string][]byte{
				"PEM": []byte(public), "PEM without its last line end": []byte(strings.TrimSpace(public)), "DER": block.Bytes, "PKCS #1": x509.MarshalPKCS1PublicKey(&key.PublicKey),
				"modulus": key.N.Bytes(), "JWK": single, "set": set, "nothing": {}, "kid": []byte("k"),
			} {
				for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS512} {
					for _, header := range []map[string]any{nil, {"kid": nil}, {"alg": "RS256"}, {"kid": "../../../dev/null"}} {
						if status := signed(method, secret, header); status != http.StatusUnauthorized {
							t.Errorf("%s with %s, %v: %d", method.Alg(), what, header, status)
						}
					}
				}
			}
			for _, header := range []map[string]any{
				nil, {"kid": nil}, {"jwk": jwk(own)}, {"jku": "file://" + file}, {"x5u": "http://" + s.admin + "/"}, {"x5c": []string{base64.StdEncoding.EncodeToString(own.N.Bytes())}},
				{"alg": "none"}, {"alg": "PS256"}, {"alg": "rs256"},
			} {
				if status := signed(jwt.SigningMethodRS256, own, header); status != http.StatusUnauthorized {
					t.Errorf("a key of one's own, %v: %d", header, status)
				}
			}
			if status := signed(jwt.SigningMethodPS256, key, nil); status != http.StatusUnauthorized {
				t.Errorf("the real key, as PS256: %d", status)
			}
		})
	}
}
