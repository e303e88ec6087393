package issuer

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"errors"

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
	private, err := token.ParsePrivateKey(material)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, errors.New("key has no PKCS #8 form: give an RSA, ECDSA or Ed25519 private key")
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
