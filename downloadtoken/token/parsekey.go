package token

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

var errPrivateKey = errors.New("key is a private one, which does not belong on a server that only verifies: give the public key, as from: openssl pkey -in private.pem -pubout")

// ParseKey reads a key as it is written in a configuration.
//
// For HS256, HS384 and HS512 the material is the secret itself, every byte of it,
// or "base64:" and its base64 in either alphabet, padded or not. For all others it
// is one PEM block with a public key (PKIX, or PKCS #1 for RSA) or an X.509
// certificate, whose dates and names are not checked; see [Key.CertificateExpired].
//
// The key must be good enough for [NewKey]. Warnings tell of what is accepted but
// not wise: an HMAC secret shorter than its hash (RFC 7518 3.2), one that Django
// made for development, one with white space around it. Neither errors nor warnings
// contain the material.
func ParseKey(alg, material string) (key Key, warnings []string, err error) {
	a, err := findAlgorithm(alg)
	if err != nil {
		return Key{}, nil, err
	}
	if a.hash != 0 {
		return parseSecret(a, material)
	}
	key, err = parsePEM(a, material)
	return key, nil, err
}

func parseSecret(a *algorithm, text string) (Key, []string, error) {
	secret, err := Secret(text)
	if err != nil {
		return Key{}, nil, err
	}
	key, err := NewKey(a.name, secret)
	if err != nil {
		return Key{}, nil, err
	}
	var warnings []string
	if size := a.hash.Size(); len(secret) < size {
		warnings = append(warnings, fmt.Sprintf("secret has %d bytes; %s should have at least %d (RFC 7518 3.2)", len(secret), a.name, size))
	}
	if bytes.HasPrefix(secret, []byte("django-insecure-")) {
		warnings = append(warnings, "secret begins with django-insecure-: Django made it for development, and it may be in a public repository")
	}
	if !strings.HasPrefix(text, base64Prefix) && strings.TrimSpace(text) != text {
		warnings = append(warnings, "secret begins or ends with white space, which belongs to it: does the program that signs use the same bytes?")
	}
	return key, warnings, nil
}

// base64Prefix introduces a secret of which the bytes are encoded.
const base64Prefix = "base64:"

// Secret returns the bytes of an HMAC secret that is written as [ParseKey] reads it.
// Whether they are good enough, [NewKey] decides.
func Secret(material string) ([]byte, error) {
	if encoded, ok := strings.CutPrefix(material, base64Prefix); ok {
		return decodeBase64(strings.TrimSpace(encoded))
	}
	return []byte(material), nil
}

func decodeBase64(text string) ([]byte, error) {
	for _, encoding := range []*base64.Encoding{
		base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
	} {
		if secret, err := encoding.Strict().DecodeString(text); err == nil {
			return secret, nil
		}
	}
	return nil, errors.New("secret after base64: cannot be decoded: write base64 as from: openssl rand -base64 32, or leave the prefix out if it is text")
}

func parsePEM(a *algorithm, text string) (Key, error) {
	blocks := strings.Count(text, "-----BEGIN ")
	switch {
	case strings.Contains(text, "PRIVATE KEY-----"):
		return Key{}, errPrivateKey
	case blocks == 0:
		return Key{}, fmt.Errorf("key of %s is not PEM: give a public key or certificate that begins with -----BEGIN", a.name)
	case blocks > 1:
		return Key{}, errors.New("key has more than one PEM block: give only the signer's, and each further key a line of its own")
	}
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil && strings.Contains(text, `\n`) {
		return Key{}, errors.New(`key is PEM whose lines end in a backslash and an n: write real line breaks`)
	}
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, errors.New("key is PEM that cannot be read: give the whole block with its line breaks, from -----BEGIN to the last dash")
	}
	return parseBlock(a, block)
}

func parseBlock(a *algorithm, block *pem.Block) (Key, error) {
	var public any
	var certificate *x509.Certificate
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	default:
		return Key{}, errors.New("key is PEM of a type that holds no public key: give PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
	}
	if err != nil {
		// The parser's own words may quote what it read.
		return Key{}, errors.New("key is PEM whose content cannot be read: export it again, as from: openssl pkey -in private.pem -pubout")
	}
	key, err := NewKey(a.name, public)
	if err != nil {
		return Key{}, err
	}
	if certificate != nil {
		key.material().notAfter = certificate.NotAfter
	}
	return key, nil
}
