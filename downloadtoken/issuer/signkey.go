package issuer

import (
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
)

// SigningKey is the key that signs the tokens.
type SigningKey struct {
	// The signature algorithm (RFC 7518 section 3.1): HS256, HS384, HS512, RS256,
	// RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA.
	Alg string `json:"alg"`

	// For HS*: the secret, as text, or as `base64:` and the encoded bytes; 32
	// bytes or more. For the others: the private key in PEM (PKCS #8, PKCS #1 or
	// SEC 1), without a passphrase.
	//
	// Placeholders that are known when the configuration is loaded are replaced,
	// so the key need not stand in the configuration: `{env.DOWNLOAD_SECRET}`,
	// `{file./etc/caddy/signing.pem}`. Do that: a client
	// of the admin API could otherwise read the key and sign any token.
	Key string `json:"key"`

	// The key's ID, written into the header of the tokens. Default: none.
	KeyID string `json:"kid,omitempty"`
}

// newSigner reads a key. Neither errors nor warnings contain it.
func newSigner(k *SigningKey) (*sign.Signer, []string, error) {
	material, err := trust.Material(k.Key)
	if err != nil {
		return nil, nil, err
	}
	return sign.Parse(k.Alg, k.KeyID, material)
}
