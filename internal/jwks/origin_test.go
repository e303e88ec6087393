package jwks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func TestMisbehavingOrigin(t *testing.T) {
	elsewhere := startIssuer(t, jwkFor(t, "ES256", "evil"))
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, setOf(jwkFor(t, "ES256", "evil")))
	}))
	t.Cleanup(plain.Close)
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	evil := setOf(jwkFor(t, "ES256", "evil"))
	tests := []struct {
		name  string
		does  http.HandlerFunc
		warns string
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); io.WriteString(w, evil) }, "answers 500 instead of 200"},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "answers 204"},
		{"206", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); io.WriteString(w, evil) }, "answers 206"},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, "cannot be used: it is not a JWK set"},
		{"empty", func(http.ResponseWriter, *http.Request) {}, "not a JWK set"},
		{"2 MiB", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.TrimSuffix(evil, "}")+repeat(" ", 2<<20)+"}")
		}, "larger than 1 MiB"},
		{"2 MiB behind a set", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, evil+repeat(" ", 2<<20)) }, "larger than 1 MiB"},
		{"too many keys", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"keys":[`+repeat("{},", maxJWKs)+"{}]}")
		}, "more than 1000 keys"},
		{"redirect to another host", redirect(elsewhere.URL), "redirects to another host"},
		{"redirect to http", redirect(plain.URL), "redirects to another host"},
		{"redirect to itself, for ever", redirect("/again"), "redirects too often"},
		{"redirect to nowhere", redirect("https://%zz/"), "cannot be fetched"},
		{"connection cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot be fetched"},
		{"answer cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, evil)
		}, "cannot be fetched"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var said warnings
			i := startIssuer(t, jwkFor(t, "ES256", "a"))
			client := i.client()
			roots := client.Transport.(*http.Transport).TLSClientConfig.RootCAs
			roots.AddCert(elsewhere.Certificate()) // so that it is not TLS that refuses
			j := makeJWKS(t, Options{Location: i.URL + "/jwks?key=hunter3", Client: client, Now: new(clock).now, Warn: said.warn})
			refresh(t, j)
			i.does(test.does)
			refresh(t, j)
			refresh(t, j)
			lookup(t, j, map[string]error{"a": nil, "evil": token.ErrUnknownKey})
			status := j.Status()
			if status.Keys != 1 || !strings.Contains("key set "+status.LastError, test.warns) || status.LastError == "" {
				t.Errorf("status is %v", status)
			}
			if text := strings.Join(said.said, " "); strings.Contains(text+status.LastError, "hunter3") {
				t.Errorf("said %s and %s", text, status.LastError)
			}
			said.expect(t, test.warns)

			i.publishes(jwkFor(t, "ES256", "a"), jwkFor(t, "ES384", "b"))
			refresh(t, j)
			if status := j.Status(); status.LastError != "" || status.Keys != 2 {
				t.Errorf("status is %v", status)
			}
			i.does(test.does)
			refresh(t, j)
			said.expect(t, test.warns) // again, since it was well in between
		})
	}
}

func TestCertificateOfOrigin(t *testing.T) {
	var said warnings
	i := startIssuer(t, jwkFor(t, "ES256", "evil"))
	j := makeJWKS(t, Options{Location: i.URL, Warn: said.warn}) // its own client does not know the CA
	refresh(t, j)
	lookup(t, j, map[string]error{"evil": token.ErrUnknownKey})
	said.expect(t, "certificate that is not accepted")
}

func TestRedirectsThatAreFollowed(t *testing.T) {
	for hops, want := range map[int]error{0: nil, 3: nil, 4: token.ErrUnknownKey} {
		i := startIssuer(t)
		i.does(func(w http.ResponseWriter, r *http.Request) {
			if n := len(r.URL.Query().Get("n")); n < hops {
				http.Redirect(w, r, i.URL+"/?n="+repeat("x", n+1), http.StatusMovedPermanently)
				return
			}
			io.WriteString(w, setOf(jwkFor(t, "ES256", "a")))
		})
		client := i.client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // has no say
		j := makeJWKS(t, Options{Location: i.URL, Client: client})
		refresh(t, j)
		lookup(t, j, map[string]error{"a": want})
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"https://a.example/x", "https://a.example/y", true},
		{"https://a.example/", "https://A.EXAMPLE:443/", true},
		{"https://a.example/", "https://a.example:8443/", false},
		{"https://a.example/", "http://a.example:443/", false},
		{"https://a.example/", "https://b.example/", false},
		{"https://a.example/", "https://a.example.b.example/", false},
		{"http://localhost/", "http://localhost:80/", true},
	}
	for _, test := range tests {
		a, errA := parseLocation(test.a)
		if errA != nil {
			t.Fatal(errA)
		}
		request, err := http.NewRequest(http.MethodGet, test.b, nil)
		wantErr(t, err, nil)
		if sameOrigin(a, request.URL) != test.want || sameOrigin(request.URL, a) != test.want {
			t.Errorf("%s and %s: not %v", test.a, test.b, test.want)
		}
	}
}

func TestHangingOrigin(t *testing.T) {
	before := runtime.NumGoroutine()
	i := startIssuer(t)
	asked := make(chan struct{}, 10)
	i.does(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	ctx, end := context.WithCancel(t.Context())
	var said warnings
	j := makeJWKS(t, Options{Location: i.URL, Client: i.client(), Warn: said.warn})
	j.Start(ctx)
	j.Start(ctx)
	<-asked
	lookup(t, j, map[string]error{"a": token.ErrUnknownKey})
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := j.LookupFresh(impatient, "a", "ES256")
	wantErr(t, err, token.ErrUnknownKey)
	if waited := time.Since(began); waited < 50*time.Millisecond || waited > 3*time.Second {
		t.Errorf("waited %v", waited)
	}
	if n := i.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	end()
	<-j.join().done // the fetch is broken off, or there is none and a new one ends at once
	_, err = j.LookupFresh(t.Context(), "a", "ES256")
	wantErr(t, err, token.ErrUnknownKey)
	if n := i.fetches.Load(); n != 1 {
		t.Errorf("%d fetches after the end", n)
	}
	said.expect(t) // that the client went away is not the origin's fault
	i.Close()
	wantGoroutines(t, before)
}

// wantGoroutines gives those that are about to end a little time to do so.
func wantGoroutines(t testing.TB, want int) {
	t.Helper()
	for range 500 {
		if runtime.NumGoroutine() <= want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), want, stacks[:runtime.Stack(stacks, true)])
}

func TestFetchLeavesNothing(t *testing.T) {
	i := startIssuer(t, jwkFor(t, "ES256", "a"))
	before := runtime.NumGoroutine()
	j := makeJWKS(t, Options{Location: i.URL, Client: i.client()})
	ctx, end := context.WithCancel(t.Context())
	j.Start(ctx)
	_, err := j.LookupFresh(t.Context(), "a", "ES256")
	wantErr(t, err, nil)
	end()
	wantGoroutines(t, before)
}

func TestFileThatGetsWorse(t *testing.T) {
	var said warnings
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, []byte(setOf(jwkFor(t, "ES256", "a"))), 0o600); err != nil {
		t.Fatal(err)
	}
	j := makeJWKS(t, Options{Location: path, Warn: said.warn})
	for _, step := range []struct {
		change func() error
		warns  string
	}{
		{func() error { return os.WriteFile(path, []byte(`{"keys":[`), 0o600) }, "not a JWK set"}, // half written
		{func() error { return os.Remove(path) }, "no such file"},
		{func() error { return os.Mkdir(path, 0o700) }, "not a regular file"},
	} {
		wantErr(t, step.change(), nil)
		refresh(t, j)
		lookup(t, j, map[string]error{"a": nil})
		said.expect(t, step.warns)
	}
}

func TestReadBounded(t *testing.T) {
	endless := &zeros{}
	if _, err := readBounded(endless); err == nil || err.Error() != "is larger than 1 MiB" {
		t.Errorf("error is %v", err)
	}
	if endless.read > maxSetBytes+1 {
		t.Errorf("read %d bytes", endless.read)
	}
}

type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	z.read += len(p)
	if z.read > 64<<20 {
		return 0, errors.New("read on and on")
	}
	return len(p), nil
}
