package command

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token/jwks"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token/sign"
)

// parseSigningKey reads a key that signs: a secret as the Caddyfile has it, a
// private key in PEM, or a JWK. alg and kid may be empty; then they are what the JWK
// says, or alg is what goes with the key.
//
// The key must be as good as the plugin wants it for verifying. Warnings are those
// of [token.ParseKey]. Neither errors nor warnings hold the key.
func parseSigningKey(text, alg, kid string) (signer *sign.Signer, warnings []string, err error) {
	var key any
	switch trimmed := strings.TrimSpace(text); {
	case strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed, `"kty"`):
		var named string
		if key, named, kid, err = parseJWK(trimmed, kid); err != nil {
			return nil, nil, fmt.Errorf("key is no JSON Web Key that signs: %w", err)
		}
		if alg != "" && named != "" && alg != named {
			return nil, nil, fmt.Errorf("--alg: the key names another algorithm: write %s, or leave --alg out", named)
		}
		alg = cmp.Or(alg, named)
	case strings.Contains(trimmed, "-----BEGIN "):
		key, err = sign.ParsePrivateKey(trimmed)
		if errors.Is(err, sign.ErrEncryptedKey) {
			err = errEncrypted
		}
		if err != nil {
			return nil, nil, err
		}
	default:
		alg = cmp.Or(alg, "HS256")
		if family, err := token.FamilyOf(alg); err == nil && family != token.HMAC {
			return nil, nil, fmt.Errorf("--key: %s needs a private key in PEM or as JSON Web Key, and this is neither", alg)
		}
		return sign.Parse(alg, kid, text)
	}
	signer, err = sign.New(alg, kid, key)
	return signer, nil, err
}

// parseJWK returns the key, its algorithm, if it names one, and kid or else its own.
func parseJWK(text, kid string) (key any, alg, id string, err error) {
	k, err := jwks.Parse([]byte(text))
	if err != nil {
		return nil, "", "", err
	}
	if k.Alg != nil {
		alg = *k.Alg
	}
	key, err = k.Private()
	return key, alg, cmp.Or(kid, k.Kid), err
}

var errEncrypted = errors.New("key is encrypted: pass it decrypted through a pipe, as from: openssl pkey -in private.pem | caddy download-token mint --key -")
