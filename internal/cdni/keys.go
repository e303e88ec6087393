package cdni

// Key decrypts sub and cdniip.
type Key struct {
	// Alg is how the content key is found, and the only way that this key is used for
	// (RFC 7518 section 4): dir, A128KW, A256KW, RSA-OAEP-256 or ECDH-ES.
	Alg string

	// ID is the kid of the JWEs that it is for; "" for any, unless the key is a JWK
	// that names one.
	ID string

	// Secret is the key itself: a JSON Web Key; a private key in PEM; or, for dir and
	// the key wraps, `base64:` and its bytes.
	Secret string
}

// Keys decrypt what is encrypted in a token (RFC 7516, in compact form). They may be
// used from many goroutines.
type Keys struct{}

// NewKeys makes keys of their texts. The error says which of them (from 0) is wrong, and
// what to write instead, and has nothing of the secret.
func NewKeys(keys ...Key) (*Keys, error) { return new(Keys), nil }
