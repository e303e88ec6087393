package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// modulus makes an odd number of so many bits, and not of the ROCA kind.
func modulus(bits int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.SetBit(n, 0, 1)
	return n.SetBit(n, 100, 1)
}

// rocaModulus has the structure of the flawed library's, which is all that the
// check looks at.
func rocaModulus() *big.Int {
	product := big.NewInt(2)
	for p := int64(3); p <= 701; p += 2 {
		if big.NewInt(p).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(p))
		}
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(12345), product)
	shift := uint(2048 - product.BitLen())
	return n.Add(n, new(big.Int).Lsh(product, shift))
}

func TestNewKeyRefusesWeakKeys(t *testing.T) {
	rsaKey := func(n *big.Int, e int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: e} }
	good := rsaSigner().N
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	point := ecdsaSigner().PublicKey
	//lint:ignore SA1019 there is no other way to make a point that is not on its curve
	offCurve := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).Add(point.X, big.NewInt(1)), Y: point.Y}
	tests := []struct {
		name, alg string
		key       any
		err       string // "" accepts
	}{
		{"HMAC", "HS256", []byte(repeat("k", 32)), ""},
		{"HMAC of 31 bytes", "HS256", []byte(repeat("k", 31)), "only 31 bytes"},
		{"HMAC of 31 bytes for SHA-512", "HS512", []byte(repeat("k", 31)), "only 31 bytes"},
		{"HMAC, empty", "HS256", []byte{}, "only 0 bytes"},
		{"HMAC, nil", "HS256", []byte(nil), "only 0 bytes"},
		{"HMAC, PEM", "HS256", []byte(publicPEM(t, rsaSigner().Public())), "PEM"},
		{"HMAC, text", "HS256", secret, "no algorithm uses"},

		{"RSA", "RS256", rsaSigner().Public(), ""},
		{"RSA 16384", "RS256", rsaKey(modulus(16384), 65537), ""},
		{"RSA 2047", "RS256", rsaKey(modulus(2047), 65537), "only 2047 bits"},
		{"RSA 1024 for PSS", "PS256", rsaKey(modulus(1024), 65537), "only 1024 bits"},
		{"RSA 16385", "RS256", rsaKey(modulus(16385), 65537), "16385 bits"},
		{"RSA, negative modulus", "RS256", rsaKey(new(big.Int).Neg(good), 65537), "only 2048 bits"},
		{"RSA, even modulus", "RS256", rsaKey(new(big.Int).Add(good, big.NewInt(1)), 65537), "even"},
		{"RSA, exponent 3", "RS256", rsaKey(good, 3), ""},
		{"RSA, exponent 1", "RS256", rsaKey(good, 1), "exponent"},
		{"RSA, exponent 0", "RS256", rsaKey(good, 0), "exponent"},
		{"RSA, exponent -3", "RS256", rsaKey(good, -3), "exponent"},
		{"RSA, even exponent", "RS256", rsaKey(good, 65536), "exponent"},
		{"RSA, exponent too large", "RS256", rsaKey(good, 1<<31+1), "exponent"},
		{"RSA, ROCA", "RS256", rsaKey(rocaModulus(), 65537), "ROCA"},
		{"RSA, nil", "RS256", (*rsa.PublicKey)(nil), "no algorithm uses"},
		{"RSA, no modulus", "RS256", &rsa.PublicKey{E: 3}, "no algorithm uses"},
		{"RSA, private", "RS256", rsaSigner(), "private"},
		{"RSA for ECDSA", "ES256", rsaSigner().Public(), "RSA key write one of RS256 RS384 RS512 PS256 PS384 PS512"},
		{"RSA for HMAC", "HS256", rsaSigner().Public(), "RSA key write one of RS256"},

		{"ECDSA", "ES256", &point, ""},
		{"ECDSA, wrong curve", "ES384", &point, "ECDSA key write one of ES256"},
		{"ECDSA, wrong curve the other way", "ES256", public(signers()["ES512"]), "ECDSA key write one of ES512"},
		{"ECDSA, curve of no algorithm", "ES256", &p224.PublicKey, "on a curve that no algorithm uses"},
		{"ECDSA, not on its curve", "ES256", offCurve, "not a point"},
		{"ECDSA, no point", "ES256", &ecdsa.PublicKey{Curve: elliptic.P256()}, "no algorithm uses"},
		{"ECDSA, no curve", "ES256", &ecdsa.PublicKey{}, "no algorithm uses"},
		{"ECDSA, nil", "ES256", (*ecdsa.PublicKey)(nil), "no algorithm uses"},
		{"ECDSA, private", "ES256", ecdsaSigner(), "private"},

		{"Ed25519", "EdDSA", public(signers()["EdDSA"]), ""},
		{"Ed25519, cut", "EdDSA", ed25519.PublicKey(make([]byte, 31)), "32 bytes"},
		{"Ed25519 for RSA", "RS256", public(signers()["EdDSA"]), "Ed25519 key write one of EdDSA"},
		{"Ed25519, private", "EdDSA", signers()["EdDSA"], "private"},

		{"nil", "RS256", nil, "no algorithm uses"},
		{"none", "none", []byte(secret), "means no signature"},
		{"none, other case", "NoNe", []byte(secret), "means no signature"},
		{"other case", "hs256", []byte(secret), "write HS256"},
		{"unknown", "HS1024", []byte(secret), "write one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA"},
		{"encryption", "A128KW", []byte(secret), "unknown algorithm"},
		{"empty", "", []byte(secret), "unknown algorithm"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key, err := NewKey(test.alg, test.key)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error is %v, want %q", err, test.err)
				}
				if key.material != nil {
					t.Error("there is a key nevertheless")
				}
				return
			}
			if err != nil || key.Alg != test.alg {
				t.Fatalf("%v: %v", key, err)
			}
		})
	}
}

