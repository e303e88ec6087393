package cdni

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

// Key decrypts sub and cdniip.
type Key struct {
	// Alg is how the content key is found, and the only way that this key is used for
	// (RFC 7518 section 4): dir, A128KW, A256KW, RSA-OAEP-256 or ECDH-ES.
	Alg string

	// ID is the kid of the JWEs that it is for; "" for any, unless the key is a JWK
	// that names one.
	ID string

	// Secret is the key itself: a JSON Web Key (RFC 7517), of which the alg is ignored;
	// a private key in PEM; or, for dir and the key wraps, `base64:` and its bytes.
	Secret string
}

// Keys decrypt what is encrypted in a token (RFC 7516, in compact form). They may be
// used from many goroutines.
type Keys struct {
	keys []decryptionKey
	algs []jose.KeyAlgorithm // of the keys
}

type decryptionKey struct {
	alg jose.KeyAlgorithm
	id  string
	key any // []byte, *rsa.PrivateKey or *ecdsa.PrivateKey
}

// maxKeys bounds how many keys are tried on what names none.
const maxKeys = 16

// encryptions are those of the content. All authenticate it.
var encryptions = []jose.ContentEncryption{jose.A128GCM, jose.A192GCM, jose.A256GCM}

// secretSizes are the bytes that a secret of the algorithm may have.
var secretSizes = map[jose.KeyAlgorithm][]int{
	jose.DIRECT: {16, 24, 32},
	jose.A128KW: {16},
	jose.A256KW: {32},
}

// NewKeys makes keys of their texts, 16 at most. The error says which of them (from 1)
// is wrong, and what to write instead, and has nothing of the secret.
func NewKeys(keys ...Key) (*Keys, error) {
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("there are more than %d keys to decrypt with", maxKeys)
	}
	k := new(Keys)
	for i, key := range keys {
		made, err := key.parse()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		k.keys = append(k.keys, made)
		k.algs = append(k.algs, made.alg)
	}
	return k, nil
}

func (k Key) parse() (decryptionKey, error) {
	made := decryptionKey{alg: jose.KeyAlgorithm(k.Alg), id: k.ID}
	text := strings.TrimSpace(k.Secret)
	encoded, isBytes := strings.CutPrefix(text, "base64:")
	switch {
	case strings.HasPrefix(text, "{"):
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON([]byte(text)) != nil {
			return made, errors.New("it is no JSON Web Key")
		}
		made.key = jwk.Key
		if made.id == "" {
			made.id = jwk.KeyID
		}
	case isBytes:
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return made, errors.New("what follows base64: cannot be decoded; write base64 with its padding")
		}
		made.key = secret
	case strings.HasPrefix(text, "-----BEGIN "):
		private, err := sign.ParsePrivateKey(text)
		if err != nil {
			return made, err
		}
		made.key = private
	default:
		return made, errors.New("write a JSON Web Key, a private key in PEM, or base64: and the bytes of a secret")
	}
	return made, made.check()
}

// check makes sure that the key is for its algorithm and no weak one.
func (k *decryptionKey) check() error {
	switch key := k.key.(type) {
	case []byte:
		if sizes := secretSizes[k.alg]; sizes != nil {
			if !slices.Contains(sizes, len(key)) {
				return fmt.Errorf("a secret for %s has to have %s bytes", k.alg, strings.Trim(fmt.Sprint(sizes), "[]"))
			}
			return nil
		}
	case *rsa.PrivateKey:
		if k.alg == jose.RSA_OAEP_256 {
			if key.N.BitLen() < 2048 {
				return errors.New("the RSA key has less than 2048 bits")
			}
			return nil
		}
	case *ecdsa.PrivateKey:
		if k.alg == jose.ECDH_ES {
			return nil
		}
	}
	return errors.New("it does not fit its algorithm; write dir, A128KW or A256KW with a secret, " +
		"RSA-OAEP-256 with a private RSA key, ECDH-ES with a private EC key")
}

// decrypt returns what a JWE in compact form holds. Nothing is decompressed.
func (k *Keys) decrypt(text string) (plain string, ok bool) {
	if k == nil || len(k.keys) == 0 {
		return "", false
	}
	// Only the compact form: the JSON serialisations are never tried (RFC 9246 section 2.1.2).
	jwe, err := jose.ParseEncryptedCompact(text, k.algs, encryptions)
	if err != nil {
		return "", false
	}
	if _, zipped := jwe.Header.ExtraHeaders["zip"]; zipped {
		return "", false
	}
	for _, key := range k.keys {
		if string(key.alg) != jwe.Header.Algorithm || key.id != "" && jwe.Header.KeyID != "" && key.id != jwe.Header.KeyID {
			continue
		}
		if decrypted, err := jwe.Decrypt(key.key); err == nil {
			return string(decrypted), true
		}
	}
	return "", false
}
