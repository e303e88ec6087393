package sign

import (
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Signer signs tokens with one key. Make it with [New] or [Parse]. What is secret is
// behind functions, because of a function fmt prints the address.
type Signer struct {
	public token.Key
	sign   func(signed string) ([]byte, error)
	derive func(purpose string) []byte
}

// New makes a signer of a []byte with an HMAC secret or of a private key (RSA, ECDSA or
// Ed25519), which must be as good as one that verifies. An empty alg stands for the usual
// one: HS256 for a secret, RS256 for RSA, that of the curve, or EdDSA. kid may be empty.
func New(alg, kid string, key any) (*Signer, error) {
	public, material, der := key, key, []byte(nil)
	switch key := key.(type) {
	case []byte:
		der = key
	case crypto.Signer:
		var err error
		if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return nil, errors.New("key has no PKCS #8 form: give an RSA, ECDSA or Ed25519 private key")
		}
		public = key.Public()
	default:
		public = nil
	}
	if alg == "" {
		names, err := token.Algorithms(public)
		if err != nil {
			return nil, err
		}
		alg = names[0]
	}
	verifies, err := token.NewKey(alg, public)
	if err != nil {
		return nil, err
	}
	verifies.ID = kid
	method := jwt.GetSigningMethod(alg)
	return &Signer{
		public: verifies,
		sign:   func(signed string) ([]byte, error) { return method.Sign(signed, material) },
		derive: func(purpose string) []byte { return derive(der, purpose) },
	}, nil
}

// Parse makes a signer of a key as it is written in a configuration: for HS* as
// [token.ParseKey] reads it, with its warnings, otherwise as [ParsePrivateKey] does.
// Neither errors nor warnings contain the key.
func Parse(alg, kid, text string) (s *Signer, warnings []string, err error) {
	family, err := token.FamilyOf(alg)
	if err != nil {
		return nil, nil, err
	}
	var key any
	if family == token.HMAC {
		if _, warnings, err = token.ParseKey(alg, text); err == nil {
			key, err = token.Secret(text)
		}
	} else {
		key, err = ParsePrivateKey(text)
	}
	if err != nil {
		return nil, nil, err
	}
	s, err = New(alg, kid, key)
	return s, warnings, err
}

// Key is what verifies the tokens: of a secret the secret itself.
func (s *Signer) Key() token.Key { return s.public }

// Derive makes another secret of 32 bytes, for another purpose, that tells nothing about
// the key (RFC 5869).
func (s *Signer) Derive(purpose string) []byte { return s.derive(purpose) }

func derive(key []byte, purpose string) []byte {
	derived, err := hkdf.Key(sha256.New, key, nil, "caddy-download-token "+purpose, sha256.Size)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	return derived
}

// Sign makes a token of the claims, which must not be used any more. typ is that of the
// header, empty for none. [token.ErrTooLarge]: it would be refused unread.
func (s *Signer) Sign(typ string, c *Claims) (string, error) {
	payload, err := c.text()
	if err != nil {
		return "", err
	}
	header, err := json.Marshal(struct {
		Alg  string `json:"alg"`
		Typ  string `json:"typ,omitzero"`
		Kid  string `json:"kid,omitzero"`
		Salt string `json:"salt,omitzero"`
	}{s.public.Alg, typ, s.public.ID, c.salt})
	if err != nil {
		return "", err
	}
	encoding := base64.RawURLEncoding
	signed := encoding.EncodeToString(header) + "." + encoding.EncodeToString(payload)
	if len(signed) > token.MaxLength {
		return "", token.ErrTooLarge // not worth a signature
	}
	signature, err := s.sign(signed)
	if err != nil {
		return "", err
	}
	text := signed + "." + encoding.EncodeToString(signature)
	if len(text) > token.MaxLength {
		return "", token.ErrTooLarge
	}
	return text, nil
}
