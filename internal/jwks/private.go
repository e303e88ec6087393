package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Write writes both halves of a key that signs ([]byte, [*rsa.PrivateKey],
// [*ecdsa.PrivateKey] or [ed25519.PrivateKey]) as JSON Web Keys for this algorithm, kid
// empty for none. A secret has no public half.
func Write(key any, alg, kid string) (private, public string, err error) {
	use := "sig"
	half := JWK{Use: &use, Alg: &alg, Kid: kid}
	full := half
	switch key := key.(type) {
	case []byte:
		full.Kty, full.K = "oct", base64url.EncodeToString(key)
		private, err = full.text()
		return private, "", err
	case *rsa.PrivateKey:
		half.Kty, half.N, half.E = "RSA", base64url.EncodeToString(key.N.Bytes()), base64url.EncodeToString(big.NewInt(int64(key.E)).Bytes())
		full = half
		full.D, full.P, full.Q = quoted(key.D.Bytes()), quoted(key.Primes[0].Bytes()), quoted(key.Primes[1].Bytes())
		full.DP, full.DQ, full.QI = quoted(key.Precomputed.Dp.Bytes()), quoted(key.Precomputed.Dq.Bytes()), quoted(key.Precomputed.Qinv.Bytes())
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes() // 4, x, y (SEC 1 2.3.3)
		if err != nil {
			return "", "", err
		}
		scalar, err := key.Bytes()
		if err != nil {
			return "", "", err
		}
		middle := 1 + len(point)/2
		half.Kty, half.Crv = "EC", key.Curve.Params().Name
		half.X, half.Y = base64url.EncodeToString(point[1:middle]), base64url.EncodeToString(point[middle:])
		full = half
		full.D = quoted(scalar)
	case ed25519.PrivateKey:
		half.Kty, half.Crv, half.X = "OKP", "Ed25519", base64url.EncodeToString(key.Public().(ed25519.PublicKey))
		full = half
		full.D = quoted(key.Seed())
	default:
		return "", "", fmt.Errorf("a %T cannot be written as JSON Web Key", key)
	}
	if private, err = full.text(); err != nil {
		return "", "", err
	}
	public, err = half.text()
	return private, public, err
}

func (k *JWK) text() (string, error) {
	text, err := json.Marshal(k)
	return string(text) + "\n", err
}

func quoted(data []byte) jsontext.Value {
	return jsontext.Value(`"` + base64url.EncodeToString(data) + `"`)
}

var (
	errPublic  = errors.New("it is public and cannot sign: give the private one")
	errDamaged = errors.New("its members are missing, damaged or do not belong together")
)

// Private returns the key that signs: a []byte, [*rsa.PrivateKey], [*ecdsa.PrivateKey]
// or [ed25519.PrivateKey]. Its private members must be those of its public ones.
// Errors never hold what was read.
func (k *JWK) Private() (any, error) {
	if k.Kty != "oct" && !k.isPrivate() {
		return nil, errPublic
	}
	public, err := k.public()
	if err != nil {
		return nil, err
	}
	var signer interface {
		Public() crypto.PublicKey
	}
	switch public := public.(type) {
	case []byte:
		return public, nil
	case *rsa.PublicKey:
		key := &rsa.PrivateKey{PublicKey: *public, D: number(k.D), Primes: []*big.Int{number(k.P), number(k.Q)}}
		if key.D.Sign() == 0 || key.Primes[0].Sign() == 0 || key.Primes[1].Sign() == 0 {
			return nil, errDamaged
		}
		if key.Precompute(); key.Validate() != nil {
			return nil, errDamaged
		}
		return key, nil
	case *ecdsa.PublicKey:
		signer, err = ecdsa.ParseRawPrivateKey(public.Curve, private(k.D))
		if err != nil || !public.Equal(signer.Public()) {
			return nil, errDamaged
		}
	case ed25519.PublicKey:
		seed := private(k.D)
		if len(seed) != ed25519.SeedSize {
			return nil, errDamaged
		}
		if signer = ed25519.NewKeyFromSeed(seed); !public.Equal(signer.Public()) {
			return nil, errDamaged
		}
	}
	return signer, nil
}

// private decodes a private member, nil if that cannot be done.
func private(member jsontext.Value) []byte {
	var text string
	if json.Unmarshal(member, &text) != nil {
		return nil
	}
	data, err := decodeMember("", text)
	if err != nil {
		return nil
	}
	return data
}

func number(member jsontext.Value) *big.Int { return new(big.Int).SetBytes(private(member)) }
