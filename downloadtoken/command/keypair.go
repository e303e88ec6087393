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
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token/jwks"
)

// The sizes of RSA keys that the plugin accepts; see [token.NewKey].
const (
	defaultRSABits = 2048
	maxRSABits     = 16384
)

// keyPair is a key that was made.
type keyPair struct {
	alg     string
	id      string
	private any // []byte, *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey
}

// generate makes a key. bits is the size of an RSA key and of no other.
func generate(alg string, bits int) (*keyPair, error) {
	family, err := token.FamilyOf(alg)
	if err != nil {
		return nil, err
	}
	key := &keyPair{alg: alg}
	switch family {
	case token.HMAC:
		secret := make([]byte, map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]) // RFC 7518 section 3.2
		_, err = rand.Read(secret)
		key.private = secret
	case token.RSA:
		key.private, err = rsa.GenerateKey(rand.Reader, bits)
	case token.ECDSA:
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
		key.private, err = ecdsa.GenerateKey(curve, rand.Reader)
	case token.Ed25519:
		_, key.private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}

// texts are the key's two halves as files hold them; a secret has no second one.
func (k *keyPair) texts(asJWK bool) (private, public string, err error) {
	if asJWK {
		return jwks.Write(k.private, k.alg, k.id)
	}
	if secret, ok := k.private.([]byte); ok {
		return "base64:" + base64.StdEncoding.EncodeToString(secret) + "\n", "", nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return "", "", errors.New("the private key cannot be written as PKCS #8")
	}
	publicDER, err := x509.MarshalPKIXPublicKey(k.private.(crypto.Signer).Public())
	if err != nil {
		return "", "", errors.New("the public key cannot be written as PKIX")
	}
	return encodePEM("PRIVATE KEY", der), encodePEM("PUBLIC KEY", publicDER), nil
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
