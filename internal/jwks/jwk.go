package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// JWK is what is read and written of a JSON Web Key (RFC 7517 4, RFC 7518 6, RFC 8037 2);
// null is the same as absent. What it does not hold is ignored: x5u would be an
// address to follow, and the names and dates in x5c promise nothing here.
type JWK struct {
	Kty    string   `json:"kty"`
	Use    *string  `json:"use,omitzero"`
	KeyOps []string `json:"key_ops,omitzero"`
	Alg    *string  `json:"alg,omitzero"`
	Kid    string   `json:"kid,omitzero"`

	Crv string `json:"crv,omitzero"`
	N   string `json:"n,omitzero"`
	E   string `json:"e,omitzero"`
	X   string `json:"x,omitzero"`
	Y   string `json:"y,omitzero"`
	K   string `json:"k,omitzero"`

	// The private members, unread until the key is to sign: of what verifies it only
	// matters whether they are there.
	D  jsontext.Value `json:"d,omitzero"`
	P  jsontext.Value `json:"p,omitzero"`
	Q  jsontext.Value `json:"q,omitzero"`
	DP jsontext.Value `json:"dp,omitzero"`
	DQ jsontext.Value `json:"dq,omitzero"`
	QI jsontext.Value `json:"qi,omitzero"`
}

// base64url refuses set bits after the last byte.
var base64url = base64.RawURLEncoding.Strict()

// maxKidBytes is more than any real ID has. Longer ones would only fill logs.
const maxKidBytes = 1024

// Parse reads a JSON Web Key. Its members must be given once and have their types; of
// the key itself nothing is checked yet. Errors never hold what was read.
func Parse(value jsontext.Value) (*JWK, error) {
	var k JWK
	if value.Kind() != jsontext.KindBeginObject || json.Unmarshal(value, &k) != nil {
		// The decoder's own words may quote what it read.
		return nil, errors.New("it is not a JSON object whose members are given once and have the types of RFC 7517")
	}
	if len(k.Kid) > maxKidBytes {
		return nil, fmt.Errorf("its kid is longer than %d bytes", maxKidBytes)
	}
	return &k, nil
}

// mayVerify honours what the publisher meant the key for (RFC 7517 4.2, 4.3).
func (k *JWK) mayVerify() error {
	if k.Use != nil && *k.Use != "sig" {
		return errors.New("its use is not sig")
	}
	if k.KeyOps != nil && !slices.Contains(k.KeyOps, "verify") {
		return errors.New("its key_ops do not include verify")
	}
	return nil
}

// isPrivate tells whether the key could also sign. A secret always can.
func (k *JWK) isPrivate() bool {
	return slices.ContainsFunc([]jsontext.Value{k.D, k.P, k.Q, k.DP, k.DQ, k.QI}, func(v jsontext.Value) bool {
		return v != nil && v.Kind() != jsontext.KindNull
	})
}

// public returns the key as [token.NewKey] wants it, never the private part.
func (k *JWK) public() (any, error) {
	switch k.Kty {
	case "RSA":
		return k.rsa()
	case "EC":
		return k.ecdsa()
	case "OKP":
		return k.edwards()
	case "oct":
		return decodeMember("k", k.K)
	}
	return nil, errors.New("its kty is not RSA, EC, OKP or oct")
}

func (k *JWK) rsa() (*rsa.PublicKey, error) {
	n, err := decodeMember("n", k.N)
	if err != nil {
		return nil, err
	}
	e, err := decodeMember("e", k.E)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if exponent.BitLen() > 31 { // NewKey judges the rest, but gets an int
		return nil, errors.New("its e is too large: make a key with the usual 65537")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func (k *JWK) ecdsa() (*ecdsa.PublicKey, error) {
	curve := curves[k.Crv]
	if curve == nil {
		return nil, errors.New("its crv is not P-256, P-384 or P-521")
	}
	point := []byte{4} // uncompressed (SEC 1 2.3.3)
	for _, member := range []struct{ name, text string }{{"x", k.X}, {"y", k.Y}} {
		coordinate, err := decodeMember(member.name, member.text)
		if err != nil {
			return nil, err
		}
		if size := (curve.Params().BitSize + 7) / 8; len(coordinate) != size {
			return nil, fmt.Errorf("its %s is not of %d bytes, as RFC 7518 6.2.1 has it for %s", member.name, size, k.Crv)
		}
		point = append(point, coordinate...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errors.New("its x and y are not a point on its curve")
	}
	return public, nil
}

func (k *JWK) edwards() (ed25519.PublicKey, error) {
	if k.Crv != "Ed25519" {
		return nil, errors.New("its crv is not Ed25519, the only one of kty OKP that signs here")
	}
	x, err := decodeMember("x", k.X)
	return ed25519.PublicKey(x), err
}

// algorithms names what the key is to be bound to. Its publisher decides; where he
// is silent, the configuration; and where that is too, the key, if only one goes with
// it. The error says what to write.
func (k *JWK) algorithms(configured []string, public any) ([]string, error) {
	if k.Alg != nil {
		if _, err := token.FamilyOf(*k.Alg); err != nil {
			return nil, errors.New("its alg is not one that signs tokens here")
		}
		return []string{*k.Alg}, nil
	}
	fitting, err := token.Algorithms(public)
	if err != nil {
		return nil, err
	}
	if len(configured) > 0 {
		names := slices.DeleteFunc(slices.Clone(fitting), func(name string) bool { return !slices.Contains(configured, name) })
		if len(names) == 0 {
			return nil, fmt.Errorf("it names no alg, and none of the configured ones goes with its kty and crv: add one of %s to alg", strings.Join(fitting, " "))
		}
		return names, nil
	}
	if len(fitting) > 1 {
		return nil, fmt.Errorf("it names no alg, and several go with its kty: name those that its issuer uses with alg, one or more of %s", strings.Join(fitting, " "))
	}
	return fitting, nil
}

func decodeMember(name, text string) ([]byte, error) {
	if text == "" {
		return nil, fmt.Errorf("its %s is missing", name)
	}
	// The decoder skips line breaks.
	data, err := base64url.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("its %s is not base64url without padding (RFC 7515 2)", name)
	}
	return data, nil
}
