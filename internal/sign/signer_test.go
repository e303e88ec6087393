package sign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

const secret = "planted-secret-0123456789-abcdefghijklmnopqrstuvwxyz"

func must(key any, err error) any {
	if err != nil {
		panic(err)
	}
	return key
}

func TestUsualAlgorithm(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	for want, key := range map[string]any{
		"HS256": []byte(secret),
		"RS256": must(rsa.GenerateKey(rand.Reader, 2048)),
		"ES256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ES384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"ES512": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"EdDSA": must(edwards, err),
	} {
		s, err := New("", "id", key)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Key(); got.Alg != want || got.ID != "id" {
			t.Errorf("%v, want %s", got, want)
		}
		table, err := token.NewTable(s.Key())
		if err != nil {
			t.Fatal(err)
		}
		var c Claims
		c.Stamp(time.Unix(1_800_000_000, 0), time.Minute, time.Second)
		text, err := s.Sign("JWT", &c)
		if err != nil {
			t.Fatal(err)
		}
		v := token.Verifier{Keys: table}
		if _, err := v.Verify(t.Context(), text); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).(*ecdsa.PrivateKey)
	for name, tt := range map[string]struct {
		alg  string
		key  any
		want string
	}{
		"nothing":           {"", nil, "of a kind that no algorithm uses"},
		"a public key":      {"ES256", ec.Public(), "of a kind that no algorithm uses"},
		"another algorithm": {"RS256", ec, "does not fit"},
		"none":              {"none", ec, "anybody could write a token"},
		"a short secret":    {"HS256", []byte(secret[:31]), "31 bytes"},
		"a secret for ES":   {"ES256", []byte(secret), "does not fit"},
		"an unknown curve":  {"", must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)), "no algorithm uses"},
	} {
		s, err := New(tt.alg, "", tt.key)
		if s != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestSignerShowsNothing(t *testing.T) {
	s, _, err := Parse("HS256", "id", secret)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %+v", s, *s, *s, s)
	if strings.Contains(shown, "planted") || strings.Contains(shown, fmt.Sprintf("%x", secret)) {
		t.Errorf("shows the key: %s", shown)
	}
}

func TestClaims(t *testing.T) {
	at := time.Unix(1_800_000_000, 123_999_999)
	for name, tt := range map[string]struct {
		say  func(*Claims)
		want string // "" for an error
	}{
		"nothing":        {func(*Claims) {}, `{}`},
		"in order":       {func(c *Claims) { c.Set("z", []byte(`[1]`)); c.Set("a", []byte(`"b"`)) }, `{"z":[1],"a":"b"}`},
		"milliseconds":   {func(c *Claims) { c.Stamp(at, time.Minute, time.Millisecond) }, `{"iat":1800000000.123,"exp":1800000060}`},
		"seconds":        {func(c *Claims) { c.Stamp(at, time.Minute, time.Second) }, `{"iat":1800000000,"exp":1800000060}`},
		"a whole one":    {func(c *Claims) { c.Stamp(at.Truncate(time.Second), time.Minute, time.Millisecond) }, `{"iat":1800000000,"exp":1800000060}`},
		"never longer":   {func(c *Claims) { c.Stamp(at, 1900*time.Millisecond, time.Second) }, `{"iat":1800000000,"exp":1800000002}`},
		"twice":          {func(c *Claims) { c.Set("a", []byte(`1`)); c.Set("a", []byte(`1`)); c.Set("b", []byte(`1`)) }, ""},
		"no JSON":        {func(c *Claims) { c.Set("a", []byte(`x`)) }, ""},
		"a name of \xff": {func(c *Claims) { c.Set("\xff", []byte(`1`)) }, ""},
	} {
		var c Claims
		tt.say(&c)
		text, err := c.text()
		if (err == nil) != (tt.want != "") || err == nil && string(text) != tt.want {
			t.Errorf("%s: %s, %v, want %s", name, text, err, tt.want)
		}
	}
	seen := make(map[string]bool)
	for range 100 {
		var c Claims
		c.Nonce("n")
		text, err := c.text()
		if err != nil || len(text) != len(`{"n":""}`)+36 || text[20] != '4' || seen[string(text)] {
			t.Fatalf("%s, %v", text, err)
		}
		seen[string(text)] = true
	}
}

func TestTooLarge(t *testing.T) {
	s, err := New("", "", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	for size := range 300 {
		size += 5900
		var c Claims
		c.Set("x", jsontext.Value(`"`+strings.Repeat("x", size)+`"`))
		text, err := s.Sign("", &c)
		switch {
		case err == nil:
			longest = len(text)
		case err != token.ErrTooLarge:
			t.Fatal(err)
		}
	}
	if math.Abs(float64(token.MaxLength-longest)) > 2 || longest > token.MaxLength {
		t.Errorf("the longest has %d bytes", longest)
	}
}
