package downloadtoken_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/any"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/template"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/store/memory"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

const hmacSecret = "benchmark-secret-0123456789-abcdefghijklmnopqrst"

// storage is where the stores of all benchmarks keep what they keep.
var storage string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "download-token-")
	if err != nil {
		panic(err)
	}
	storage = dir
	_ = os.Setenv("XDG_DATA_HOME", dir) // the instance ID
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// keyPair is what signs, and how the handler is told what verifies.
type keyPair struct {
	method   jwt.SigningMethod
	sign     any
	verify   any
	material string
}

func keyPairs(t testing.TB) []keyPair {
	t.Helper()
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
	return []keyPair{
		{jwt.SigningMethodHS256, []byte(hmacSecret), []byte(hmacSecret), hmacSecret},
		{jwt.SigningMethodRS256, rsaKey, &rsaKey.PublicKey, publicPEM(t, &rsaKey.PublicKey)},
		{jwt.SigningMethodES256, ecKey, &ecKey.PublicKey, publicPEM(t, &ecKey.PublicKey)},
		{jwt.SigningMethodEdDSA, edKey, edPublic, publicPEM(t, edPublic)},
	}
}

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// provision makes h ready for use, with its log discarded.
func provision(t testing.TB, h *downloadtoken.Handler) {
	t.Helper()
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
			"default": {BaseLog: caddy.BaseLog{WriterRaw: []byte(`{"output": "discard"}`)}},
		}},
		StorageRaw: []byte(`{"module": "file_system", "root": ` + strconv.Quote(storage) + `}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.Validate(); err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("download_token")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.(caddy.App).Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.(caddy.App).Stop(); err != nil {
			t.Error(err)
		}
	})
}

// request is a GET as Caddy hands it to handlers.
func request(w http.ResponseWriter, target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
}

// ok is a next handler that answers with one byte.
var ok = caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
	_, err := io.WriteString(w, "x")
	return err
})

func BenchmarkHandler(b *testing.B) {
	for _, pair := range keyPairs(b) {
		now := time.Now()
		token, err := jwt.NewWithClaims(pair.method, jwt.MapClaims{
			"sub": "user", "scope": "dataset:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
		}).SignedString(pair.sign)
		if err != nil {
			b.Fatal(err)
		}
		target := "/datasets/2489e9ad-2ee2-8e00-8ec9-32d5f69181c0/cog.tif?download_token=" + token
		for name, cache := range map[string]int{"": -1, "-seen-before": 0} {
			b.Run(pair.method.Alg()+name, func(b *testing.B) {
				h := &downloadtoken.Handler{
					Config:   verification.Config{Key: []verification.TrustedKey{{Alg: pair.method.Alg(), Key: pair.material}}},
					ScopeRaw: []json.RawMessage{[]byte(`{"type": "template", "scope": "dataset:{id:uuid}", "path": "/datasets/{id:uuid}/*"}`)},
					Cache:    cache,
				}
				provision(b, h)
				serve(b, h, target, http.StatusOK)
			})
		}
		b.Run(pair.method.Alg()+"-plain-golang-jwt", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := jwt.ParseWithClaims(token, new(jwt.RegisteredClaims), func(*jwt.Token) (any, error) { return pair.verify, nil },
					jwt.WithValidMethods([]string{pair.method.Alg()}), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("refused-signature", func(b *testing.B) {
		h := &downloadtoken.Handler{
			Config:   verification.Config{Key: []verification.TrustedKey{{Alg: "HS256", Key: hmacSecret}}},
			ScopeRaw: []json.RawMessage{[]byte(`{"type": "any"}`)},
		}
		provision(b, h)
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": 1}).SignedString([]byte("another"))
		if err != nil {
			b.Fatal(err)
		}
		serve(b, h, "/?download_token="+token, http.StatusUnauthorized)
	})
	for name, more := range map[string]jwt.MapClaims{
		"rfc9246-hash":    {"cdniuc": "hash:sha-256;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY"},
		"rfc9246-regex":   {"cdniuc": `regex:http://cdni\.example/foo/[a-z]{3}`},
		"rfc9246-renewed": {"cdniuc": `regex:http://cdni\.example/foo/[a-z]{3}`, "cdniets": 30, "cdnistt": 1},
	} {
		b.Run(name, func(b *testing.B) {
			h := &downloadtoken.Handler{
				Config: verification.Config{Key: []verification.TrustedKey{{Alg: "HS256", Key: hmacSecret}}},
				Profile: &downloadtoken.Profile{Name: downloadtoken.ProfileRFC9246, Renew: &downloadtoken.RenewKey{
					CarryKey: downloadtoken.CarryKey{Alg: "HS256", Key: "renewed-" + hmacSecret},
				}},
			}
			provision(b, h)
			more["exp"] = time.Now().Add(time.Hour).Unix()
			token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, more).SignedString([]byte(hmacSecret))
			if err != nil {
				b.Fatal(err)
			}
			serve(b, h, "http://cdni.example/foo/bar?URISigningPackage="+token, http.StatusOK)
		})
	}
	b.Run("one-time-HS256", func(b *testing.B) {
		h := &downloadtoken.Handler{
			Config:   verification.Config{MaxTTL: caddy.Duration(time.Hour), Key: []verification.TrustedKey{{Alg: "HS256", Key: hmacSecret}}},
			ScopeRaw: []json.RawMessage{[]byte(`{"type": "any"}`)},
			OneTime:  new(downloadtoken.OneTime),
		}
		provision(b, h)
		targets := make([]string, b.N)
		for i := range targets { // nonces differ from run to run: the store outlives them
			now := time.Now()
			token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
				"jti": rand.Text(), "exp": now.Add(time.Minute).Unix(), "iat": float64(now.UnixMicro()) / 1e6,
			}).SignedString([]byte(hmacSecret))
			if err != nil {
				b.Fatal(err)
			}
			targets[i] = "/a.txt?download_token=" + token
		}
		b.ReportAllocs()
		b.ResetTimer()
		for _, target := range targets {
			w := httptest.NewRecorder()
			if err := h.ServeHTTP(w, request(w, target), ok); err != nil || w.Code != http.StatusOK {
				b.Fatal(err, w.Body)
			}
		}
	})
	// What the others do besides: make a request and a recorder, and answer.
	b.Run("baseline-only-next", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w := httptest.NewRecorder()
			if err := ok.ServeHTTP(w, request(w, "/datasets/x/cog.tif")); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// serve sends requests through the handler.
func serve(b *testing.B, h *downloadtoken.Handler, target string, want int) {
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, request(w, target), ok); err != nil || w.Code != want {
			b.Fatal(w.Code, err)
		}
	}
}
