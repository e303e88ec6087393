package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// published is a set that is loaded, and what it said.
func published(t testing.TB, issuer string, said *warnings, jwks ...string) *Set {
	t.Helper()
	j := overWire(t, Options{Issuer: issuer, Warn: said.warn, Now: new(clock).now}, func(*http.Request) (string, error) {
		return setOf(jwks...), nil
	})
	refresh(t, j)
	return j
}

func TestRing(t *testing.T) {
	var first, second warnings
	static := named(makeKey(t, "ES256"), "both", "https://static.example")
	a := published(t, "https://a.example", &first,
		jwkOf(t, otherECDSA(), "both", nil), jwkFor(t, "ES384", "both"), jwkOf(t, otherECDSA(), "shared", nil), jwkFor(t, "RS256", "a"))
	b := published(t, "https://b.example", &second, jwkFor(t, "ES256", "shared"), jwkFor(t, "EdDSA", "b"))
	ring := NewRing(makeTable(t, static), a, b)
	first.expect(t, "both: JWK is not used: a key or set that is configured before")
	second.expect(t, "shared: JWK is not used: a key or set that is configured before")

	tests := []struct {
		name, kid, alg, issuer string
		err                    error
	}{
		{"static wins over a set", "both", "ES256", "https://static.example", nil},
		{"for its algorithm only", "both", "ES384", "https://a.example", nil},
		{"first set wins", "shared", "ES256", "https://a.example", nil},
		{"only in a set", "a", "RS256", "https://a.example", nil},
		{"only in the last set", "b", "EdDSA", "https://b.example", nil},
		{"known, for other algorithms", "shared", "RS256", "", token.ErrAlgorithm},
		{"unknown", "c", "ES256", "", token.ErrUnknownKey},
		{"none", "c", "none", "", token.ErrAlgorithm},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for name, lookup := range map[string]func() ([]*token.Key, error){
				"Lookup":        func() ([]*token.Key, error) { return ring.Lookup(test.kid, test.alg) },
				"LookupContext": func() ([]*token.Key, error) { return ring.LookupContext(t.Context(), test.kid, test.alg) },
			} {
				keys, err := lookup()
				wantErr(t, err, test.err)
				if err == nil && (len(keys) != 1 || keys[0].Issuer != test.issuer) {
					t.Errorf("%s: got %v of %q", name, keys, keys[0].Issuer)
				}
			}
		})
	}
	for iss, want := range map[string]bool{
		"https://static.example": true, "https://a.example": true, "https://b.example": true, "https://c.example": false, "": false,
	} {
		if ring.IssuerBound(iss) != want {
			t.Errorf("%q: %v", iss, !want)
		}
	}
}

func TestEmptyRing(t *testing.T) {
	ring := NewRing(nil)
	_, err := ring.Lookup("a", "HS256")
	wantErr(t, err, token.ErrUnknownKey)
	_, err = ring.LookupContext(t.Context(), "a", "HS256")
	wantErr(t, err, token.ErrUnknownKey)
	if ring.IssuerBound("") {
		t.Error("no issuer is bound")
	}
}

// However many sources there are, a forged token without kid costs four signatures.
func TestRingKidless(t *testing.T) {
	var said warnings
	key := func(i int) token.Key { return makeSecret(t, "HS256", fmt.Sprintf("%032d", i)) }
	jwk := func(i int) string {
		return jwkOf(t, []byte(fmt.Sprintf("%032d", i)), "", members{"alg": "HS256"})
	}
	file := func(issuer string, jwks ...string) *Set {
		j := overWire(t, Options{Issuer: issuer, Warn: said.warn}, func(*http.Request) (string, error) { return setOf(jwks...), nil })
		j.policy.secrets = true
		refresh(t, j)
		return j
	}
	ring := NewRing(makeTable(t, key(1), key(2)), file("", jwk(2), jwk(3), jwk(1)), file("", jwk(4), jwk(5)), file("https://a.example", jwk(1)))
	keys, err := ring.Lookup("", "HS256")
	wantErr(t, err, nil)
	if len(keys) != token.MaxKidless {
		t.Errorf("has %v", keys)
	}
	for i, key := range keys {
		if want := makeSecret(t, "HS256", fmt.Sprintf("%032d", i+1)); key.Fingerprint() != want.Fingerprint() {
			t.Errorf("key %d is another", i)
		}
	}
	said.expect(t, ": JWK is not used: more than 4 HS256 keys have no kid", ": JWK is not used: more than 4 HS256 keys")

	said.take()
	NewRing(makeTable(t, key(1)), file("https://a.example", jwk(1)))
	said.expect(t, "two issuers")
}

