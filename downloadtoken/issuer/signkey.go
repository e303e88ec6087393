package issuer

import (
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

// Key is the key that signs the tokens.
type Key struct {
	// The signature algorithm (RFC 7518 section 3.1): HS256, HS384, HS512, RS256,
	// RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA.
	Alg string `json:"alg"`

	// For HS*: the secret, as text, or as `base64:` and the encoded bytes; 32
	// bytes or more. For the others: the private key in PEM (PKCS #8, PKCS #1 or
	// SEC 1), without a passphrase.
	//
	// Placeholders that are known when the configuration is loaded are replaced,
	// so the key need not stand in the configuration: `{env.DOWNLOAD_SECRET}`,
	// `{file./etc/caddy/signing.pem}`. Do that: whoever can read the
	// configuration through the admin API could otherwise sign any token.
	Key string `json:"key"`

	// The key's ID, written into the header of the tokens. Default: none.
	KeyID string `json:"kid,omitempty"`
}

// signer signs, and verifies what it signed. What is secret is behind functions,
// because of a function fmt prints the address.
type signer struct {
	public token.Key
	sign   func(signed string) ([]byte, error)
	derive func(purpose string) []byte // another secret, for another purpose
}

// newSigner reads a key. It must be as good as one that verifies; neither errors
// nor warnings contain it.
func newSigner(k *Key) (*signer, []string, error) {
	material, err := verification.Material(k.Key)
	if err != nil {
		return nil, nil, err
	}
	switch method := jwt.GetSigningMethod(k.Alg).(type) {
	case *jwt.SigningMethodHMAC:
		return newSecretSigner(k, method, material)
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS, *jwt.SigningMethodECDSA, *jwt.SigningMethodEd25519:
		return newPrivateSigner(k, method, material)
	}
	if _, _, err = token.ParseKey(k.Alg, material); err == nil { // says why there is no such algorithm
		err = errors.New("algorithm cannot sign")
	}
	return nil, nil, err
}

func newSecretSigner(k *Key, method jwt.SigningMethod, material string) (*signer, []string, error) {
	public, warnings, err := token.ParseKey(k.Alg, material)
	if err != nil {
		return nil, nil, err
	}
	public.ID = k.KeyID
	secret, err := token.Secret(material)
	if err != nil {
		return nil, nil, err
	}
	return &signer{
		public: public,
		sign:   func(signed string) ([]byte, error) { return method.Sign(signed, secret) },
		derive: deriveFrom(secret),
	}, warnings, nil
}

func newPrivateSigner(k *Key, method jwt.SigningMethod, material string) (*signer, []string, error) {
	private, der, err := parsePrivate(k.Alg, material)
	if err != nil {
		return nil, nil, err
	}
	public, err := token.NewKey(k.Alg, private.Public())
	if err != nil {
		return nil, nil, err
	}
	public.ID = k.KeyID
	return &signer{
		public: public,
		sign:   func(signed string) ([]byte, error) { return method.Sign(signed, private) },
		derive: deriveFrom(der),
	}, nil, nil
}

// deriveFrom makes secrets that tell nothing about the key (RFC 5869).
func deriveFrom(key []byte) func(string) []byte {
	return func(purpose string) []byte {
		derived, err := hkdf.Key(sha256.New, key, nil, "caddy-download-token "+purpose, sha256.Size)
		if err != nil {
			panic(err) // only for lengths that SHA-256 cannot give
		}
		return derived
	}
}

// parsePrivate reads a PEM block with a private key, and returns the key and its
// PKCS #8 form.
func parsePrivate(alg, text string) (crypto.Signer, []byte, error) {
	blocks := strings.Count(text, "-----BEGIN ")
	switch {
	case blocks == 0:
		return nil, nil, fmt.Errorf("key of %s is not PEM: give a private key that begins with -----BEGIN", alg)
	case blocks > 1:
		return nil, nil, errors.New("key has more than one PEM block: give only the PRIVATE KEY, as from: openssl pkey -in private.pem")
	case strings.Contains(text, "ENCRYPTED"):
		return nil, nil, errors.New("key is encrypted: give it without a passphrase, as from: openssl pkey -in private.pem; and keep the file readable for Caddy only")
	case !strings.Contains(text, "PRIVATE KEY-----"):
		return nil, nil, errors.New("key is a public one, which cannot sign: give the private key that belongs to it")
	}
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil && strings.Contains(text, `\n`) {
		return nil, nil, errors.New(`key is PEM whose lines end in a backslash and an n: write real line breaks`)
	}
	if block == nil || len(rest) > 0 {
		return nil, nil, errors.New("key is PEM that cannot be read: give the whole block with its line breaks, from -----BEGIN to the last dash")
	}
	return parseBlock(block)
}

func parseBlock(block *pem.Block) (crypto.Signer, []byte, error) {
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, nil, errors.New("key is PEM of an unknown type: give PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY")
	}
	signing, ok := private.(crypto.Signer)
	if err != nil || !ok {
		// The parser's own words may quote what it read.
		return nil, nil, errors.New("key is PEM whose content cannot be read as a key that signs: export it again, as from: openssl pkey -in private.pem")
	}
	der, err := x509.MarshalPKCS8PrivateKey(signing)
	if err != nil {
		return nil, nil, errors.New("key has no PKCS #8 form: give an RSA, ECDSA or Ed25519 private key")
	}
	return signing, der, nil
}
