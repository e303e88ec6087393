package sign

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
)

// ErrEncryptedKey says that a private key cannot be read without a passphrase.
var ErrEncryptedKey = errors.New("key is encrypted: give it without a passphrase, as from: openssl pkey -in private.pem; and keep it readable for its user only")

// ParsePrivateKey reads a private key from PEM: PKCS #8, PKCS #1
// or SEC 1, RSA, ECDSA or Ed25519. A block EC PARAMETERS before it is passed over.
// Errors say what to give instead, and never contain the key. Whether the key is
// good enough is for [New] to say.
func ParsePrivateKey(text string) (crypto.Signer, error) {
	rest := []byte(strings.TrimSpace(text))
	var block *pem.Block
	for block == nil || block.Type == "EC PARAMETERS" {
		if block, rest = pem.Decode(rest); block == nil {
			return nil, noPrivateKey(text)
		}
	}
	if len(rest) > 0 {
		if !strings.Contains(string(rest), "-----BEGIN ") {
			return nil, noPrivateKey(text)
		}
		return nil, errors.New("key has more than one PEM block: give only the PRIVATE KEY, as from: openssl pkey -in private.pem")
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, ErrEncryptedKey
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return nil, errors.New("key is a public key or certificate, which cannot sign: give the private key that belongs to it")
	default:
		return nil, errors.New("key is PEM of an unknown type: give PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY")
	}
	if err != nil && block.Headers["DEK-Info"] != "" {
		return nil, ErrEncryptedKey
	}
	signer, ok := private.(crypto.Signer)
	if err != nil || !ok {
		// The parser's own words may quote what it read.
		return nil, errors.New("key is PEM whose content cannot be read as a key that signs: export it again, as from: openssl pkey -in private.pem")
	}
	return signer, nil
}

// noPrivateKey says why there is no PEM block in text.
func noPrivateKey(text string) error {
	switch {
	case !strings.Contains(text, "-----BEGIN "):
		return errors.New("key is not PEM: give a private key that begins with -----BEGIN")
	case strings.Contains(text, `\n`):
		return errors.New(`key is PEM whose lines end in a backslash and an n: write real line breaks`)
	}
	return errors.New("key is PEM that cannot be read: give the whole block with its line breaks, from -----BEGIN to the last dash")
}
