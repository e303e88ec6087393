package jwks

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// now is the clock of all tests.
var now = time.Unix(1_800_000_000, 0).UTC()

const (
	secret = "an HMAC secret for tests, 64 bytes long as SHA-512 would have it"
	soon   = `"exp":1800000060` // a minute after now
)

// signers are made once, since RSA takes its time.
var signers = sync.OnceValue(func() map[string]any {
	must := func(key any, err error) any {
		if err != nil {
			panic(err)
		}
		return key
	}
	edwards := must(func() (any, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }())
	rsa2048 := must(rsa.GenerateKey(rand.Reader, 2048))
	return map[string]any{
		"HS256": []byte(secret), "HS384": []byte(secret), "HS512": []byte(secret),
		"RS256": rsa2048, "RS384": rsa2048, "RS512": rsa2048,
		"PS256": rsa2048, "PS384": rsa2048, "PS512": rsa2048,
		"ES256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ES384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"ES512": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"EdDSA": edwards,
	}
})

// public is what a verifier gets of a signer.
func public(signer any) any {
	if private, ok := signer.(crypto.Signer); ok {
		return private.Public()
	}
	return signer
}

func encode(text string) string { return base64url.EncodeToString([]byte(text)) }

// mint signs any header and payload with an algorithm's test key.
func mint(t testing.TB, alg, header, payload string) string {
	t.Helper()
	signed := encode(header) + "." + encode(payload)
	signature, err := jwt.GetSigningMethod(alg).Sign(signed, signers()[alg])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64url.EncodeToString(signature)
}

func makeKey(t testing.TB, alg string) token.Key {
	t.Helper()
	key, err := token.NewKey(alg, public(signers()[alg]))
	wantErr(t, err, nil)
	return key
}

func makeSecret(t testing.TB, alg, text string) token.Key {
	t.Helper()
	key, _, err := token.ParseKey(alg, text)
	wantErr(t, err, nil)
	return key
}

func named(key token.Key, id, issuer string) token.Key {
	key.ID, key.Issuer = id, issuer
	return key
}

func makeTable(t testing.TB, keys ...token.Key) *token.Table {
	t.Helper()
	table, err := token.NewTable(keys...)
	wantErr(t, err, nil)
	return table
}

// knows tells whether a table has any key of this ID.
func knows(table *token.Table, kid string) bool {
	_, err := table.Lookup(kid, "HS256")
	return !errors.Is(err, token.ErrUnknownKey)
}

// judge verifies tokens and accepts them by no rules but those that always hold.
type judge struct{ token.Verifier }

func judgeBy(keys token.KeySource) *judge { return &judge{token.Verifier{Keys: keys}} }

func (j *judge) judge(text string, now time.Time) (*token.Token, error) {
	t, err := j.Verify(context.Background(), text)
	if err != nil {
		return nil, err
	}
	return t, new(token.Rules).Accept(t, now)
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	wantErr(t, err, nil)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func repeat(text string, n int) string { return strings.Repeat(text, n) }

// modulus is as long as it should be, and of no real key.
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
	return n.Add(n, new(big.Int).Lsh(product, uint(2048-product.BitLen())))
}