func TestSoundModuliAreNotTakenForROCA(t *testing.T) {
	for range 1000 {
		n, _ := rand.Int(rand.Reader, modulus(2049))
		if hasROCA(n) {
			t.Fatalf("%v", n)
		}
	}
}

func TestNewKeyKeepsItsOwnSecret(t *testing.T) {
	text := []byte(secret)
	key, err := NewKey("HS256", text)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	verifier := judgeBy(makeTable(t, key))
	_, err = verifier.judge(mintClaims(t, `{`+soon+`}`), now)
	wantErr(t, err, nil)
}

func TestKeyFingerprintDependsOnTheMaterialOnly(t *testing.T) {
	fingerprint := func(key Key) [32]byte { return key.Fingerprint() }
	short, long := makeSecret(t, "HS256", secret), named(makeSecret(t, "HS512", "base64:"+base64url.EncodeToString([]byte(secret))), "kid", "iss")
	if fingerprint(short) != fingerprint(long) {
		t.Error("algorithm, spelling, kid or issuer change it")
	}
	if fingerprint(short) == fingerprint(makeSecret(t, "HS256", otherSecret)) {
		t.Error("two secrets have the same")
	}
	plain := makeSecret(t, "RS256", publicPEM(t, rsaSigner().Public()))
	wrapped := makeSecret(t, "PS512", certificatePEM(t, rsaSigner(), now))
	if fingerprint(plain) != fingerprint(wrapped) {
		t.Error("algorithm or certificate change it")
	}
	if fingerprint(plain) == fingerprint(makeKey(t, "ES256")) || fingerprint(plain) == ([32]byte{}) {
		t.Error("two public keys have the same, or none")
	}
	if fingerprint(Key{}) != ([32]byte{}) {
		t.Error("the zero key has one")
	}
}

// A store that took two spellings of a secret for two signers would honour a token
// once with each. That they are one key, the signatures show.
func TestKeyFingerprintIsOfTheSecretAsHMACUsesIt(t *testing.T) {
	for _, hash := range []struct {
		alg string
		sum func(string) string
	}{
		{"HS256", func(s string) string { sum := sha256.Sum256([]byte(s)); return string(sum[:]) }},
		{"HS384", func(s string) string { sum := sha512.Sum384([]byte(s)); return string(sum[:]) }},
		{"HS512", func(s string) string { sum := sha512.Sum512([]byte(s)); return string(sum[:]) }},
	} {
		block := map[string]int{"HS256": 64, "HS384": 128, "HS512": 128}[hash.alg]
		short, whole, long := repeat("s", 40), repeat("w", block), repeat("l", block+1)
		for name, test := range map[string]struct {
			one, two string
			same     bool
		}{
			"a zero byte":                  {short, short + "\x00", true},
			"zero bytes up to the block":   {short, short + repeat("\x00", block-40), true},
			"zero bytes beyond the block":  {short, short + repeat("\x00", block-39), false},
			"zero bytes in front":          {short, "\x00" + short, false},
			"zero bytes within":            {short + "\x00s", short + "s", false},
			"a full block and its hash":    {whole, hash.sum(whole), false},
			"a long one and its hash":      {long, hash.sum(long), true},
			"its hash with a zero byte":    {long, hash.sum(long) + "\x00", true},
			"a long one with a zero byte":  {long, long + "\x00", false},
			"the hash of a hash":           {long, hash.sum(hash.sum(long)), false},
			"a full block and a zero byte": {whole, whole + "\x00", false},
		} {
			t.Run(hash.alg+" "+name, func(t *testing.T) {
				one, two := makeSecret(t, hash.alg, test.one), makeSecret(t, hash.alg, test.two)
				verifier := judgeBy(makeTable(t, two))
				_, err := verifier.judge(mintWith(t, hash.alg, []byte(test.one), `{"alg":"`+hash.alg+`"}`, `{`+soon+`}`), now)
				if verifies := err == nil; verifies != test.same {
					t.Errorf("one verifies what the other signs: %v", verifies)
				}
				if same := one.Fingerprint() == two.Fingerprint(); same != test.same {
					t.Errorf("the same fingerprint: %v", same)
				}
			})
		}
	}
}

