package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestIssuedTokensElsewhere lets other libraries verify what the issuer signs.
// PyJWT, and jose with maxTokenAge, know the time in whole seconds only, so that
// an iat with milliseconds lies in their future until the next one begins: they
// need a leeway of a second.
func TestIssuedTokensElsewhere(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		alg             string
		private, public any
	}{
		{"HS256", nil, []byte(secret)},
		{"HS512", nil, []byte(secret)},
		{"RS256", rsaKey, &rsaKey.PublicKey},
		{"PS256", rsaKey, &rsaKey.PublicKey},
		{"ES256", ecKey, &ecKey.PublicKey},
		{"EdDSA", edKey, edPublic},
	} {
		t.Run(tt.alg, func(t *testing.T) {
			signing, verifying := filepath.Join(t.TempDir(), "signing"), filepath.Join(t.TempDir(), "verifying")
			if tt.private == nil {
				write(t, signing, secret)
				write(t, verifying, secret)
			} else {
				private, err := x509.MarshalPKCS8PrivateKey(tt.private)
				if err != nil {
					t.Fatal(err)
				}
				public, err := x509.MarshalPKIXPublicKey(tt.public)
				if err != nil {
					t.Fatal(err)
				}
				write(t, signing, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
				write(t, verifying, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
			}
			s := startApart(t, map[string]string{"a.txt": "a"}, "", fmt.Sprintf(`handle /tokens {
		download_token_issuer {
			key %[1]s {file.%[2]s} {
				kid main
			}
			ttl 1m
			one_time
			claim iss https://app.example.com
			claim aud `+"`"+`["files", "other"]`+"`"+`
			claim sub ünïcode
			claim deep `+"`"+`{"a": [1, null, {"b": "<&>"}]}`+"`"+`
			anonymous
		}
	}
	handle {
		download_token {
			key %[1]s {file.%[3]s} {
				kid main
				issuer https://app.example.com
			}
			audience files
			max_ttl 1m
			scope any
			one_time
		}
		file_server
	}`, tt.alg, signing, verifying))
			token := s.do(http.MethodPost, "/tokens").want(t, http.StatusCreated).wantToken(t).Token
			s.get("/a.txt?download_token="+token).wantBody(t, "a")
			s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized)

			const want = `{"aud":["files","other"],"deep":{"a":[1,null,{"b":"<&>"}]},"iss":"https://app.example.com","sub":"ünïcode"}`
			t.Run("golang-jwt", func(t *testing.T) {
				c := jwt.MapClaims{}
				parsed, err := jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return tt.public, nil },
					jwt.WithValidMethods([]string{tt.alg}), jwt.WithAudience("files"), jwt.WithIssuer("https://app.example.com"),
					jwt.WithIssuedAt(), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
				if err != nil || parsed.Header["kid"] != "main" || parsed.Header["typ"] != "JWT" {
					t.Fatal(err, parsed.Header)
				}
				for _, name := range []string{"iat", "exp", "jti"} {
					delete(c, name)
				}
				var text strings.Builder
				encoder := json.NewEncoder(&text)
				encoder.SetEscapeHTML(false)
				if err := encoder.Encode(c); err != nil || strings.TrimSpace(text.String()) != want {
					t.Errorf("%v: %s", err, text.String())
				}
			})
			t.Run("PyJWT", func(t *testing.T) {
				got := run(t, `
import jwt, sys, json
c = jwt.decode(sys.argv[1], open(sys.argv[2]).read(), algorithms=[sys.argv[3]], audience='files', issuer='https://app.example.com',
	leeway=1, options={'require': ['exp', 'iat', 'jti', 'sub']})
for name in ('iat', 'exp', 'jti'):
    del c[name]
print(json.dumps(c, sort_keys=True, ensure_ascii=False, separators=(',', ':')))
`, python(t), "-", token, verifying, tt.alg)
				if strings.TrimSpace(got) != want {
					t.Errorf("%s", got)
				}
			})
			t.Run("jose", func(t *testing.T) {
				got := node(t, `
import { jwtVerify, importSPKI } from 'jose';
import { readFileSync } from 'node:fs';
const [token, file, alg] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
const key = alg.startsWith('HS') ? new TextEncoder().encode(text) : await importSPKI(text, alg);
const { payload } = await jwtVerify(token, key, {
	algorithms: [alg], audience: 'files', issuer: 'https://app.example.com', typ: 'JWT', maxTokenAge: '1m', clockTolerance: '1s', requiredClaims: ['jti', 'sub'],
});
console.log(JSON.stringify({ aud: payload.aud, deep: payload.deep, iss: payload.iss, sub: payload.sub }));
`, token, verifying, tt.alg)
				if got != want {
					t.Errorf("%s", got)
				}
			})
			if tt.alg != "EdDSA" { // which jsonwebtoken does not know
				t.Run("jsonwebtoken", func(t *testing.T) {
					got := node(t, `
import jsonwebtoken from 'jsonwebtoken';
import { readFileSync } from 'node:fs';
const [token, file, alg] = process.argv.slice(2);
const payload = jsonwebtoken.verify(token, readFileSync(file, 'utf8'), {
	algorithms: [alg], audience: 'files', issuer: 'https://app.example.com', maxAge: '1m',
});
console.log(JSON.stringify({ aud: payload.aud, deep: payload.deep, iss: payload.iss, sub: payload.sub }));
`, token, verifying, tt.alg)
					if got != want {
						t.Errorf("%s", got)
					}
				})
			}
		})
	}
}

// write writes a file that only we can read.
func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
