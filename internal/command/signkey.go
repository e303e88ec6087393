package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/jwks"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

// parseSigningKey reads a key that signs: a secret as the Caddyfile has it, a
// private key in PEM, or a JWK. alg and kid may be empty; then they are what the JWK
// says, or alg is what goes with the key.
//
// The key must be as good as the plugin wants it for verifying. Warnings are those
// of [token.ParseKey]. Neither errors nor warnings hold the key.
func parseSigningKey(text, alg, kid string) (signer *sign.Signer, warnings []string, err error) {
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed, `"kty"`) {
		signer, err = parseJWK(trimmed, alg, kid)
		return signer, nil, err
	}
	if strings.Contains(trimmed, "-----BEGIN ") {
		key, err := sign.ParsePrivateKey(trimmed)
		if err != nil {
			return nil, nil, err
		}
		signer, err = sign.New(alg, kid, key)
		return signer, nil, err
	}
	alg = cmp.Or(alg, "HS256")
	if family, err := token.FamilyOf(alg); err == nil && family != token.HMAC {
		return nil, nil, fmt.Errorf("--key: %s needs a private key in PEM or as JSON Web Key, and this is neither", alg)
	}
	return sign.Parse(alg, kid, text)
}

// parseJWK reads a private JWK. It may name its algorithm and its ID itself.
func parseJWK(text, alg, kid string) (*sign.Signer, error) {
	k, err := jwks.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("key is no JSON Web Key that signs: %w", err)
	}
	key, err := k.Private()
	if err != nil {
		return nil, fmt.Errorf("key is no JSON Web Key that signs: %w", err)
	}
	if k.Alg != nil {
		if alg != "" && alg != *k.Alg {
			return nil, fmt.Errorf("--alg: the key names another algorithm: write %s, or leave --alg out", *k.Alg)
		}
		alg = *k.Alg
	}
	return sign.New(alg, cmp.Or(kid, k.Kid), key)
}