func TestKeyFingerprintIsOfThePublicKeyItself(t *testing.T) {
	rsaKey := rsaSigner().Public().(*rsa.PublicKey)
	for alg, spellings := range map[string][]string{
		"RS256": {publicPEM(t, rsaKey), pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rsaKey)), certificatePEM(t, rsaSigner(), now)},
		"ES256": {publicPEM(t, ecdsaSigner().Public()), certificatePEM(t, ecdsaSigner(), now)},
		"ES384": {publicPEM(t, public(signers()["ES384"])), certificatePEM(t, signers()["ES384"].(crypto.Signer), now)},
		"ES512": {publicPEM(t, public(signers()["ES512"])), certificatePEM(t, signers()["ES512"].(crypto.Signer), now)},
		"EdDSA": {publicPEM(t, public(signers()["EdDSA"])), certificatePEM(t, signers()["EdDSA"].(crypto.Signer), now)},
	} {
		want := makeKey(t, alg)
		for i, spelling := range spellings {
			if key := makeSecret(t, alg, spelling); key.Fingerprint() != want.Fingerprint() {
				t.Errorf("%s: spelling %d is another key", alg, i)
			}
		}
	}
}

// Entries in a durable store are named by it, so it must never change.
func TestKeyFingerprintIsStable(t *testing.T) {
	hmac := makeSecret(t, "HS256", secret)
	edwards, err := NewKey("EdDSA", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	for want, key := range map[string]*Key{
		"e5f6510c8a627048acb64ea2360b305e5e1ef43ef320d1c7021732932b0f263f": &hmac,
		"aec7eaa1a17ef67256eeb20e00ff9460c179c79c1761c2873eada5cd59c0a663": &edwards,
	} {
		if got := key.Fingerprint(); hex.EncodeToString(got[:]) != want {
			t.Errorf("%v has %x, want %s", key, got, want)
		}
	}
}

func TestKeyNeverShowsItsSecret(t *testing.T) {
	key := named(makeSecret(t, "HS256", secret), "a", "https://issuer.example")
	fingerprint := key.Fingerprint()
	hidden := []string{
		secret, fmt.Sprint([]byte(secret)), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprintf("%q", secret)[1:20],
		fmt.Sprintf("%#v", []byte(secret))[8:30], hex.EncodeToString(fingerprint[:]), fmt.Sprint(fingerprint),
	}
	type inside struct {
		Key     Key
		pointer *Key
		private Key
	}
	table := makeTable(t, key)
	shown := map[string]string{}
	for what, value := range map[string]any{
		"key": key, "pointer": &key, "list": []Key{key}, "map": map[string]Key{"k": key},
		"struct": inside{key, &key, key}, "struct pointer": &inside{key, &key, key},
		"table": *table, "table pointer": table, "verifier": Verifier{Keys: table}, "token": Token{Key: &key},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			shown[what+" "+verb] = fmt.Sprintf(verb, value)
		}
		text, _ := json.Marshal(value)
		shown[what+" json"] = string(text)
		text, _ = stdjson.Marshal(value)
		shown[what+" encoding/json"] = string(text)
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", value)
		shown[what+" slog"] = log.String()
	}
	if direct := fmt.Sprintf("%v %+v %#v %s %x", key, key, &key, key, key) + shown["key json"]; strings.Contains(direct, "issuer") {
		t.Errorf("the key itself shows more than kid and algorithm: %s", direct)
	}
	for how, text := range shown {
		for _, secret := range hidden {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q", how, text)
				break
			}
		}
	}
	for how, want := range map[string]string{
		"key %v": `key "a" HS256`, "key %#v": `key "a" HS256`, "pointer %+v": `key "a" HS256`, "key %x": `key "a" HS256`,
		"key json": `{"kid":"a","alg":"HS256"}`, "pointer encoding/json": `{"kid":"a","alg":"HS256"}`,
	} {
		if shown[how] != want {
			t.Errorf("%s: %q, want %q", how, shown[how], want)
		}
	}
	if key.GoString() != key.String() {
		t.Errorf("GoString is %q", key.GoString())
	}
}
