package token

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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// now is the clock of all tests.
var now = time.Unix(1_800_000_000, 0).UTC()

const (
	secret      = "an HMAC secret for tests, 64 bytes long as SHA-512 would have it"
	otherSecret = "another HMAC secret for tests, and it is also of 64 bytes length"
	soon        = `"exp":1800000060` // a minute after now
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

func rsaSigner() *rsa.PrivateKey     { return signers()["RS256"].(*rsa.PrivateKey) }
func ecdsaSigner() *ecdsa.PrivateKey { return signers()["ES256"].(*ecdsa.PrivateKey) }

// public is what a verifier gets of a signer.
func public(signer any) any {
	if private, ok := signer.(crypto.Signer); ok {
		return private.Public()
	}
	return signer
}

func encode(text string) string { return base64url.EncodeToString([]byte(text)) }

// mint signs any header and payload, however odd, with an algorithm's test key.
func mint(t testing.TB, alg, header, payload string) string {
	t.Helper()
	return mintWith(t, alg, signers()[alg], header, payload)
}

func mintWith(t testing.TB, alg string, signer any, header, payload string) string {
	t.Helper()
	signed := encode(header) + "." + encode(payload)
	signature, err := jwt.GetSigningMethod(alg).Sign(signed, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64url.EncodeToString(signature)
}

// mintClaims is mint where only the payload matters: HS256, no kid.
func mintClaims(t testing.TB, payload string) string {
	t.Helper()
	return mint(t, "HS256", `{"alg":"HS256"}`, payload)
}

func makeKey(t testing.TB, alg string) Key {
	t.Helper()
	key, err := NewKey(alg, public(signers()[alg]))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func makeSecret(t testing.TB, alg, text string) Key {
	t.Helper()
	key, _, err := ParseKey(alg, text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func named(key Key, id, issuer string) Key {
	key.ID, key.Issuer = id, issuer
	return key
}

func makeTable(t testing.TB, keys ...Key) *Table {
	t.Helper()
	table, err := NewTable(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// verifierOf has one key, of the algorithm's test signer and without an ID.
// judge verifies tokens and accepts them by its rules.
type judge struct {
	Verifier
	Rules Rules
}

func (j *judge) judge(text string, now time.Time) (*Token, error) {
	t, err := j.Verify(context.Background(), text)
	if err != nil {
		return nil, err
	}
	if err := j.Rules.Accept(t, now); err != nil {
		return nil, err
	}
	return t, nil
}

func verifierOf(t testing.TB, alg string) *judge {
	t.Helper()
	return judgeBy(makeTable(t, makeKey(t, alg)))
}

func judgeBy(keys KeySource) *judge { return &judge{Verifier: Verifier{Keys: keys}} }

// wantErr compares err with a sentinel, nil for acceptance. Wrapping more than one
// sentinel would make the reason in the log a matter of luck.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
	for _, sentinel := range sentinels {
		if sentinel != want && errors.Is(err, sentinel) {
			t.Errorf("error is %v and %v", want, sentinel)
		}
	}
}

var sentinels = []error{
	ErrMissing, ErrAmbiguous, ErrTooLarge, ErrMalformed, ErrCritical, ErrUnknownKey, ErrAlgorithm, ErrSignature,
	ErrClaim, ErrExpired, ErrNotYetValid, ErrIssuer, ErrAudience, ErrHeaderTyp, ErrTooLongLived,
}

func pemOf(blockType string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
}

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PUBLIC KEY", der)
}

func repeat(text string, n int) string { return strings.Repeat(text, n) }

// parseHeader and parseClaims read one part of a token.
func parseHeader(encoded string) (joseHeader, error) {
	s := takeScratch()
	defer s.giveBack()
	return s.readHeader(encoded)
}

func parseClaims(encoded string) (c Claims, err error) {
	s := takeScratch()
	defer s.giveBack()
	payload, ok := s.object(encoded)
	if !ok {
		return Claims{}, errPayload
	}
	if err = c.read(payload); err != nil {
		return Claims{}, err
	}
	return c, nil
}
