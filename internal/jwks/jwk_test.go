package jwks

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// members of a JWK that a test adds or, with nil, takes away.
type members map[string]any

// jwkOf writes the JWK of a public key or secret.
func jwkOf(t testing.TB, key any, kid string, changes members) string {
	t.Helper()
	b64 := base64url.EncodeToString
	jwk := members{}
	switch key := key.(type) {
	case []byte:
		jwk = members{"kty": "oct", "k": b64(key)}
	case *rsa.PublicKey:
		jwk = members{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		jwk = members{"kty": "EC", "crv": key.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		jwk = members{"kty": "OKP", "crv": "Ed25519", "x": b64(key)}
	default:
		t.Fatalf("no JWK for %T", key)
	}
	if kid != "" {
		jwk["kid"] = kid
	}
	maps.Copy(jwk, changes)
	maps.DeleteFunc(jwk, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// jwkFor is the JWK of an algorithm's test key.
func jwkFor(t testing.TB, alg, kid string) string {
	t.Helper()
	return jwkOf(t, public(signers()[alg]), kid, members{"alg": alg})
}

func setOf(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

// fromFile takes everything that may be taken.
var fromFile = policy{secrets: true}

func TestJWK(t *testing.T) {
	rsaKey, ecKey, okpKey := public(signers()["RS256"]), public(signers()["ES256"]), public(signers()["EdDSA"])
	p384 := public(signers()["ES384"]).(*ecdsa.PublicKey)
	oct := []byte(secret)
	b64 := base64url.EncodeToString
	x := b64(okpKey.(ed25519.PublicKey))
	algs := func(names ...string) policy { return policy{algs: names, secrets: true} }
	url := policy{}
	tests := []struct {
		name   string
		policy policy
		jwk    string
		want   string // the algorithms
		warns  string // part of the only complaint
	}{
		{"RSA", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256"}), "RS256", ""},
		{"RSA for PSS", url, jwkOf(t, rsaKey, "a", members{"alg": "PS512"}), "PS512", ""},
		{"RSA without alg", url, jwkOf(t, rsaKey, "a", nil), "", "name those that its issuer uses with alg, one or more of RS256 RS384"},
		{"RSA without alg, configured", algs("RS256"), jwkOf(t, rsaKey, "a", nil), "RS256", ""},
		{"RSA without alg, two configured", algs("PS256", "ES256", "RS256"), jwkOf(t, rsaKey, "a", nil), "RS256 PS256", ""},
		{"RSA without alg, others configured", algs("ES256"), jwkOf(t, rsaKey, "a", nil), "", "none of the configured ones"},
		{"RSA keeps its alg", algs("PS256"), jwkOf(t, rsaKey, "a", members{"alg": "RS256"}), "RS256", ""},
		{"RSA alg null", url, strings.Replace(jwkOf(t, rsaKey, "a", members{"alg": "RS256"}), `"RS256"`, `null`, 1), "", "names no alg"},
		{"RSA for ES256", url, jwkOf(t, rsaKey, "a", members{"alg": "ES256"}), "", "does not fit"},
		{"RSA for HS256", fromFile, jwkOf(t, rsaKey, "a", members{"alg": "HS256"}), "", "does not fit"},
		{"RSA for encryption", url, jwkOf(t, rsaKey, "a", members{"alg": "RSA-OAEP"}), "", "alg is not one that signs"},
		{"RSA of 1024 bits", url, jwkOf(t, &rsa.PublicKey{N: modulus(1024), E: 65537}, "a", members{"alg": "RS256"}), "", "1024 bits"},
		{"RSA exponent 1", url, jwkOf(t, &rsa.PublicKey{N: modulus(2048), E: 1}, "a", members{"alg": "RS256"}), "", "exponent"},
		{"RSA exponent of 2^64+1", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256", "e": b64([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1})}), "", "e is too large"},
		{"RSA with ROCA", url, jwkOf(t, &rsa.PublicKey{N: rocaModulus(), E: 65537}, "a", members{"alg": "RS256"}), "", "ROCA"},
		{"RSA without n", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256", "n": nil}), "", "n is missing"},
		{"RSA without e", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256", "e": nil}), "", "e is missing"},
		{"RSA with leading zero", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256", "n": b64(append([]byte{0}, rsaKey.(*rsa.PublicKey).N.Bytes()...))}), "RS256", ""},
		{"RSA with padding", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256", "e": "AQAB="}), "", "e is not base64url"},
		{"RSA with line break", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256", "e": "AQ\nAB"}), "", "e is not base64url"},

		{"EC", url, jwkOf(t, ecKey, "a", nil), "ES256", ""},
		{"EC P-384", url, jwkOf(t, p384, "a", nil), "ES384", ""},
		{"EC P-521", url, jwkOf(t, public(signers()["ES512"]), "a", nil), "ES512", ""},
		{"EC for another curve", url, jwkOf(t, p384, "a", members{"alg": "ES256"}), "", "does not fit"},
		{"EC without alg, others configured", algs("RS256"), jwkOf(t, ecKey, "a", nil), "", "none of the configured ones"},
		{"EC without alg, configured", algs("RS256", "ES256"), jwkOf(t, ecKey, "a", nil), "ES256", ""},
		{"EC on another curve", url, jwkOf(t, ecKey, "a", members{"crv": "secp256k1"}), "", "crv is not"},
		{"EC without crv", url, jwkOf(t, ecKey, "a", members{"crv": nil}), "", "crv is not"},
		{"EC P-256 called P-384", url, jwkOf(t, ecKey, "a", members{"crv": "P-384"}), "", "x is not of 48 bytes"},
		{"EC without y", url, jwkOf(t, ecKey, "a", members{"y": nil}), "", "y is missing"},
		{"EC not on the curve", url, jwkOf(t, ecKey, "a", members{"y": b64(make([]byte, 32))}), "", "not a point"},
		{"EC short y", url, jwkOf(t, ecKey, "a", members{"y": b64(make([]byte, 31))}), "", "y is not of 32 bytes"},

		{"OKP", url, jwkOf(t, okpKey, "a", nil), "EdDSA", ""},
		{"OKP for agreement", url, jwkOf(t, okpKey, "a", members{"crv": "X25519"}), "", "crv is not Ed25519"},
		{"OKP short", url, jwkOf(t, okpKey, "a", members{"x": x[:40]}), "", "must have 32 bytes"},
		{"OKP short, with alg", url, jwkOf(t, okpKey, "a", members{"x": x[:40], "alg": "EdDSA"}), "", "must have 32 bytes"},
		{"OKP for RS256", url, jwkOf(t, okpKey, "a", members{"alg": "RS256"}), "", "does not fit"},

		{"oct", fromFile, jwkOf(t, oct, "a", members{"alg": "HS256"}), "HS256", ""},
		{"oct from a URL", url, jwkOf(t, oct, "a", members{"alg": "HS256"}), "", "put it into a file"},
		{"oct without alg", fromFile, jwkOf(t, oct, "a", nil), "", "names no alg"},
		{"oct without alg, configured", algs("HS512"), jwkOf(t, oct, "a", nil), "HS512", ""},
		{"oct short", fromFile, jwkOf(t, oct[:31], "a", members{"alg": "HS256"}), "", "only 31 bytes"},
		{"oct shorter than its hash", fromFile, jwkOf(t, oct[:32], "a", members{"alg": "HS512"}), "HS512", "should have at least 64"},
		{"oct that is PEM", fromFile, jwkOf(t, []byte(publicPEM(t, rsaKey)), "a", members{"alg": "HS256"}), "", "PEM"},
		{"oct empty", fromFile, jwkOf(t, oct, "a", members{"alg": "HS256", "k": ""}), "", "k is missing"},
		{"oct for RS256", fromFile, jwkOf(t, oct, "a", members{"alg": "RS256"}), "", "does not fit"},
		{"oct for encryption", fromFile, jwkOf(t, oct[:16], "a", members{"use": "enc", "alg": "A128GCM"}), "", "use is not sig"},

		{"use sig", url, jwkOf(t, ecKey, "a", members{"use": "sig"}), "ES256", ""},
		{"use enc", url, jwkOf(t, ecKey, "a", members{"use": "enc"}), "", "use is not sig"},
		{"use in other case", url, jwkOf(t, ecKey, "a", members{"use": "Sig"}), "", "use is not sig"},
		{"use empty", url, jwkOf(t, ecKey, "a", members{"use": ""}), "", "use is not sig"},
		{"use is a number", url, jwkOf(t, ecKey, "a", members{"use": 1}), "", "not a JSON object whose members"},
		{"key_ops verify", url, jwkOf(t, ecKey, "a", members{"key_ops": []string{"sign", "verify"}}), "ES256", ""},
		{"key_ops without verify", url, jwkOf(t, ecKey, "a", members{"key_ops": []string{"sign"}}), "", "key_ops do not include"},
		{"key_ops empty", url, jwkOf(t, ecKey, "a", members{"key_ops": []string{}}), "", "key_ops do not include"},
		{"key_ops is a string", url, jwkOf(t, ecKey, "a", members{"key_ops": "verify"}), "", "not a JSON object whose members"},
		{"alg none", url, jwkOf(t, ecKey, "a", members{"alg": "none"}), "", "alg is not one"},
		{"alg empty", url, jwkOf(t, ecKey, "a", members{"alg": ""}), "", "alg is not one"},
		{"alg in other case", url, jwkOf(t, ecKey, "a", members{"alg": "es256"}), "", "alg is not one"},
		{"kty unknown", url, `{"kty":"AKP","kid":"a","alg":"ES256"}`, "", "kty is not"},
		{"kty missing", url, jwkOf(t, ecKey, "a", members{"kty": nil}), "", "kty is not"},
		{"kty in other case", url, jwkOf(t, ecKey, "a", members{"kty": "ec"}), "", "kty is not"},
		{"kid number", url, jwkOf(t, ecKey, "a", members{"kid": 7}), "", "not a JSON object whose members"},
		{"kid too long", url, jwkOf(t, ecKey, repeat("k", maxKidBytes+1), nil), "", "kid is longer"},
		{"kid as long as may be", url, jwkOf(t, ecKey, repeat("k", maxKidBytes), nil), "ES256", ""},
		{"duplicate member", url, `{"kty":"EC",` + jwkOf(t, ecKey, "a", nil)[1:], "", "given once"},
		{"lone surrogate", url, strings.Replace(jwkOf(t, ecKey, "a", nil), `"a"`, `"\ud800"`, 1), "", "not a JSON object whose members"},
		{"member in other case", url, strings.Replace(jwkOf(t, ecKey, "a", nil), `"crv"`, `"CRV"`, 1), "", "crv is not"},
		{"not an object", url, `"EC"`, "", "not a JSON object"},
		{"null", url, `null`, "", "not a JSON object"},

		{"private EC", url, jwkOf(t, ecKey, "a", members{"d": b64(make([]byte, 32))}), "ES256", "private key"},
		{"private OKP", url, jwkOf(t, okpKey, "a", members{"d": b64(make([]byte, 32))}), "EdDSA", "private key"},
		{"private RSA by its primes", url, jwkOf(t, rsaKey, "a", members{"alg": "RS256", "q": "AQ"}), "RS256", "private key"},
		{"d is null", url, strings.Replace(jwkOf(t, ecKey, "a", nil), `{`, `{"d":null,`, 1), "ES256", ""},
		{"addresses and certificates", url, jwkOf(t, ecKey, "a", members{"x5u": "https://127.0.0.1:1/", "jku": "https://127.0.0.1:1/", "x5c": []string{"garbage"}}), "ES256", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.policy.issuer = "https://a.example"
			table, complaints, err := test.policy.read([]byte(setOf(test.jwk)))
			wantErr(t, err, nil)
			var got []string
			for _, key := range table.Keys() {
				got = append(got, key.Alg)
				if key.Issuer != "https://a.example" || !strings.Contains("a"+repeat("k", maxKidBytes), key.ID) || key.ID == "" {
					t.Errorf("key has ID %q and issuer %q", key.ID, key.Issuer)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("has algorithms %q, want %q", got, test.want)
			}
			checkComplaint(t, complaints, test.warns)
		})
	}
}

func checkComplaint(t testing.TB, complaints []complaint, part string) {
	t.Helper()
	if part == "" && len(complaints) > 0 || part != "" && (len(complaints) != 1 || !strings.Contains(complaints[0].message, part)) {
		t.Errorf("complaints are %q, want %q", complaints, part)
	}
}

// The key that comes out is the one that went in, for each algorithm.
func TestJWKVerifies(t *testing.T) {
	for alg, signer := range signers() {
		t.Run(alg, func(t *testing.T) {
			table, _, err := fromFile.read([]byte(setOf(jwkFor(t, alg, "k"))))
			wantErr(t, err, nil)
			verified, err := judgeBy(table).judge(mint(t, alg, `{"alg":"`+alg+`","kid":"k"}`, `{`+soon+`}`), now)
			wantErr(t, err, nil)
			static, err := token.NewKey(alg, public(signer))
			wantErr(t, err, nil)
			if verified.Key.Fingerprint() != static.Fingerprint() {
				t.Error("the fingerprint depends on where the key comes from")
			}
			rsaKey, ok := public(signer).(*rsa.PublicKey)
			if !ok {
				return
			}
			padded := base64url.EncodeToString(append([]byte{0}, rsaKey.N.Bytes()...))
			table, _, err = fromFile.read([]byte(setOf(jwkOf(t, rsaKey, "k", members{"alg": alg, "n": padded, "e": "AAEAAQ"}))))
			wantErr(t, err, nil)
			if keys := table.Keys(); len(keys) != 1 || keys[0].Fingerprint() != static.Fingerprint() {
				t.Error("the fingerprint depends on how the key is spelled")
			}
		})
	}
}

func TestJWKSet(t *testing.T) {
	good := jwkFor(t, "ES256", "good")
	other := jwkOf(t, otherECDSA(), "good", members{"alg": "ES256"})
	kidless := func(n int) []string {
		texts := make([]string, n)
		for i := range texts {
			texts[i] = jwkOf(t, []byte(fmt.Sprintf("%032d", i)), "", members{"alg": "HS256"})
		}
		return texts
	}
	tests := []struct {
		name  string
		set   string
		want  string // the kids
		err   error
		warns string
	}{
		{"one", setOf(good), "good", nil, ""},
		{"none", setOf(), "", nil, ""},
		{"other members", `{"a":{"b":1,"b":2},"keys":[` + good + `],"KEYS":7}`, "good", nil, ""},
		{"a bad one among good", setOf(good, `{"kty":"EC","kid":"bad"}`, jwkFor(t, "RS256", "too")), "good too", nil, "crv"},
		{"invalid UTF-8 in one", setOf(good, `{"kty":"EC","kid":"`+"\xff"+`"}`), "good", nil, "not a JSON object whose members"},
		{"the same twice", setOf(good, good), "good", nil, ""},
		{"same kid, other material", setOf(good, other), "", nil, "another key of the set has its kid"},
		{"same kid, other material, thrice", setOf(good, other, good), "", nil, "another key of the set has its kid"},
		{"same kid, other kty", setOf(good, jwkFor(t, "RS256", "good")), "good good", nil, ""},
		{"same kid, one unusable", setOf(jwkOf(t, otherECDSA(), "good", members{"use": "enc"}), good), "good", nil, "use is not sig"},
		{"four without kid", setOf(kidless(4)...), "- - - -", nil, ""},
		{"five without kid", setOf(kidless(5)...), "- - - -", nil, "more than 4"},
		{"the same without kid, often", setOf(slices.Repeat(kidless(1), 9)...), "-", nil, ""},

		{"no keys", `{}`, "", errNoSet, ""},
		{"keys twice", `{"keys":[` + good + `],"keys":[]}`, "", errNoSet, ""},
		{"keys twice, empty", `{"keys":[],"keys":[` + good + `]}`, "", errNoSet, ""},
		{"keys no array", `{"keys":{}}`, "", errNoSet, ""},
		{"keys null", `{"keys":null}`, "", errNoSet, ""},
		{"keys in other case", `{"Keys":[` + good + `]}`, "", errNoSet, ""},
		{"a JWK alone", good, "", errNoSet, ""},
		{"an array", `[` + good + `]`, "", errNoSet, ""},
		{"empty text", ``, "", errNoSet, ""},
		{"HTML", `<!doctype html>`, "", errNoSet, ""},
		{"something after it", setOf(good) + `{}`, "", errNoSet, ""},
		{"cut off", setOf(good)[:40], "", errNoSet, ""},
		{"cut off between keys", strings.TrimSuffix(setOf(good), `]}`), "", errNoSet, ""},
		{"too many", setOf(slices.Repeat([]string{`{}`}, maxJWKs+1)...), "", errManyJWKs, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table, complaints, err := fromFile.read([]byte(test.set))
			wantErr(t, err, test.err)
			if err != nil {
				return
			}
			var kids []string
			for _, key := range table.Keys() {
				kids = append(kids, cmp.Or(key.ID, "-"))
			}
			if strings.Join(kids, " ") != test.want {
				t.Errorf("kids are %q, want %q", kids, test.want)
			}
			w := &warner{}
			checkComplaint(t, w.news(aboutKeys, complaints), test.warns)
		})
	}
	t.Run("as many as may be", func(t *testing.T) {
		_, complaints, err := fromFile.read([]byte(setOf(slices.Repeat([]string{`{}`}, maxJWKs)...)))
		wantErr(t, err, nil)
		if len(complaints) != maxJWKs {
			t.Errorf("%d complaints", len(complaints))
		}
	})
}

func otherECDSA() *ecdsa.PublicKey {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), generator())
	if err != nil {
		panic(err)
	}
	return public
}

// generator is a point on P-256 that is not a real key.
func generator() []byte {
	params := elliptic.P256().Params()
	return append(append([]byte{4}, params.Gx.FillBytes(make([]byte, 32))...), params.Gy.FillBytes(make([]byte, 32))...)
}

// RFC 9246 Appendix A: one kid for the public and the private half, and a key for
// encryption that is too short to sign. The token is the one of Appendix A.1.
func TestJWKSetOfRFC9246(t *testing.T) {
	const set = `{"keys":[
		{"kty":"EC","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0","use":"sig","alg":"ES256","crv":"P-256",
		 "x":"be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8","y":"rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA"},
		{"kty":"EC","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0","use":"sig","alg":"ES256","crv":"P-256",
		 "x":"be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8","y":"rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA",
		 "d":"yaowezrCLTU6yIwUL5RQw67cHgvZeMTLVZXjUGb1A1M"},
		{"kty":"oct","kid":"f-WbjxBC3dPuI3d24kP2hfvos7Qz688UTi6aB0hN998","use":"enc","alg":"A128GCM","k":"4uFxxV7fhNmrtiah2d1fFg"}
	]}`
	const simple = "eyJhbGciOiJFUzI1NiIsImtpZCI6IlA1VXBPdjBlTXExd2N4TGY3V3hJZzA5SmRTWUdZRkRPV2tsZHVlYUltZjAifQ." +
		"eyJleHAiOjE2NDY4NjczNjksImlzcyI6InVDRE4gSW5jIiwiY2RuaXVjIjoiaGFzaDpzaGEtMjU2OzJ0ZGVyZldQYTg2S3U3WW56VzUxWVVwN2RHVWpCU18zU1czRUx4NGhtV1kifQ." +
		"TaNlJM3D96i_9J9XvlICO6FUIDFTqt3E2YJkEUOLfcH0b89wYRKTbJ9Yj6h_GRgSoZoQO0cps3yUPcWGK3smCw"
	for name, policy := range map[string]policy{"from a URL": {}, "from a file": fromFile} {
		t.Run(name, func(t *testing.T) {
			policy.issuer = "uCDN Inc"
			table, complaints, err := policy.read([]byte(set))
			wantErr(t, err, nil)
			if len(table.Keys()) != 1 || len(complaints) != 2 ||
				!strings.Contains(complaints[0].message, "private key") || !strings.Contains(complaints[1].message, "use is not sig") {
				t.Fatalf("has %v and complaints %q", table.Keys(), complaints)
			}
			for _, c := range complaints {
				if strings.Contains(c.message, "yaowezr") || strings.Contains(c.message, "4uFxxV7") {
					t.Errorf("complaint shows the key: %s", c.message)
				}
			}
			verified, err := judgeBy(table).judge(simple, time.Unix(1646800000, 0))
			wantErr(t, err, nil)
			if verified.Claims.Issuer != "uCDN Inc" {
				t.Errorf("issuer is %q", verified.Claims.Issuer)
			}
		})
	}
}
