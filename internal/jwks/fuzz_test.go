package jwks

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// FuzzJWKS reads any text as a set. Each key that comes out must be there in the
// text, as encoding/json sees it, with leave to verify what it is bound to.
func FuzzJWKS(f *testing.F) {
	var all []string
	for alg := range signers() {
		all = append(all, jwkFor(f, alg, alg))
	}
	slices.Sort(all)
	for _, seed := range append(all, `null`, `{}`, `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, `{"kty":"RSA","n":"AQ","e":"AQAB"}`, `{"kty":"oct","k":"AA"}`) {
		f.Add([]byte(setOf(seed)), true)
		f.Add([]byte(setOf(seed, seed)), false)
	}
	f.Add([]byte(setOf(all...)), false)
	f.Add([]byte(setOf(jwkOf(f, public(signers()["RS256"]), "", members{"use": "sig", "key_ops": []string{"verify"}}), jwkOf(f, otherECDSA(), "ES256", nil))), true)
	f.Add([]byte(`{"keys":[],"keys":[]}`), true)
	f.Fuzz(func(t *testing.T, data []byte, isFile bool) {
		policy := policy{issuer: "i", algs: []string{"RS256", "ES256", "HS256"}, secrets: isFile}
		table, complaints, err := policy.read(data)
		if err != nil {
			if table != nil || complaints != nil {
				t.Fatal("there is a set and an error")
			}
			return
		}
		var set struct{ Keys []json.RawMessage }
		if err := json.Unmarshal([]byte(strings.ToValidUTF8(string(data), "\uFFFD")), &set); err != nil {
			t.Fatalf("encoding/json says %v", err)
		}
		seen := make(map[[2]string]int)
		for _, key := range table.Keys() {
			name := [2]string{key.ID, key.Alg}
			seen[name]++
			if seen[name] > 1 && key.ID != "" || seen[name] > token.MaxKidless || key.Issuer != "i" || new(token.Table).Add(key) != nil {
				t.Fatalf("%v is not as it must be", key)
			}
			if !slices.ContainsFunc(set.Keys, func(raw json.RawMessage) bool { return mayBe(raw, key, policy) }) {
				t.Fatalf("%v is not in the text", key)
			}
		}
		for _, c := range complaints {
			if len(c.message) > 400 || len(c.kid) > maxKidBytes {
				t.Fatalf("complaint is long: %q", c.message)
			}
		}
	})
}

// mayBe is a simple model of what a JWK may verify: nothing that is weak, and nothing by
// a secret that is not from a file.
func mayBe(raw json.RawMessage, key *token.Key, p policy) bool {
	var jwk map[string]any
	if json.Unmarshal(raw, &jwk) != nil {
		return false
	}
	kid, _ := jwk["kid"].(string)
	if kid != key.ID || jwk["use"] != nil && jwk["use"] != "sig" {
		return false
	}
	if ops, ok := jwk["key_ops"].([]any); jwk["key_ops"] != nil && (!ok || !slices.Contains(ops, any("verify"))) {
		return false
	}
	if alg := jwk["alg"]; alg == nil && !slices.Contains(p.algs, key.Alg) || alg != nil && alg != key.Alg {
		return false
	}
	member := func(name string) []byte {
		text, _ := jwk[name].(string)
		data, _ := base64.RawURLEncoding.DecodeString(text)
		return data
	}
	if jwk["kty"] == "oct" && (!p.secrets || len(member("k")) < 32) || jwk["kty"] == "RSA" && new(big.Int).SetBytes(member("n")).BitLen() < 2048 {
		return false
	}
	kty := map[byte]string{'H': "oct", 'R': "RSA", 'P': "RSA", 'E': "EC"}[key.Alg[0]]
	return jwk["kty"] == kty || key.Alg == "EdDSA" && jwk["kty"] == "OKP"
}

// Whatever stands around a good key, in whatever order, it is there; and of what
// is bad nothing is.
func TestBadKeysDoNotTouchGoodOnes(t *testing.T) {
	var good []string
	for i, alg := range []string{"RS256", "PS384", "ES256", "ES512", "EdDSA", "HS256"} {
		good = append(good, jwkFor(t, alg, fmt.Sprint("good", i)))
	}
	ec := public(signers()["ES256"])
	bad := []string{
		`7`, `null`, `{}`, `[]`, `"x"`, `{"kty":"EC","kty":"EC"}`, `{"kid":"good0"}`, `{"kid":"` + "\xff" + `"}`,
		jwkOf(t, ec, "good0", members{"use": "enc"}), jwkOf(t, ec, "good2", members{"key_ops": []string{"sign"}}),
		jwkOf(t, ec, "good2", members{"crv": "P-384"}), jwkOf(t, ec, "good2", members{"alg": "ES384"}),
		jwkOf(t, &rsa.PublicKey{N: modulus(1024), E: 65537}, "good0", members{"alg": "RS256"}),
		jwkOf(t, []byte("short"), "good5", members{"alg": "HS256"}), jwkOf(t, []byte(secret), "bad", nil),
	}
	rapid.Check(t, func(t *rapid.T) {
		chosen := rapid.SliceOfDistinct(rapid.IntRange(0, len(good)-1), rapid.ID[int]).Draw(t, "good")
		var jwks []string
		for _, i := range chosen {
			jwks = append(jwks, good[i])
		}
		jwks = append(jwks, rapid.SliceOf(rapid.SampledFrom(bad)).Draw(t, "bad")...)
		jwks = rapid.Permutation(jwks).Draw(t, "order")
		table, complaints, err := fromFile.read([]byte(setOf(jwks...)))
		if err != nil {
			t.Fatal(err)
		}
		if len(table.Keys()) != len(chosen) || len(complaints) != len(jwks)-len(chosen) {
			t.Fatalf("%d good and %d in all became %v and %q", len(chosen), len(jwks), table.Keys(), complaints)
		}
		for _, i := range chosen {
			if !knows(table, fmt.Sprint("good", i)) {
				t.Fatalf("good%d is not there", i)
			}
		}
	})
}

// What a publisher does to a set, step by step, is what the tokens meet: the ring
// agrees with a plain map after each.
func TestRotationAgainstModel(t *testing.T) {
	kids := []string{"a", "b", "c", "d"}
	texts := make(map[string]string)
	for _, kid := range kids {
		texts[kid] = jwkFor(t, "ES256", kid)
	}
	rapid.Check(t, func(rt *rapid.T) {
		model, loaded := map[string]bool{}, map[string]bool{}
		down := false
		clock := new(clock)
		j := overWire(t, Options{Now: clock.now}, func(r *http.Request) (string, error) {
			if down {
				return "", fmt.Errorf("down")
			}
			var jwks []string
			for _, kid := range kids {
				if model[kid] {
					jwks = append(jwks, texts[kid])
				}
			}
			return setOf(jwks...), nil
		})
		ring := NewRing(nil, j)
		arrive := func() {
			if !down {
				loaded = make(map[string]bool)
				for kid, is := range model {
					loaded[kid] = is
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) { model[rapid.SampledFrom(kids).Draw(rt, "kid")] = true },
			"remove":  func(rt *rapid.T) { model[rapid.SampledFrom(kids).Draw(rt, "kid")] = false },
			"toggle":  func(*rapid.T) { down = !down },
			"refresh": func(*rapid.T) { refresh(t, j); arrive() },
			"first use": func(rt *rapid.T) {
				clock.pass(absentFor) // so that no limit is in the way
				kid := rapid.SampledFrom(kids).Draw(rt, "kid")
				if !loaded[kid] {
					arrive()
				}
				if _, err := ring.LookupContext(t.Context(), kid, "ES256"); (err == nil) != loaded[kid] {
					rt.Fatalf("%s: error is %v", kid, err)
				}
			},
			"": func(rt *rapid.T) {
				for _, kid := range kids {
					if _, err := ring.Lookup(kid, "ES256"); (err == nil) != loaded[kid] {
						rt.Fatalf("%s: error is %v", kid, err)
					}
				}
			},
		})
	})
}

func BenchmarkJWKS(b *testing.B) {
	var jwks []string
	for i := range 20 {
		jwks = append(jwks, jwkFor(b, []string{"RS256", "ES256"}[i%2], fmt.Sprint("k", i)))
	}
	text := []byte(setOf(jwks...))
	b.Run("read 20 keys", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, _, err := fromFile.read(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	j := overWire(b, Options{Now: new(clock).now}, func(*http.Request) (string, error) { return string(text), nil })
	refresh(b, j)
	ring := NewRing(makeTable(b, makeKey(b, "HS256")), j)
	for name, kid := range map[string]string{"known": "k1", "absent": "no"} {
		b.Run("lookup "+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ring.LookupContext(b.Context(), kid, "ES256")
			}
		})
	}
}