// A set that changes is seen at once, and what it loses by is said once.
func TestRingFollowsItsSets(t *testing.T) {
	var said warnings
	set := setOf(jwkFor(t, "ES256", "a"))
	j := overWire(t, Options{Warn: said.warn, Now: new(clock).now}, func(*http.Request) (string, error) { return set, nil })
	ring := NewRing(makeTable(t, named(makeKey(t, "ES256"), "static", "")), j)
	expect := func(kids map[string]error) {
		t.Helper()
		for kid, want := range kids {
			if _, err := ring.Lookup(kid, "ES256"); !errors.Is(err, want) {
				t.Errorf("kid %q: error is %v, want %v", kid, err, want)
			}
		}
	}
	expect(map[string]error{"static": nil, "a": token.ErrUnknownKey})
	refresh(t, j)
	expect(map[string]error{"static": nil, "a": nil})
	said.expect(t)
	set = setOf(jwkFor(t, "ES256", "static"), jwkFor(t, "ES256", "b"))
	_, err := ring.LookupContext(t.Context(), "b", "ES256")
	wantErr(t, err, nil)
	expect(map[string]error{"static": nil, "a": token.ErrUnknownKey, "b": nil})
	refresh(t, j)
	expect(map[string]error{"static": nil, "b": nil})
	said.expect(t, "static: JWK is not used") // though it is the same key: an operator who removes it there should know
}

// A hanging set does not hold up a key that another one brings.
func TestRingAsksAllSetsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := overWire(t, Options{}, func(r *http.Request) (string, error) {
			<-r.Context().Done()
			return "", r.Context().Err()
		})
		slow := overWire(t, Options{}, func(*http.Request) (string, error) {
			time.Sleep(time.Second)
			return setOf(jwkFor(t, "ES256", "a")), nil
		})
		ring := NewRing(nil, hanging, slow)
		for _, test := range []struct {
			kid    string
			err    error
			waited time.Duration
		}{{"a", nil, time.Second}, {"a", nil, 0}, {"b", token.ErrUnknownKey, maxWait}} {
			began := time.Now()
			_, err := ring.LookupContext(t.Context(), test.kid, "ES256")
			wantErr(t, err, test.err)
			if waited := time.Since(began); waited != test.waited {
				t.Errorf("%s: waited %v", test.kid, waited)
			}
		}
		time.Sleep(fetchTimeout)
	})
}

func TestVerifyContext(t *testing.T) {
	var fetches atomic.Int32
	j := overWire(t, Options{Issuer: "https://a.example", Now: new(clock).now}, func(*http.Request) (string, error) {
		fetches.Add(1)
		return setOf(jwkFor(t, "ES256", "a")), nil
	})
	static := named(makeKey(t, "HS256"), "static", "")
	verifier := judgeBy(NewRing(makeTable(t, static), j))
	of := func(alg, kid, iss string) string {
		return mint(t, alg, `{"alg":"`+alg+`","kid":"`+kid+`"}`, `{`+soon+`,"iss":"`+iss+`"}`)
	}
	// The iss is bound before there are keys of it.
	_, err := verifier.judge(of("HS256", "static", "https://a.example"), now)
	wantErr(t, err, token.ErrIssuer)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = verifier.Verify(cancelled, of("ES256", "a", "https://a.example"))
	wantErr(t, err, token.ErrUnknownKey)
	if n := fetches.Load(); n != 0 {
		t.Fatalf("%d fetches", n)
	}
	verified, err := verifier.judge(of("ES256", "a", "https://a.example"), now)
	wantErr(t, err, nil)
	if verified.Key.Issuer != "https://a.example" || fetches.Load() != 1 {
		t.Errorf("verified by a key of %q after %d fetches", verified.Key.Issuer, fetches.Load())
	}
	_, err = verifier.judge(of("ES256", "a", "https://b.example"), now)
	wantErr(t, err, token.ErrIssuer)
	_, err = verifier.judge(of("HS256", "static", "https://b.example"), now)
	wantErr(t, err, nil)

	// What is malformed, or names no known algorithm, never gets as far as a fetch.
	for _, text := range []string{"a.b", encode(`{"alg":"none","kid":"new"}`) + ".e30.AA", encode(`{"alg":"ES256","kid":"new","crit":[]}`) + ".e30.AA"} {
		if _, err := verifier.judge(text, now); err == nil {
			t.Error("accepted")
		}
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
