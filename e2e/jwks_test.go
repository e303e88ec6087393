package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"
)

// origin is an HTTPS server that publishes keys, and that the whole process
// trusts (see TestMain).
type origin struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int32
}

var keyOrigin = sync.OnceValue(func() *origin {
	o := new(origin)
	o.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		(*o.answer.Load())(w, r)
	}))
	o.does(http.NotFound)
	return o
})

// trustKeyOrigin makes the origin's certificate one of the system's. It must be
// called before anything is verified.
func trustKeyOrigin(dir string) error {
	file := filepath.Join(dir, "origin.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: keyOrigin().Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", file)
}

func (o *origin) does(answer http.HandlerFunc) { o.answer.Store(&answer) }

// publishes serves the keys as a set.
func (o *origin) publishes(keys ...*ecKey) {
	set := struct {
		Keys []map[string]string `json:"keys"`
	}{Keys: []map[string]string{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.jwk)
	}
	body, _ := json.Marshal(set)
	o.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

type ecKey struct {
	*ecdsa.PrivateKey
	kid string
	jwk map[string]string
}

func newECKey(t testing.TB, kid string) *ecKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return &ecKey{key, kid, map[string]string{
		"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": b64(point[1:33]), "y": b64(point[33:]),
	}}
}

func (k *ecKey) mint(t testing.TB, c claims) string {
	t.Helper()
	all := claims{"exp": time.Now().Add(time.Minute).Unix(), "iat": float64(time.Now().UnixMicro()) / 1e6}
	for name, value := range c {
		all[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	token.Header["kid"] = k.kid
	signed, err := token.SignedString(k.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func withJWKS(location string) string {
	return `download_token {
		jwks ` + location + ` {
			refresh 10s
		}
		scope any
		max_ttl 10m
		one_time
	}
	file_server`
}

func TestJWKS(t *testing.T) {
	o := keyOrigin()
	files := map[string]string{"a.txt": "a"}
	one, two, other := newECKey(t, "one"), newECKey(t, "two"), newECKey(t, "one")
	link := func(k *ecKey) string {
		return "/a.txt?download_token=" + k.mint(t, claims{"jti": rand.Text()})
	}
	t.Run("rotation", func(t *testing.T) {
		o.publishes(one)
		s := start(t, files, withJWKS(o.URL+"/rotation"))
		s.get(link(one)).want(t, http.StatusOK)
		s.get(link(other)).want(t, http.StatusUnauthorized)
		o.publishes(one, two)
		s.get(link(two)).want(t, http.StatusOK) // fetched because of the kid
		s.get(link(one)).want(t, http.StatusOK)
		if err := s.reload("header X-Reload yes\n" + withJWKS(o.URL+"/rotation")); err != nil {
			t.Fatal(err)
		}
		o.does(http.NotFound)
		s.get(link(one)).want(t, http.StatusOK) // a reload keeps the keys
		token := link(two)
		s.get(token).want(t, http.StatusOK)
		s.get(token).want(t, http.StatusUnauthorized)
	})
	t.Run("down at the start", func(t *testing.T) {
		o.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		s := start(t, files, withJWKS(o.URL+"/down"))
		s.get(link(one)).want(t, http.StatusUnauthorized)
		o.publishes(one)
		s.eventually(func() bool { return s.get(link(one)).StatusCode == http.StatusOK })
	})
	t.Run("hangs", func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		o.does(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		began := time.Now()
		s := start(t, files, withJWKS(o.URL+"/hangs"))
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("loading took %v", took)
		}
		s.get("/a.txt?download_token="+mint(t, nil)).want(t, http.StatusUnauthorized) // no kid: no fetch to wait for
	})
	t.Run("garbage", func(t *testing.T) {
		o.publishes(one)
		s := start(t, files, withJWKS(o.URL+"/garbage"))
		s.get(link(one)).want(t, http.StatusOK)
		o.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{{{") })
		s.get(link(two)).want(t, http.StatusUnauthorized)
		s.get(link(one)).want(t, http.StatusOK)
	})
	t.Run("a flood of unknown kids", func(t *testing.T) {
		o.publishes(one)
		s := start(t, files, withJWKS(o.URL+"/flood"))
		s.get(link(one)).want(t, http.StatusOK)
		before := o.asked.Load()
		for range 200 {
			unknown := &ecKey{one.PrivateKey, rand.Text(), nil}
			s.get(link(unknown)).want(t, http.StatusUnauthorized)
		}
		if asked := o.asked.Load() - before; asked > 5 {
			t.Errorf("the origin was asked %d times", asked)
		}
		s.get(link(one)).want(t, http.StatusOK)
	})
	t.Run("a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "jwks.json")
		body, _ := json.Marshal(map[string]any{"keys": []any{one.jwk, map[string]string{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "weak", "alg": "RS256"}}})
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, files, withJWKS(file))
		s.get(link(one)).want(t, http.StatusOK)
		if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.reload(withJWKS(file)); err == nil {
			t.Error("a damaged file was loaded")
		}
		s.get(link(one)).want(t, http.StatusOK)
	})
	t.Run("another spelling is no other set", func(t *testing.T) {
		o.publishes(one)
		file := filepath.Join(t.TempDir(), "jwks.json")
		body, _ := json.Marshal(map[string]any{"keys": []any{one.jwk}})
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, file+".link"); err != nil {
			t.Fatal(err)
		}
		for location, other := range map[string]string{
			o.URL + "/spelled/jwks": o.URL + "/x/../spelled/%6Awks#keys",
			file:                    file + ".link",
		} {
			s := startWith(t, files, "download_token {\n\t\tstore memory\n\t\tstore other memory\n\t}", withJWKS(location))
			token := link(one)
			s.get(token).want(t, http.StatusOK)
			if err := s.reload(strings.Replace(withJWKS(other), "one_time", "one_time\n\t\tstore other", 1)); err == nil {
				t.Errorf("%s: its keys have moved to another store", other)
			}
			if err := s.reload("handle /a/* {\n" + withJWKS(location) + "\n}\nhandle /b/* {\n" + strings.Replace(withJWKS(other), "one_time", "one_time nonce", 1) + "\n}"); err == nil {
				t.Errorf("%s: two directives use its keys in different ways", other)
			}
			if err := s.reload(withJWKS(other)); err != nil {
				t.Error(err)
			}
			s.get(token).want(t, http.StatusUnauthorized)
			if err := caddy.Stop(); err != nil { // there can be one at a time
				t.Fatal(err)
			}
		}
	})
	t.Run("validate does not ask", func(t *testing.T) {
		before := o.asked.Load()
		config := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(config, []byte("http://127.0.0.1:0 {\n\t"+withJWKS(o.URL+"/validate")+"\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(caddyBinary(t), "validate", "--adapter", "caddyfile", "--config", config).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if asked := o.asked.Load() - before; asked != 0 {
			t.Errorf("the origin was asked %d times", asked)
		}
	})
}
