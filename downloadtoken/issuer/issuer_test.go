package issuer

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// keeper remembers what it is asked to revoke.
type keeper struct {
	stores []string
	asked  []rules.Revocation
	err    error
	after  time.Duration // exp, that grants may be open
}

func (k *keeper) Revoke(ctx context.Context, store string, r rules.Revocation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	k.stores, k.asked = append(k.stores, store), append(k.asked, r)
	return k.err
}

func (k *keeper) Outlived(string) time.Duration { return k.after }

// ready provisions an issuer as far as that needs no Caddy.
func ready(t testing.TB, i *Issuer) (*Issuer, *keeper) {
	t.Helper()
	kept := new(keeper)
	i.Key = &SigningKey{Alg: "HS256", Key: testSecret}
	i.TTL = caddy.Duration(10 * time.Minute)
	i.User, i.Store, i.Status = "{http.request.header.User}", "some store", http.StatusCreated
	i.logger, i.revoker = zap.NewNop(), kept
	i.now = func() time.Time { return testNow }
	if err := i.provisionMinter(); err != nil {
		t.Fatal(err)
	}
	return i, kept
}

// ask sends a request to the handler.
func ask(t testing.TB, i *Issuer, method, target, user string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r.URL, r.RequestURI = u, target
	if user != "" {
		r.Header.Set("User", user)
	}
	w := httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
	gone, leave := context.WithCancel(r.Context())
	if method == http.MethodDelete {
		leave() // a client that does not wait for the answer
	}
	defer leave()
	if err := i.ServeHTTP(w, r.WithContext(gone), nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// tokenIn is the token in the answer.
func tokenIn(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	var document tokenDocument
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || document.Token == "" {
		t.Fatalf("%d: %v in %s", w.Code, err, w.Body)
	}
	return document.Token
}

// TestRevocations checks what the store is asked to keep.
func TestRevocations(t *testing.T) {
	i, kept := ready(t, &Issuer{OneTime: "jti"})
	made := ask(t, i, http.MethodPost, "/tokens", "alice")
	text, location := tokenIn(t, made), made.Header().Get("Location")
	for name, target := range map[string]string{"the token": "/tokens?download_token=" + text, "Location": location} {
		*kept = keeper{}
		if w := ask(t, i, http.MethodDelete, target, "alice"); w.Code != http.StatusNoContent {
			t.Errorf("by %s: %d", name, w.Code)
		}
		if len(kept.asked) != 1 || kept.stores[0] != "some store" {
			t.Fatalf("by %s: %v, %v", name, kept.stores, kept.asked)
		}
		r := kept.asked[0]
		exp := testNow.Add(10 * time.Minute).Truncate(time.Second)
		if r.Check() != nil || r.Fingerprint != token.FingerprintOf(text).String() ||
			r.Until.Before(exp.Add(time.Hour)) || r.Until.After(exp.Add(time.Hour+time.Second)) {
			t.Errorf("by %s: %+v", name, r)
		}
	}

	// What expired longer ago than any leeway needs no revocation, unless its grant may
	// be open.
	*kept = keeper{}
	for _, tt := range []struct {
		after, outlived time.Duration
		want            int
	}{{69 * time.Minute, 0, 1}, {71 * time.Minute, 0, 0}, {71 * time.Minute, time.Hour, 1}, {131 * time.Minute, time.Hour, 0}} {
		*kept = keeper{after: tt.outlived}
		i.now = func() time.Time { return testNow.Add(tt.after) }
		if w := ask(t, i, http.MethodDelete, location, "alice"); w.Code != http.StatusNoContent || len(kept.asked) != tt.want {
			t.Errorf("after %v: %d, %v", tt.after, w.Code, kept.asked)
		}
		if ends := testNow.Add(70*time.Minute + tt.outlived); tt.want > 0 && kept.asked[0].Until.Before(ends.Truncate(time.Second)) {
			t.Errorf("after %v: until %v, and a grant may be open until %v", tt.after, kept.asked[0].Until, ends)
		}
	}
	i.now = func() time.Time { return testNow }

	kept.asked = nil
	for name, attempt := range map[string][2]string{
		"somebody else's": {location, "bob"}, "nobody": {location, ""}, "the token of another key": {"/tokens?token=a.b.c", "alice"},
	} {
		if w := ask(t, i, http.MethodDelete, attempt[0], attempt[1]); w.Code/100 != 4 || len(kept.asked) != 0 {
			t.Errorf("%s: %d, %v", name, w.Code, kept.asked)
		}
	}

	for _, kept.err = range []error{errors.New("the disk is full"), rules.ErrRevocationsFull} {
		if w := ask(t, i, http.MethodDelete, location, "alice"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%v: %d", kept.err, w.Code)
		}
	}
}

// TestReceiptOfNobody: who signs in later may use the receipt too, but never that
// of another user.
func TestReceiptOfNobody(t *testing.T) {
	i, _ := ready(t, &Issuer{Anonymous: true})
	nobodys := ask(t, i, http.MethodPost, "/tokens/", "").Header().Get("Location")
	alices := ask(t, i, http.MethodPost, "/tokens/", "alice").Header().Get("Location")
	for _, tt := range []struct {
		location, user string
		want           int
	}{
		{nobodys, "", 204}, {nobodys, "bob", 204}, {alices, "alice", 204}, {alices, "", 404}, {alices, "bob", 404},
	} {
		if w := ask(t, i, http.MethodDelete, tt.location, tt.user); w.Code != tt.want {
			t.Errorf("%s as %q: %d, want %d", tt.location, tt.user, w.Code, tt.want)
		}
	}
}

func TestLocations(t *testing.T) {
	i, _ := ready(t, &Issuer{Anonymous: true})
	for target, want := range map[string]string{
		"/":                      "/R/",
		"/tokens":                "/tokens/R",
		"/tokens/":               "/tokens/R/",
		"/tokens?x=1":            "/tokens/R",
		"/a%2Fb/%C3%BC":          "/a%2Fb/%C3%BC/R",
		"//evil.example/tokens":  "/evil.example/tokens/R",
		"///evil.example/":       "/evil.example/R/",
		"/%5C/evil.example":      "/%5C/evil.example/R",
		"/%5Cevil.example/a%0Ab": "/%5Cevil.example/a%0Ab/R",
	} {
		got := ask(t, i, http.MethodPost, target, "").Header().Get("Location")
		trimmed := strings.TrimSuffix(got, "/")
		cut := strings.LastIndex(trimmed, "/") + 1
		if got = trimmed[:cut] + "R" + got[len(trimmed):]; got != want || len(trimmed)-cut != 43 {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// TestOriginOf believes only trusted proxies.
func TestOriginOf(t *testing.T) {
	for _, tt := range []struct {
		tls, trusted bool
		proto, want  string
	}{
		{false, false, "", "http://f.example"},
		{true, false, "", "https://f.example"},
		{false, false, "https", "http://f.example"},
		{false, true, "https", "https://f.example"},
		{false, true, "gopher", "http://f.example"},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://f.example/", nil)
		if tt.tls {
			r.TLS = new(tls.ConnectionState)
		}
		r.Header.Set("X-Forwarded-Proto", tt.proto)
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.TrustedProxyVarKey: tt.trusted}))
		if got := originOf(r); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
