package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// An algorithm is one that a key may be bound to: the allowlist of RFC 8725 3.1.
type algorithm struct {
	name   string
	method jwt.SigningMethod
	hash   crypto.Hash    // of HMAC
	curve  elliptic.Curve // of ECDSA
}

var algorithms = []algorithm{
	{name: "HS256", method: jwt.SigningMethodHS256, hash: crypto.SHA256},
	{name: "HS384", method: jwt.SigningMethodHS384, hash: crypto.SHA384},
	{name: "HS512", method: jwt.SigningMethodHS512, hash: crypto.SHA512},
	{name: "RS256", method: jwt.SigningMethodRS256},
	{name: "RS384", method: jwt.SigningMethodRS384},
	{name: "RS512", method: jwt.SigningMethodRS512},
	{name: "PS256", method: strictPSS("PS256", crypto.SHA256)},
	{name: "PS384", method: strictPSS("PS384", crypto.SHA384)},
	{name: "PS512", method: strictPSS("PS512", crypto.SHA512)},
	{name: "ES256", method: jwt.SigningMethodES256, curve: elliptic.P256()},
	{name: "ES384", method: jwt.SigningMethodES384, curve: elliptic.P384()},
	{name: "ES512", method: jwt.SigningMethodES512, curve: elliptic.P521()},
	{name: "EdDSA", method: jwt.SigningMethodEdDSA},
}

var algorithmByName = func() map[string]*algorithm {
	index := make(map[string]*algorithm, len(algorithms))
	for i := range algorithms {
		index[algorithms[i].name] = &algorithms[i]
	}
	return index
}()

// strictPSS accepts only a salt as long as the hash, as RFC 7518 3.5 requires;
// golang-jwt's own methods verify any length.
func strictPSS(name string, hash crypto.Hash) *jwt.SigningMethodRSAPSS {
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: &jwt.SigningMethodRSA{Name: name, Hash: hash},
		Options:          options,
		VerifyOptions:    options,
	}
}

func findAlgorithm(name string) (*algorithm, error) {
	if a := algorithmByName[name]; a != nil {
		return a, nil
	}
	if strings.EqualFold(name, "none") {
		return nil, errors.New(`algorithm none means no signature, so anybody could write a token: choose a real one, such as HS256 or RS256`)
	}
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.name
		if strings.EqualFold(name, a.name) {
			return nil, fmt.Errorf("algorithm names are case-sensitive: write %s", a.name)
		}
	}
	return nil, fmt.Errorf("unknown algorithm: write one of %s", strings.Join(names, ", "))
}

// A Family is what kind of key an algorithm takes.
type Family string

// The families of algorithms.
const (
	HMAC    Family = "HMAC" // a secret, the same on both sides
	RSA     Family = "RSA"
	ECDSA   Family = "ECDSA"
	Ed25519 Family = "Ed25519"
)

// FamilyOf returns the family of an algorithm. The error says what to write instead
// of a name that is none of an algorithm.
func FamilyOf(alg string) (Family, error) {
	a, err := findAlgorithm(alg)
	switch {
	case err != nil:
		return "", err
	case a.hash != 0:
		return HMAC, nil
	case a.curve != nil:
		return ECDSA, nil
	case a.method == jwt.SigningMethodEdDSA:
		return Ed25519, nil
	}
	return RSA, nil
}

// accept refuses a key that is weak, or of another kind than the algorithm needs.
func (a *algorithm) accept(key any) error {
	fitting, err := Algorithms(key)
	if err != nil {
		return err
	}
	if !slices.Contains(fitting, a.name) {
		return fmt.Errorf("key does not fit the algorithm %s: with this %s write one of %s", a.name, kindOf(key), strings.Join(fitting, " "))
	}
	switch key := key.(type) {
	case []byte:
		return checkSecret(key)
	case *rsa.PublicKey:
		return checkRSA(key)
	case ed25519.PublicKey:
		return checkEd25519(key)
	}
	return nil
}

// Algorithms lists those that go with a key that [NewKey] takes, the usual one first.
// Whether the key is good enough is for NewKey to say.
func Algorithms(key any) ([]string, error) {
	switch key := key.(type) {
	case []byte:
		return []string{"HS256", "HS384", "HS512"}, nil
	case *rsa.PublicKey:
		if key != nil && key.N != nil {
			return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
		}
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 a key that the caller has put together may lack its coordinates, and ECDH would panic
		if key == nil || key.Curve == nil || key.X == nil || key.Y == nil {
			break
		}
		for _, a := range algorithms {
			if a.curve == key.Curve {
				if _, err := key.ECDH(); err != nil {
					return nil, errors.New("key is not a point on its curve: export it again")
				}
				return []string{a.name}, nil
			}
		}
		return nil, errors.New("key is on a curve that no algorithm uses: make one on P-256 (ES256), P-384 (ES384) or P-521 (ES512)")
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return []string{"EdDSA"}, nil
		}
		return nil, errors.New("key is no Ed25519 public key: it must have 32 bytes")
	case interface{ Public() crypto.PublicKey }:
		return nil, errPrivateKey
	}
	return nil, errors.New("key is of a kind that no algorithm uses: give an RSA, ECDSA or Ed25519 public key")
}

func kindOf(key any) string {
	switch key.(type) {
	case []byte:
		return "secret"
	case *rsa.PublicKey:
		return "RSA key"
	case *ecdsa.PublicKey:
		return "ECDSA key"
	}
	return "Ed25519 key"
}
