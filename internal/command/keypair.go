package command

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// The sizes of RSA keys that the plugin accepts; see [token.NewKey].
const (
	defaultRSABits = 2048
	maxRSABits     = 16384
)

// generate makes a key: a []byte with a secret, an *rsa.PrivateKey, an
// *ecdsa.PrivateKey or an ed25519.PrivateKey. bits is the size of an RSA key and
// of no other.
func generate(alg string, bits int) (any, error) {
	family, err := token.FamilyOf(alg)
	if err != nil {
		return nil, err
	}
	switch family {
	case token.HMAC:
		secret := make([]byte, map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]) // RFC 7518 section 3.2
		_, err = rand.Read(secret)
		return secret, err
	case token.RSA:
		return rsa.GenerateKey(rand.Reader, bits)
	case token.ECDSA:
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
		return ecdsa.GenerateKey(curve, rand.Reader)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}

// halves are the key's two halves as a Caddyfile takes them; a secret has no
// second one.
func halves(key any) (private, public string, err error) {
	if secret, ok := key.([]byte); ok {
		return "base64:" + base64.StdEncoding.EncodeToString(secret) + "\n", "", nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", errors.New("the private key cannot be written as PKCS #8")
	}
	publicDER, err := x509.MarshalPKIXPublicKey(key.(crypto.Signer).Public())
	if err != nil {
		return "", "", errors.New("the public key cannot be written as PKIX")
	}
	return encodePEM("PRIVATE KEY", der), encodePEM("PUBLIC KEY", publicDER), nil
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
