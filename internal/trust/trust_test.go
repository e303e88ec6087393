package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

const planted = "planted-secret-of-more-than-32-bytes-for-the-longest-of-all-hashes"

var now = time.Unix(1_800_000_000, 0)

// config has one key, and what change adds.
func config(change func(*verification.Config)) *verification.Config {
	c := &verification.Config{Key: []verification.TrustedKey{{Alg: "HS256", Key: planted}}}
	if change != nil {
		change(c)
	}
	return c
}

// certificate is one whose key verifies ES256, and that ended at a time.
func certificate(t testing.TB, end time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("TRUST_EMPTY", "")
	for name, c := range map[string]struct {
		change func(*verification.Config)
		want   string
	}{
		"no key":               {func(c *verification.Config) { c.Key = nil }, "key: at least one is required"},
		"a negative life":      {func(c *verification.Config) { c.MaxTTL = -1 }, "max_ttl: must not be negative"},
		"a negative leeway":    {func(c *verification.Config) { c.Leeway = -1 }, "leeway: must not be negative"},
		"a claim of no name":   {func(c *verification.Config) { c.Require = []verification.Requirement{{}} }, "require: the name of the claim is missing"},
		"an unknown algorithm": {func(c *verification.Config) { c.Key[0].Alg = "HS1" }, "key 1: unknown algorithm"},
		"no signature at all":  {func(c *verification.Config) { c.Key[0].Alg = "none" }, "key 1: "},
		"a short secret":       {func(c *verification.Config) { c.Key[0].Key = "planted" }, "key 1: "},
		"a secret for RSA":     {func(c *verification.Config) { c.Key[0].Alg = "RS256" }, "key 1: "},
		"the second of two":    {func(c *verification.Config) { c.Key = append(c.Key, verification.TrustedKey{Alg: "HS256"}) }, "key 2: "},
		"one with an ID":       {func(c *verification.Config) { c.Key[0] = verification.TrustedKey{Alg: "x", KeyID: "a"} }, "key 1 (a): "},
		"an unset variable":    {func(c *verification.Config) { c.Key[0].Key = "{env.TRUST_EMPTY}" }, "key 1: "},
		"an unknown name":      {func(c *verification.Config) { c.Key[0].Key = "{planted.secret}" + planted }, "key 1: unknown placeholder"},
		"one ID twice": {func(c *verification.Config) {
			c.Key = append(c.Key, verification.TrustedKey{Alg: "HS256", Key: planted + "x"})
			c.Key[0].KeyID, c.Key[1].KeyID = "a", "a"
		}, "key: "},
		"a set without TLS":    {func(c *verification.Config) { c.JWKS = []verification.JWKS{{Location: "http://id.example/jwks"}} }, "jwks 1: "},
		"a set of a lost file": {func(c *verification.Config) { c.JWKS = []verification.JWKS{{Location: "/no/such/file"}} }, "jwks 1: "},
		"the second of the set": {func(c *verification.Config) {
			c.JWKS = []verification.JWKS{{Location: "https://trust.example/"}, {Location: "x"}}
		}, "jwks 2: "},
	} {
		t.Run(name, func(t *testing.T) {
			verifier, anchors, err := Open(caddy.Context{}, config(c.change), zap.NewNop(), now)
			if err == nil || !strings.Contains(err.Error(), c.want) || verifier != nil || anchors != nil {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "planted") {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
	pool.Range(func(name, _ any) bool {
		t.Errorf("a set is left in the pool: %v", name)
		return true
	})
}

// TestOpenWarns: of a weak key and of a certificate that has ended, by the key's place
// and ID, without the key; both are used.
func TestOpenWarns(t *testing.T) {
	for name, c := range map[string]struct {
		key  verification.TrustedKey
		want string // "" for none
	}{
		"a good key":           {verification.TrustedKey{Alg: "HS512", Key: planted}, ""},
		"shorter than a hash":  {verification.TrustedKey{Alg: "HS512", Key: planted[:40]}, "weak key"},
		"a certificate":        {verification.TrustedKey{Alg: "ES256", Key: certificate(t, now.Add(time.Minute))}, ""},
		"one that has expired": {verification.TrustedKey{Alg: "ES256", Key: certificate(t, now.Add(-time.Minute))}, "the certificate has expired; its key is used all the same"},
	} {
		t.Run(name, func(t *testing.T) {
			c.key.KeyID = "2027"
			core, logs := observer.New(zap.DebugLevel)
			verifier, anchors, err := Open(caddy.Context{}, &verification.Config{Key: []verification.TrustedKey{c.key}}, zap.New(core), now)
			if err != nil || verifier.Keys == nil || len(anchors.Static.Keys()) != 1 {
				t.Fatalf("%v, %v", verifier, err)
			}
			if logs.Len() == 0 && c.want == "" {
				return
			}
			if logs.Len() != 1 || logs.All()[0].Message != c.want || logs.All()[0].ContextMap()["key"] != "key 1 (2027)" {
				t.Errorf("%v", logs.All())
			}
			for _, value := range logs.All()[0].ContextMap() {
				if strings.Contains(value.(string), "planted") {
					t.Errorf("the warning has the key: %v", value)
				}
			}
		})
	}
}

// TestRules: every setting becomes a rule.
func TestRules(t *testing.T) {
	c := &verification.Config{
		Issuer: []string{"i"}, Audience: []string{"a"}, HeaderTyp: []string{"t"},
		MaxTTL: caddy.Duration(time.Minute), Leeway: caddy.Duration(time.Second),
		Require: []verification.Requirement{{Claim: "c", Values: []string{"v"}}, {Claim: "d"}},
	}
	want := token.Rules{
		Issuers: []string{"i"}, Audiences: []string{"a"}, HeaderTyps: []string{"t"},
		MaxTTL: time.Minute, Leeway: time.Second,
		Require: []token.Requirement{{Claim: "c", Values: []string{"v"}}, {Claim: "d"}},
	}
	if got := Rules(c); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if !Requires(c, "c") || !Requires(c, "d") || Requires(c, "e") || Requires(new(verification.Config), "") {
		t.Error("what is required is not known")
	}
}

// TestBindings: a key's ID and issuer go with it.
func TestBindings(t *testing.T) {
	c := config(func(c *verification.Config) { c.Key[0].KeyID, c.Key[0].Issuer = "2027", "https://id.example" })
	_, anchors, err := Open(caddy.Context{}, c, zap.NewNop(), now)
	if err != nil {
		t.Fatal(err)
	}
	if key := anchors.Static.Keys()[0]; key.ID != "2027" || key.Issuer != "https://id.example" || key.Alg != "HS256" {
		t.Errorf("%s, %s, %s", key.ID, key.Issuer, key.Alg)
	}
	if names := anchors.Sources(); len(names) != 0 {
		t.Errorf("sets of nothing: %q", names)
	}
	var none *Anchors
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

// TestMaterialKeepsSecrets: what looks like a placeholder in a secret is not quoted,
// and a value that looks like one is not replaced again.
func TestMaterialKeepsSecrets(t *testing.T) {
	t.Setenv("TRUST_KEY", "{env.HOME}")
	for configured, want := range map[string]string{
		planted:                 planted,
		"{env.TRUST_KEY}":       "{env.HOME}",
		`a\{b}c`:                "a{b}c",
		"x{env.TRUST_KEY}y":     "x{env.HOME}y",
		"":                      "",
		"a } without the other": "a } without the other",
	} {
		if got, err := Material(configured); got != want || err != nil {
			t.Errorf("%q became %q, %v", configured, got, err)
		}
	}
	for _, configured := range []string{"{planted}", "x{planted.secret}y", "{env.TRUST_UNSET}{planted}"} {
		if got, err := Material(configured); err == nil || got != "" || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: %q, %v", configured, got, err)
		}
	}
}
