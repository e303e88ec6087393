package jwks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// An issuer is a real HTTPS origin that can be made to misbehave.
type issuer struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	fetches atomic.Int32
}

func startIssuer(t testing.TB, jwks ...string) *issuer {
	t.Helper()
	i := &issuer{}
	i.publishes(jwks...)
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		(*i.answer.Load())(w, r)
	}))
	i.Config.ErrorLog = log.New(io.Discard, "", 0)
	i.StartTLS()
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) does(answer http.HandlerFunc) { i.answer.Store(&answer) }

func (i *issuer) publishes(jwks ...string) {
	i.does(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, setOf(jwks...)) })
}

// client trusts the origin's certificate, and nothing else.
func (i *issuer) client() *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// A clock only moves when a test moves it.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time       { return now.Add(time.Duration(c.passed.Load())) }
func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

// warnings are what was said.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) warn(message, kid string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, kid+": "+message)
}

// take returns what was said since the last time.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

func (w *warnings) expect(t testing.TB, parts ...string) {
	t.Helper()
	said := w.take()
	ok := len(said) == len(parts)
	for i := range said {
		ok = ok && strings.Contains(said[i], parts[i])
	}
	if !ok {
		t.Errorf("warnings are %q, want %q", said, parts)
	}
}

func makeJWKS(t testing.TB, o Options) *Set {
	t.Helper()
	j, err := New(o)
	wantErr(t, err, nil)
	return j
}

// refresh does what the schedule does, at once.
func refresh(t testing.TB, j *Set) {
	t.Helper()
	select {
	case <-j.join().done:
	case <-time.After(fetchTimeout + time.Second):
		t.Fatal("the fetch does not end")
	}
}

// lookup wants kids to be there or not, with ES256, without any fetch.
func lookup(t testing.TB, j *Set, kids map[string]error) {
	t.Helper()
	for kid, want := range kids {
		if _, err := j.Lookup(kid, "ES256"); !errors.Is(err, want) {
			t.Errorf("kid %q: error is %v, want %v", kid, err, want)
		}
	}
}

func TestNew(t *testing.T) {
	directory := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name    string
		options Options
		err     string
	}{
		{"https", Options{Location: "https://id.example/jwks?tenant=1"}, ""},
		{"https in capitals", Options{Location: "HTTPS://id.example/jwks"}, ""},
		{"http on localhost", Options{Location: "http://localhost:8080/jwks"}, ""},
		{"http on 127.0.0.1", Options{Location: "http://127.0.0.1/jwks"}, ""},
		{"http on ::1", Options{Location: "http://[::1]:8080/jwks"}, ""},
		{"http elsewhere", Options{Location: "http://id.example/jwks"}, "anybody on the way could replace the keys"},
		{"http on what begins like it", Options{Location: "http://localhost.evil.example/jwks"}, "anybody on the way"},
		{"http with localhost as user", Options{Location: "http://localhost@evil.example/jwks"}, "name or password"},
		{"password", Options{Location: "https://a:hunter2@id.example/jwks"}, "name or password"},
		{"no host", Options{Location: "https:///jwks"}, "cannot be read"},
		{"not a URL", Options{Location: "https://id.example:hunter2/"}, "cannot be read"},
		{"other scheme", Options{Location: "file://host/jwks.json"}, "begins with file://"},
		{"relative path", Options{Location: "jwks.json"}, "absolute path"},
		{"nothing", Options{}, "absolute path"},
		{"refresh too often", Options{Location: "https://id.example/", Refresh: 9 * time.Second}, "under 10s"},
		{"refresh negative", Options{Location: "https://id.example/", Refresh: -time.Hour}, "under 10s"},
		{"refresh as often as may be", Options{Location: "https://id.example/", Refresh: 10 * time.Second}, ""},
		{"alg unknown", Options{Location: "https://id.example/", Algs: []string{"RS256", "none"}}, "algorithm none"},
		{"file", Options{Location: write("good.json", setOf(jwkFor(t, "HS256", "a")))}, ""},
		{"file without keys", Options{Location: write("empty.json", setOf())}, ""},
		{"file without usable keys", Options{Location: write("bad.json", setOf(jwkOf(t, public(signers()["RS256"]), "a", nil)))}, "name those that its issuer uses with alg"},
		{"file that is PEM", Options{Location: write("key.pem", publicPEM(t, public(signers()["RS256"])))}, "not a JWK set"},
		{"file too large", Options{Location: write("large.json", setOf()+repeat(" ", maxSetBytes))}, "larger than 1 MiB"},
		{"file as large as may be", Options{Location: write("full.json", setOf()+repeat(" ", maxSetBytes-len(setOf())))}, ""},
		{"file missing", Options{Location: filepath.Join(directory, "missing.json")}, "file cannot be read: no such file"},
		{"directory", Options{Location: directory}, "not a regular file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			j, err := New(test.options)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Fatalf("error is %v, want %q", err, test.err)
			}
			if (j == nil) != (err != nil) {
				t.Error("there is not either a set or an error")
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error shows the password: %v", err)
			}
		})
	}
}

