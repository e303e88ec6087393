package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// parameter is where the token stands in the query.
const parameter = "download_token"

// secret signs HS256; another is for signatures that do not verify.
const (
	secret  = "benchmark-secret-0123456789-abcdefghijklmnopqrst"
	another = "benchmark-forger-0123456789-abcdefghijklmnopqrst"
)

// keys are what tokens are signed with, and the files with what verifies them.
type keys struct {
	private map[string]any    // by algorithm
	public  map[string]string // by algorithm: file with PEM
}

func newKeys(dir string) (*keys, error) {
	k := &keys{private: map[string]any{"HS256": []byte(secret)}, public: map[string]string{}}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	for alg, key := range map[string]crypto.Signer{"RS256": rsaKey, "ES256": ecKey, "EdDSA": edKey} {
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		name := filepath.Join(dir, alg+".pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return nil, err
		}
		k.private[alg], k.public[alg] = key, name
	}
	return k, nil
}

// line is the argument of the subdirective key.
func (k *keys) line(alg string) string {
	if alg == "HS256" {
		return "key HS256 " + secret
	}
	return "key " + alg + " {file." + k.public[alg] + "}"
}

// sign makes a token that differs from every other and opens the file name until exp.
func sign(alg string, key any, name string, exp time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.GetSigningMethod(alg), jwt.MapClaims{
		"scope": "file:" + name,
		"jti":   rand.Text(),
		"iat":   float64(exp.Add(-lifetime).UnixMicro()) / 1e6,
		"exp":   exp.Unix(),
	}).SignedString(key)
}

// lifetime is how long a token is valid: longer than a round takes.
const lifetime = time.Hour
