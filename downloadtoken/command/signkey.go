package command

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// parseSigningKey reads a key that signs: a secret as the Caddyfile has it, a
// private key in PEM, or a JWK. alg may be empty; then it is what the JWK says, or
// what goes with the key: HS256 for a secret, RS256 for RSA, the curve's for ECDSA.
//
// The key must be as good as the plugin wants it for verifying. Warnings are those
// of [token.ParseKey]. Neither errors nor warnings hold the key.
func parseSigningKey(text, alg string) (key *keyPair, warnings []string, err error) {
	switch trimmed := strings.TrimSpace(text); {
	case strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed, `"kty"`):
		key, err = parseJWK(trimmed)
	case strings.Contains(trimmed, "-----BEGIN "):
		key, err = parsePEM(trimmed)
	default:
		return parseSecret(text, alg)
	}
	if err != nil {
		return nil, nil, err
	}
	if alg != "" && key.alg != "" && alg != key.alg {
		return nil, nil, fmt.Errorf("--alg: the key names another algorithm: write %s, or leave --alg out", key.alg)
	}
	if key.alg == "" {
		key.alg = alg
	}
	if key.alg == "" {
		key.alg = usualAlg(key.private)
	}
	if _, err := key.verifier(); err != nil {
		return nil, nil, err
	}
	return key, nil, nil
}

// usualAlg is the algorithm that goes with a key unless somebody says otherwise.
func usualAlg(private any) string {
	switch key := private.(type) {
	case *rsa.PrivateKey:
		return "RS256"
	case *ecdsa.PrivateKey:
		switch key.Curve.Params().BitSize {
		case 384:
			return "ES384"
		case 521:
			return "ES512"
		}
		return "ES256"
	case ed25519.PrivateKey:
		return "EdDSA"
	}
	return "HS256"
}

func parseSecret(text, alg string) (*keyPair, []string, error) {
	if alg == "" {
		alg = "HS256"
	}
	if kind, err := kindOf(alg); err != nil {
		return nil, nil, err
	} else if kind != kindSecret {
		return nil, nil, fmt.Errorf("--key: %s needs a private key in PEM or as JSON Web Key, and this is neither", alg)
	}
	_, warnings, err := token.ParseKey(alg, text)
	if err != nil {
		return nil, nil, err
	}
	secret, err := token.Secret(text)
	if err != nil {
		return nil, nil, err
	}
	return &keyPair{alg: alg, private: secret}, warnings, nil
}

// parsePEM reads a private key in PKCS #8, PKCS #1 or SEC 1. openssl ecparam puts
// a block with the curve in front of the last.
func parsePEM(text string) (*keyPair, error) {
	private, err := token.ParsePrivateKey(text)
	if errors.Is(err, token.ErrEncryptedKey) {
		return nil, errEncrypted
	}
	if err != nil {
		return nil, err
	}
	return &keyPair{private: private}, nil
}

var errEncrypted = errors.New("key is encrypted: pass it decrypted through a pipe, as from: openssl pkey -in private.pem | caddy download-token mint --key -")
