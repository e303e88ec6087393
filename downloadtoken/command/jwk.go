package command

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"

	"github.com/go-json-experiment/json"
)

// base64url is the encoding of JWK members (RFC 7515 section 2).
var base64url = base64.RawURLEncoding.Strict()

// jwk is a JSON Web Key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037
// section 2) with the members that keygen writes.
type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use,omitzero"`
	Alg string `json:"alg,omitzero"`
	Kid string `json:"kid,omitzero"`
	Crv string `json:"crv,omitzero"`
	N   string `json:"n,omitzero"`
	E   string `json:"e,omitzero"`
	X   string `json:"x,omitzero"`
	Y   string `json:"y,omitzero"`
	D   string `json:"d,omitzero"`
	P   string `json:"p,omitzero"`
	Q   string `json:"q,omitzero"`
	DP  string `json:"dp,omitzero"`
	DQ  string `json:"dq,omitzero"`
	QI  string `json:"qi,omitzero"`
	K   string `json:"k,omitzero"`
}

// jwks writes both halves of the key as JWK.
func (k *keyPair) jwks() (private, public string, err error) {
	full := jwk{Use: "sig", Alg: k.alg, Kid: k.id}
	switch key := k.private.(type) {
	case []byte:
		full.Kty, full.K = "oct", base64url.EncodeToString(key)
	case *rsa.PrivateKey:
		full.Kty = "RSA"
		full.N, full.E = encodeInt(key.N), encodeInt(big.NewInt(int64(key.E)))
		full.D, full.P, full.Q = encodeInt(key.D), encodeInt(key.Primes[0]), encodeInt(key.Primes[1])
		full.DP, full.DQ, full.QI = encodeInt(key.Precomputed.Dp), encodeInt(key.Precomputed.Dq), encodeInt(key.Precomputed.Qinv)
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes() // 4, x, y (SEC 1 section 2.3.3)
		if err != nil {
			return "", "", err
		}
		scalar, err := key.Bytes()
		if err != nil {
			return "", "", err
		}
		half := (len(point) - 1) / 2
		full.Kty, full.Crv = "EC", key.Curve.Params().Name
		full.X, full.Y = base64url.EncodeToString(point[1:1+half]), base64url.EncodeToString(point[1+half:])
		full.D = base64url.EncodeToString(scalar)
	case ed25519.PrivateKey:
		full.Kty, full.Crv = "OKP", "Ed25519"
		full.X = base64url.EncodeToString(key.Public().(ed25519.PublicKey))
		full.D = base64url.EncodeToString(key.Seed())
	}
	if private, err = full.text(); err != nil || full.Kty == "oct" {
		return private, "", err
	}
	half := jwk{
		Kty: full.Kty, Use: full.Use, Alg: full.Alg, Kid: full.Kid, // named one by one: no
		Crv: full.Crv, N: full.N, E: full.E, X: full.X, Y: full.Y, // private member slips in
	}
	public, err = half.text()
	return private, public, err
}

func (j *jwk) text() (string, error) {
	text, err := json.Marshal(j)
	return string(text) + "\n", err
}

func encodeInt(n *big.Int) string { return base64url.EncodeToString(n.Bytes()) }

// parseJWK reads a JWK that can sign.
func parseJWK(text string) (*keyPair, error) {
	var j jwk
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return nil, errors.New("key is no JSON Web Key: its members must be given once and be strings") // the decoder may quote
	}
	private, err := j.private()
	if err != nil {
		return nil, err
	}
	return &keyPair{alg: j.Alg, id: j.Kid, private: private}, nil
}

var (
	errJWKPublic  = errors.New("key is a public JSON Web Key, which cannot sign: give the private one")
	errJWKDamaged = errors.New("key is a JSON Web Key whose members are missing, damaged or do not belong together")
)

// private returns the key as [keyPair] has it.
func (j *jwk) private() (any, error) {
	if j.Kty != "oct" && j.D == "" {
		return nil, errJWKPublic
	}
	switch j.Kty {
	case "oct":
		secret, err := base64url.DecodeString(j.K)
		if err != nil || len(secret) == 0 {
			return nil, errJWKDamaged
		}
		return secret, nil
	case "RSA":
		return j.rsa()
	case "EC":
		return j.ecdsa()
	case "OKP":
		seed, err := base64url.DecodeString(j.D)
		if j.Crv != "Ed25519" || err != nil || len(seed) != ed25519.SeedSize {
			return nil, errJWKDamaged
		}
		key := ed25519.NewKeyFromSeed(seed)
		if base64url.EncodeToString(key.Public().(ed25519.PublicKey)) != j.X {
			return nil, errJWKDamaged
		}
		return key, nil
	}
	return nil, errors.New("key is a JSON Web Key of another kty than oct, RSA, EC or OKP")
}

func (j *jwk) rsa() (*rsa.PrivateKey, error) {
	numbers := make([]*big.Int, 0, 5)
	for _, member := range []string{j.N, j.E, j.D, j.P, j.Q} {
		data, err := base64url.DecodeString(member)
		if err != nil || len(data) == 0 {
			return nil, errJWKDamaged
		}
		numbers = append(numbers, new(big.Int).SetBytes(data))
	}
	if numbers[1].BitLen() > 31 {
		return nil, errJWKDamaged
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: numbers[0], E: int(numbers[1].Int64())},
		D:         numbers[2],
		Primes:    numbers[3:],
	}
	key.Precompute()
	if key.Validate() != nil {
		return nil, errJWKDamaged
	}
	return key, nil
}

func (j *jwk) ecdsa() (*ecdsa.PrivateKey, error) {
	curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.Crv]
	if curve == nil {
		return nil, errors.New("key is a JSON Web Key on another curve than P-256, P-384 or P-521")
	}
	scalar, err := base64url.DecodeString(j.D)
	if err != nil {
		return nil, errJWKDamaged
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		return nil, errJWKDamaged
	}
	point, err := key.PublicKey.Bytes()
	if err != nil || base64url.EncodeToString(point[1:]) != joinCoordinates(j.X, j.Y) {
		return nil, errJWKDamaged
	}
	return key, nil
}

// joinCoordinates encodes x and y as one; "" if they cannot be decoded.
func joinCoordinates(x, y string) string {
	first, err := base64url.DecodeString(x)
	if err != nil {
		return ""
	}
	second, err := base64url.DecodeString(y)
	if err != nil {
		return ""
	}
	return base64url.EncodeToString(append(first, second...))
}
