package tokencache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

const secret = "a-secret-that-is-long-enough-0123456789"

// counted is a cache that counts its hits and misses.
type counted struct {
	*Cache
	hits, misses int
}

func newCounted(t testing.TB, keys token.KeySource, entries int) *counted {
	t.Helper()
	c := new(counted)
	var err error
	c.Cache, err = New(&token.Verifier{Keys: keys}, entries)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (c *counted) Verify(ctx context.Context, text string) (*token.Token, error) {
	t, hit, err := c.Cache.Verify(ctx, text)
	if hit {
		c.hits++
	} else {
		c.misses++
	}
	return t, err
}

func mint(t testing.TB, key string, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ring is a source whose keys change.
type ring struct {
	mu    sync.Mutex
	keys  []*token.Key
	bound bool // another key is bound to the issuer "i"
}

func (r *ring) Lookup(string, string) ([]*token.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 0 {
		return nil, token.ErrUnknownKey
	}
	return r.keys, nil
}

func (r *ring) IssuerBound(iss string) bool { return r.bound && iss == "i" }

func hmacKey(t testing.TB, secret string) *token.Key {
	t.Helper()
	key, _, err := token.ParseKey("HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	return &key
}

// TestRemembered: what was verified is verified once, as long as its key is there.
func TestRemembered(t *testing.T) {
	r := &ring{keys: []*token.Key{hmacKey(t, secret)}}
	c := newCounted(t, r, 100)
	text := mint(t, secret, jwt.MapClaims{"exp": 1, "iss": "i", "sub": "s"}) // expired: that is no matter
	step := func(what string, hits, misses int, want error) {
		t.Helper()
		got, err := c.Verify(t.Context(), text)
		if !errors.Is(err, want) || err == nil && (got.Claims.Subject != "s" || got.Fingerprint != token.FingerprintOf(text)) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if c.hits != hits || c.misses != misses {
			t.Errorf("%s: %d hits, %d misses; want %d, %d", what, c.hits, c.misses, hits, misses)
		}
	}
	step("first", 0, 1, nil)
	step("again", 1, 1, nil)
	r.keys = nil
	step("the key is gone", 1, 2, token.ErrUnknownKey)
	r.keys = []*token.Key{hmacKey(t, secret+"x")}
	step("another key", 1, 3, token.ErrSignature)
	r.keys = append(r.keys, hmacKey(t, secret))
	step("the key is back", 1, 4, nil)
	step("and remembered", 2, 4, nil)
	r.keys = []*token.Key{hmacKey(t, secret)}
	step("read anew", 3, 4, nil)

	accepts := token.Rules{Issuers: []string{"i"}}
	before, err := c.Verify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	r.bound = true
	after, err := c.Verify(t.Context(), text)
	if err != nil || c.hits != 5 {
		t.Fatal(err, c.hits)
	}
	now := before.Claims.ExpiresAt.Add(-1)
	if err := accepts.Accept(before, now); err != nil {
		t.Error(err)
	}
	if err := accepts.Accept(after, now); err == nil {
		t.Error("the key speaks for an issuer that another key is bound to")
	}
}

// fetching is a ring that counts how often it may have to wait for keys.
type fetching struct {
	ring
	waits int
}

func (f *fetching) LookupContext(_ context.Context, kid, alg string) ([]*token.Key, error) {
	keys, err := f.Lookup(kid, alg)
	if err != nil {
		f.waits++
	}
	return keys, err
}

// TestWaitsOnce: a request waits for the key of a remembered token no longer than for
// that of another one.
func TestWaitsOnce(t *testing.T) {
	f := &fetching{ring: ring{keys: []*token.Key{hmacKey(t, secret)}}}
	c := newCounted(t, f, 100)
	text := mint(t, secret, jwt.MapClaims{"exp": 1})
	if _, err := c.Verify(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	f.keys = nil
	for remembered := range 2 { // the second time it is forgotten
		f.waits = 0
		if _, err := c.Verify(t.Context(), text); !errors.Is(err, token.ErrUnknownKey) || f.waits != 1 {
			t.Errorf("time %d: %v after %d waits", remembered, err, f.waits)
		}
	}
}

// TestNotRemembered: what is not genuine never enters, and no other spelling is taken
// for what is.
func TestNotRemembered(t *testing.T) {
	c := newCounted(t, &ring{keys: []*token.Key{hmacKey(t, secret)}}, 100)
	genuine := mint(t, secret, jwt.MapClaims{"exp": 1})
	if _, err := c.Verify(t.Context(), genuine); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"forged":        mint(t, secret+"x", jwt.MapClaims{"exp": 1}),
		"damaged":       genuine[:len(genuine)-2] + "AA",
		"nothing":       "",
		"longer":        genuine + "A",
		"with a dot":    genuine + ".",
		"far too long":  strings.Repeat("a", 1<<20),
		"with newlines": genuine + "\n",
		"without exp":   mint(t, secret, jwt.MapClaims{}),
	} {
		for range 2 {
			if got, err := c.Verify(t.Context(), text); err == nil {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
	if c.hits > 0 || c.tokens.EstimatedSize() != 1 {
		t.Errorf("%d hits, %d entries", c.hits, c.tokens.EstimatedSize())
	}
}

// TestFlood: many genuine tokens that come once take no more memory than there is, and
// do not drive out one that comes often.
func TestFlood(t *testing.T) {
	const entries = 1000
	c := newCounted(t, &ring{keys: []*token.Key{hmacKey(t, secret)}}, entries)
	hot := mint(t, secret, jwt.MapClaims{"exp": 1, "jti": "hot"})
	for range 10 {
		if _, err := c.Verify(t.Context(), hot); err != nil {
			t.Fatal(err)
		}
	}
	asked, hits := 0, 0
	for i := range 20_000 {
		claims := jwt.MapClaims{"exp": 1, "jti": fmt.Sprint(i)}
		if i%2 == 0 {
			claims["padding"] = strings.Repeat("x", 2000)
		}
		if _, err := c.Verify(t.Context(), mint(t, secret, claims)); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			before := c.hits
			if _, err := c.Verify(t.Context(), hot); err != nil {
				t.Fatal(err)
			}
			asked, hits = asked+1, hits+c.hits-before
		}
		if i%1000 == 0 {
			c.tokens.CleanUp()
			if size, weight := c.tokens.EstimatedSize(), c.tokens.WeightedSize(); size > entries || weight > entries*entryBytes {
				t.Fatalf("%d entries of %d bytes", size, weight)
			}
		}
	}
	if hits*10 < asked*9 {
		t.Errorf("the token that comes often was remembered %d times of %d", hits, asked)
	}
}

// TestTogether: tokens are shared by those who ask at the same time.
func TestTogether(t *testing.T) {
	cache, err := New(&token.Verifier{Keys: &ring{keys: []*token.Key{hmacKey(t, secret)}}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	texts := make([]string, 30)
	for i := range texts {
		texts[i] = mint(t, secret, jwt.MapClaims{"exp": 1, "sub": fmt.Sprint(i), "scope": "a b"})
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				got, _, err := cache.Verify(context.Background(), texts[i%len(texts)])
				if err != nil || got.Claims.Subject != fmt.Sprint(i%len(texts)) {
					t.Error(got, err)
					return
				}
				if text, ok := got.Claims.String("scope"); !ok || text != "a b" {
					t.Error(text)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkHit(b *testing.B) {
	c := newCounted(b, &ring{keys: []*token.Key{hmacKey(b, secret)}}, 1000)
	text := mint(b, secret, jwt.MapClaims{"exp": 1, "sub": "user", "scope": "dataset:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Verify(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports what an entry takes, of small tokens and of large ones.
func BenchmarkMemory(b *testing.B) {
	for _, padding := range []int{0, 5000} {
		b.Run(fmt.Sprintf("%d more bytes", padding), func(b *testing.B) {
			const entries = 2000
			var before, after runtime.MemStats
			texts := make([]string, entries)
			for i := range texts {
				texts[i] = mint(b, secret, jwt.MapClaims{"exp": 1, "jti": fmt.Sprint(i), "p": strings.Repeat("x", padding)})
			}
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				c := newCounted(b, &ring{keys: []*token.Key{hmacKey(b, secret)}}, entries)
				for _, text := range texts {
					if _, err := c.Verify(b.Context(), text); err != nil {
						b.Fatal(err)
					}
				}
				c.tokens.CleanUp()
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(c.tokens.EstimatedSize()), "B/entry")
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(c.tokens.WeightedSize()), "B/weight")
			}
		})
	}
}
