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

// kind is what a key of an algorithm is.
type kind int

const (
	kindSecret kind = iota
	kindRSA
	kindECDSA
	kindEd25519
)

// kindOf refuses names that are none of an algorithm, in the words of package
// token.
func kindOf(alg string) (kind, error) {
	switch alg {
	case "HS256", "HS384", "HS512":
		return kindSecret, nil
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return kindRSA, nil
	case "ES256", "ES384", "ES512":
		return kindECDSA, nil
	case "EdDSA":
		return kindEd25519, nil
	}
	_, err := token.NewKey(alg, nil)
	return 0, err
}

// keyPair is a key that signs. Its zero value is none.
type keyPair struct {
	alg     string
	id      string
	private any // []byte, *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey
}

// generate makes a key. bits is the size of an RSA key and of no other.
func generate(alg string, bits int) (*keyPair, error) {
	kind, err := kindOf(alg)
	if err != nil {
		return nil, err
	}
	key := &keyPair{alg: alg}
	switch kind {
	case kindSecret:
		secret := make([]byte, map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]) // RFC 7518 section 3.2
		_, err = rand.Read(secret)
		key.private = secret
	case kindRSA:
		key.private, err = rsa.GenerateKey(rand.Reader, bits)
	case kindECDSA:
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
		key.private, err = ecdsa.GenerateKey(curve, rand.Reader)
	case kindEd25519:
		_, key.private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}

// public is what verifies: of a secret the secret itself.
func (k *keyPair) public() any {
	if signer, ok := k.private.(crypto.Signer); ok {
		return signer.Public()
	}
	return k.private
}

// verifier is the key as the plugin has it, and so the judge of whether it is
// good enough.
func (k *keyPair) verifier() (token.Key, error) {
	key, err := token.NewKey(k.alg, k.public())
	key.ID = k.id
	return key, err
}

// texts are the key's two halves as files hold them; a secret has no second one.
func (k *keyPair) texts(asJWK bool) (private, public string, err error) {
	if asJWK {
		return k.jwks()
	}
	if secret, ok := k.private.([]byte); ok {
		return "base64:" + base64.StdEncoding.EncodeToString(secret) + "\n", "", nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return "", "", errors.New("the private key cannot be written as PKCS #8")
	}
	publicDER, err := x509.MarshalPKIXPublicKey(k.public())
	if err != nil {
		return "", "", errors.New("the public key cannot be written as PKIX")
	}
	return encodePEM("PRIVATE KEY", der), encodePEM("PUBLIC KEY", publicDER), nil
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
