package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// written is the private JWK of an algorithm's test key, changed.
func written(t testing.TB, alg string, changes members) string {
	t.Helper()
	private, _, err := Write(signers()[alg], alg, "k")
	wantErr(t, err, nil)
	all := members{}
	wantErr(t, json.Unmarshal([]byte(private), &all), nil)
	for name, value := range changes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	wantErr(t, err, nil)
	return string(text)
}

// What is written is read again, and its public half verifies what the private one signs.
func TestWrite(t *testing.T) {
	for alg, signer := range signers() {
		private, half, err := Write(signer, alg, "k")
		wantErr(t, err, nil)
		k, err := Parse([]byte(strings.TrimSpace(private)))
		wantErr(t, err, nil)
		got, err := k.Private()
		wantErr(t, err, nil)
		if key, ok := signer.(interface{ Equal(crypto.PrivateKey) bool }); ok && !key.Equal(got) || !ok && string(got.([]byte)) != secret {
			t.Errorf("%s: another key was read", alg)
		}
		if *k.Alg != alg || *k.Use != "sig" || k.Kid != "k" {
			t.Errorf("%s: %q %q %q", alg, *k.Alg, *k.Use, k.Kid)
		}
		if alg[:2] == "HS" {
			if half != "" {
				t.Errorf("%s: a secret has a public half", alg)
			}
			continue
		}
		table, complaints, err := policy{}.read([]byte(setOf(half)))
		wantErr(t, err, nil)
		if own, _ := token.NewKey(alg, public(signer)); len(table.Keys()) != 1 || len(complaints) > 0 || table.Keys()[0].Fingerprint() != own.Fingerprint() {
			t.Errorf("%s: the public half is %v, complaints %q", alg, table.Keys(), complaints)
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	wantErr(t, err, nil)
	for _, key := range []any{nil, p224.Public(), public(signers()["RS256"])} {
		if _, _, err := Write(key, "ES256", ""); err == nil {
			t.Errorf("%T was written", key)
		}
	}
}

// A key signs only if all of it belongs together: a library that trusts the public
// members would sign what no key verifies.
func TestPrivateRefuses(t *testing.T) {
	b64 := base64url.EncodeToString
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	wantErr(t, err, nil)
	scalar, err := other.Bytes()
	wantErr(t, err, nil)
	rsaKey := signers()["RS256"].(*rsa.PrivateKey)
	for name, tt := range map[string]struct{ jwk, err string }{
		"public EC":              {written(t, "ES256", members{"d": nil}), "cannot sign"},
		"public RSA":             {written(t, "RS256", members{"d": nil, "p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil}), "cannot sign"},
		"public OKP":             {written(t, "EdDSA", members{"d": nil}), "cannot sign"},
		"EC of another d":        {written(t, "ES256", members{"d": b64(scalar)}), "do not belong together"},
		"EC with d 0":            {written(t, "ES256", members{"d": b64(make([]byte, 32))}), "damaged"},
		"EC with a short d":      {written(t, "ES256", members{"d": b64(scalar[1:])}), "damaged"},
		"EC with d a number":     {written(t, "ES256", members{"d": 7}), "damaged"},
		"EC with a line break":   {written(t, "ES256", members{"d": b64(scalar) + "\n"}), "damaged"},
		"EC on another curve":    {written(t, "ES256", members{"crv": "P-384"}), "not of 48 bytes"},
		"OKP of another d":       {written(t, "EdDSA", members{"d": b64(make([]byte, ed25519.SeedSize))}), "do not belong together"},
		"OKP with a short d":     {written(t, "EdDSA", members{"d": b64(make([]byte, 31))}), "damaged"},
		"OKP with a long x":      {written(t, "EdDSA", members{"x": b64(make([]byte, 33))}), "do not belong together"},
		"RSA without p":          {written(t, "RS256", members{"p": nil}), "damaged"},
		"RSA with p empty":       {written(t, "RS256", members{"p": ""}), "damaged"},
		"RSA with p twice":       {written(t, "RS256", members{"q": b64(rsaKey.Primes[0].Bytes())}), "damaged"},
		"RSA of another n":       {written(t, "RS256", members{"n": b64(modulus(2048).Bytes())}), "damaged"},
		"RSA of another e":       {written(t, "RS256", members{"e": "Aw"}), "damaged"},
		"RSA with e cut by 2^64": {written(t, "RS256", members{"e": b64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})}), "e is too large"},
		"RSA with padding":       {written(t, "RS256", members{"e": "AQAB=="}), "e is not base64url"},
		"a secret of nothing":    {written(t, "HS256", members{"k": ""}), "k is missing"},
		"another kty":            {written(t, "ES256", members{"kty": "AKP"}), "kty is not"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Parse([]byte(tt.jwk))
			wantErr(t, err, nil)
			key, err := k.Private()
			if err == nil || key != nil || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("%T, %v, want %q", key, err, tt.err)
			}
			if strings.Contains(err.Error(), b64(scalar)) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}
