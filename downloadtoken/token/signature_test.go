package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestSpellingsOfOneToken(t *testing.T) {
	text := mintClaims(t, `{`+soon+`}`)
	parts := strings.Split(text, ".")
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	spare := func(part string) string { // sets the lowest spare bit of the last digit
		last := len(part) - 1
		return part[:last] + string(digits[strings.IndexByte(digits, part[last])|1])
	}
	sameBytes := func(a, b string) bool {
		x, errX := base64.RawURLEncoding.DecodeString(a)
		y, errY := base64.RawURLEncoding.DecodeString(b)
		return a != b && errX == nil && errY == nil && string(x) == string(y)
	}
	if !sameBytes(parts[2], spare(parts[2])) {
		t.Fatal("the signature has no spare bits")
	}
	verifier := verifierOf(t, "HS256")
	for name, spelling := range map[string]string{
		"spare bits":               parts[0] + "." + parts[1] + "." + spare(parts[2]),
		"padding":                  text + "=",
		"line feed at the end":     text + "\n",
		"line break in the middle": parts[0] + "." + parts[1] + "." + parts[2][:4] + "\r\n" + parts[2][4:],
		"space":                    " " + text,
		"standard alphabet":        strings.NewReplacer("-", "+", "_", "/").Replace(text) + "+",
		"four parts":               text + ".",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verifier.judge(spelling, now)
			wantErr(t, err, ErrMalformed)
		})
	}
}

func TestECDSASignatures(t *testing.T) {
	verifier := verifierOf(t, "ES256")
	text := mint(t, "ES256", `{"alg":"ES256"}`, `{`+soon+`,"jti":"n"}`)
	signed, encoded := text[:strings.LastIndexByte(text, '.')], text[strings.LastIndexByte(text, '.')+1:]
	signature, _ := base64url.DecodeString(encoded)
	n := ecdsaSigner().Params().N
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	join := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	zero, one := new(big.Int), big.NewInt(1)
	hash := sha256.Sum256([]byte(signed))
	der, err := ecdsa.SignASN1(rand.Reader, ecdsaSigner(), hash[:])
	if err != nil {
		t.Fatal(err)
	}
	all := new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)
	tests := []struct {
		name      string
		signature []byte
		err       error
	}{
		{"as signed", join(r, s), nil},
		{"r, n-s", join(r, new(big.Int).Sub(n, s)), nil},
		{"n-r, s", join(new(big.Int).Sub(n, r), s), ErrSignature},
		{"s, r", join(s, r), ErrSignature},
		{"0, 0", join(zero, zero), ErrSignature},
		{"0, s", join(zero, s), ErrSignature},
		{"r, 0", join(r, zero), ErrSignature},
		{"1, 1", join(one, one), ErrSignature},
		{"n, n", join(n, n), ErrSignature},
		{"r, n", join(r, n), ErrSignature},
		{"n, 0", join(n, zero), ErrSignature},
		{"all ones", join(all, all), ErrSignature},
		{"one byte short", signature[:63], ErrSignature},
		{"one byte long", append(signature[:64:64], 0), ErrSignature},
		{"one byte before", append([]byte{0}, signature...), ErrSignature},
		{"one byte in all", []byte{1}, ErrSignature},
		{"padded halves", append(append(make([]byte, 1), signature[:32]...), append(make([]byte, 1), signature[32:]...)...), ErrSignature},
		{"DER", der, ErrSignature},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := signed + "." + base64url.EncodeToString(test.signature)
			got, err := verifier.judge(text, now)
			wantErr(t, err, test.err)
			if err != nil {
				return
			}
			// Another spelling, but neither another fingerprint nor another nonce.
			if nonce, err := got.Claims.Nonce("jti"); nonce != "n" || err != nil || got.Fingerprint != FingerprintOf(signed+".x") {
				t.Errorf("nonce %q (%v), fingerprint %v", nonce, err, got.Fingerprint)
			}
		})
	}
}

func TestEverySignatureByteCounts(t *testing.T) {
	for _, a := range algorithms {
		verifier := verifierOf(t, a.name)
		text := mint(t, a.name, `{"alg":"`+a.name+`"}`, `{`+soon+`}`)
		cut := strings.LastIndexByte(text, '.') + 1
		signature, _ := base64url.DecodeString(text[cut:])
		for _, i := range []int{0, len(signature) / 2, len(signature) - 1} {
			forged := append([]byte(nil), signature...)
			forged[i] ^= 1
			_, err := verifier.judge(text[:cut]+base64url.EncodeToString(forged), now)
			wantErr(t, err, ErrSignature)
		}
		_, err := verifier.judge(text[:cut]+base64url.EncodeToString(signature[:len(signature)-1]), now)
		wantErr(t, err, ErrSignature)
	}
}

func TestPSSSaltLength(t *testing.T) {
	for alg, hash := range map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		signed := encode(`{"alg":"`+alg+`"}`) + "." + encode(`{`+soon+`}`)
		hasher := hash.New()
		hasher.Write([]byte(signed))
		digest := hasher.Sum(nil)
		verifier := verifierOf(t, alg)
		for _, length := range []int{0, 1, 16, 20, 32, 48, 64, 100} {
			signature := signPSS(t, hash, digest, length)
			if jwt.GetSigningMethod(alg).Verify(signed, signature, rsaSigner().Public()) != nil {
				t.Fatalf("%s, salt of %d: the test's signature is no PSS at all", alg, length)
			}
			var want error
			if length != hash.Size() {
				want = ErrSignature
			}
			_, err := verifier.judge(signed+"."+base64url.EncodeToString(signature), now)
			wantErr(t, err, want)
		}
	}
}

// signPSS makes signatures with any salt length; for crypto/rsa, 0 would mean the
// longest that fits. The encoding is EMSA-PSS of RFC 8017 9.1.1.
func signPSS(t *testing.T, hash crypto.Hash, digest []byte, saltLength int) []byte {
	t.Helper()
	if saltLength > 0 {
		signature, err := rsa.SignPSS(rand.Reader, rsaSigner(), hash, digest, &rsa.PSSOptions{SaltLength: saltLength})
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	hasher := hash.New()
	hasher.Write(make([]byte, 8))
	hasher.Write(digest)
	h := hasher.Sum(nil)
	encoded := make([]byte, rsaSigner().Size())
	db := encoded[:len(encoded)-len(h)-1]
	db[len(db)-1] = 1
	for i, counter := 0, byte(0); i < len(db); counter++ { // MGF1
		mask := hash.New()
		mask.Write(h)
		mask.Write([]byte{0, 0, 0, counter})
		for _, b := range mask.Sum(nil) {
			if i < len(db) {
				db[i] ^= b
				i++
			}
		}
	}
	db[0] &= 0x7f
	copy(encoded[len(db):], h)
	encoded[len(encoded)-1] = 0xbc
	m := new(big.Int).SetBytes(encoded)
	return m.Exp(m, rsaSigner().D, rsaSigner().N).FillBytes(encoded)
}