func TestNewJWKSDoesNotFetch(t *testing.T) {
	i := startIssuer(t, jwkFor(t, "ES256", "a"))
	j := makeJWKS(t, Options{Location: i.URL, Client: i.client(), Issuer: "https://a.example"})
	_, err := j.Lookup("a", "ES256")
	wantErr(t, err, token.ErrUnknownKey)
	_, err = j.Lookup("a", "none")
	wantErr(t, err, token.ErrAlgorithm)
	if n := i.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	if !j.IssuerBound("https://a.example") || j.IssuerBound("https://b.example") || j.IssuerBound("") || new(Set).IssuerBound("") {
		t.Error("the issuer is not bound before a key was loaded")
	}
	if status := j.Status(); status != (Status{}) {
		t.Errorf("status is %v", status)
	}
}

func TestRotation(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (o Options, publish func(jwks ...string)){
		"https": func(t *testing.T) (Options, func(...string)) {
			i := startIssuer(t)
			return Options{Location: i.URL, Client: i.client()}, i.publishes
		},
		"http on loopback": func(t *testing.T) (Options, func(...string)) {
			i := &issuer{}
			i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*i.answer.Load())(w, r) }))
			t.Cleanup(i.Close)
			return Options{Location: i.URL}, i.publishes
		},
		"file": func(t *testing.T) (Options, func(...string)) {
			path := filepath.Join(t.TempDir(), "jwks.json")
			publish := func(jwks ...string) {
				if err := os.WriteFile(path, []byte(setOf(jwks...)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			publish()
			return Options{Location: path}, publish
		},
	} {
		t.Run(name, func(t *testing.T) {
			var said warnings
			o, publish := start(t)
			o.Now, o.Warn = new(clock).now, said.warn
			old, new := jwkFor(t, "ES256", "old"), jwkOf(t, otherECDSA(), "new", nil)
			publish(old)
			j := makeJWKS(t, o)
			said.take()
			refresh(t, j)
			lookup(t, j, map[string]error{"old": nil, "new": token.ErrUnknownKey})

			publish(old, new)
			lookup(t, j, map[string]error{"old": nil, "new": token.ErrUnknownKey})
			_, err := j.LookupFresh(t.Context(), "new", "ES256") // picked up on first use
			wantErr(t, err, nil)
			lookup(t, j, map[string]error{"old": nil, "new": nil})

			publish(new)
			lookup(t, j, map[string]error{"old": nil}) // until the refresh
			refresh(t, j)
			lookup(t, j, map[string]error{"old": token.ErrUnknownKey, "new": nil})
			said.expect(t)

			publish() // the last key can be revoked too
			refresh(t, j)
			lookup(t, j, map[string]error{"old": token.ErrUnknownKey, "new": token.ErrUnknownKey})
			said.expect(t, "no usable key")
			if status := j.Status(); status != (Status{LastSuccess: now}) {
				t.Errorf("status is %v", status)
			}
		})
	}
}

// Whatever the origin does, the keys from before stay, and the operator hears of it
// once.
// A bad key is no reason to lose the good ones, and is complained about once until
// the publisher changes something about it.
func TestWarnings(t *testing.T) {
	var said warnings
	good, bad := jwkFor(t, "ES256", "good"), jwkOf(t, otherECDSA(), "bad", members{"use": "enc"})
	i := startIssuer(t, bad, good)
	j := makeJWKS(t, Options{Location: i.URL, Client: i.client(), Warn: said.warn})
	for range 3 {
		refresh(t, j)
	}
	lookup(t, j, map[string]error{"good": nil, "bad": token.ErrUnknownKey})
	said.expect(t, "bad: JWK is not used: its use is not sig")
	i.publishes(jwkOf(t, otherECDSA(), "bad", members{"use": "sig", "key_ops": []string{}}), good)
	refresh(t, j)
	said.expect(t, "bad: JWK is not used: its key_ops")
	i.publishes(good)
	refresh(t, j)
	said.expect(t)
	i.publishes(bad, good)
	refresh(t, j)
	said.expect(t, "bad: JWK is not used: its use is not sig")

	attempts := 0 // whose cause has a new text each time, such as a port
	down := overWire(t, Options{Warn: said.warn}, func(*http.Request) (string, error) {
		attempts++
		return "", fmt.Errorf("down %d", attempts)
	})
	refresh(t, down)
	refresh(t, down)
	said.expect(t, "key set cannot be fetched: down 1; the keys")

	quiet := makeJWKS(t, Options{Location: i.URL, Client: i.client()})
	refresh(t, quiet)
	lookup(t, quiet, map[string]error{"good": nil})
}

// The origin is down when we start, and the first request after it came up has keys.
func TestDownAtStart(t *testing.T) {
	i := startIssuer(t)
	i.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	clock := new(clock)
	j := makeJWKS(t, Options{Location: i.URL, Client: i.client(), Now: clock.now})
	_, err := j.LookupFresh(t.Context(), "a", "ES256")
	wantErr(t, err, token.ErrUnknownKey)
	i.publishes(jwkFor(t, "ES256", ""), jwkFor(t, "ES256", "a"))
	for _, kid := range []string{"", "a"} { // a token without kid waits for the first set too
		_, err = j.LookupFresh(t.Context(), kid, "ES256")
		wantErr(t, err, nil)
	}
	if n := i.fetches.Load(); n < 2 {
		t.Errorf("%d fetches", n)
	}
}

// A hanging origin holds up no request that does not need it, none for longer than the
// request may wait, and nothing after the end.
// After a fetch no connection stays open, and no goroutine with it.
// After the end of the context that it was started with, a set is what it was.
func TestEndOfStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	publish := func(jwks ...string) { wantErr(t, os.WriteFile(path, []byte(setOf(jwks...)), 0o600), nil) }
	publish(jwkFor(t, "ES256", "a"))
	j := makeJWKS(t, Options{Location: path})
	ctx, end := context.WithCancel(t.Context())
	j.Start(ctx)
	refresh(t, j)
	end()
	publish(jwkFor(t, "ES256", "a"), jwkFor(t, "ES384", "b"))
	_, err := j.LookupFresh(t.Context(), "b", "ES384")
	wantErr(t, err, token.ErrUnknownKey)
	lookup(t, j, map[string]error{"a": nil})
}

// A secret that can be fetched is none, from any origin.
func TestSecretsFromURL(t *testing.T) {
	var said warnings
	i := startIssuer(t, jwkFor(t, "HS256", "secret"), jwkFor(t, "ES256", "public"))
	j := makeJWKS(t, Options{Location: i.URL, Client: i.client(), Warn: said.warn, Algs: []string{"HS256"}})
	refresh(t, j)
	_, err := j.Lookup("secret", "HS256")
	wantErr(t, err, token.ErrUnknownKey)
	lookup(t, j, map[string]error{"public": nil})
	said.expect(t, "secret: JWK is not used: it is a secret")
}

// An endless answer is not read to its end.
