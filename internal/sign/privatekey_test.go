package sign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

func TestParsePrivateKey(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	parameters := block("EC PARAMETERS", []byte{6, 0})
	for name, text := range map[string]string{
		"PKCS #8":        block("PRIVATE KEY", pkcs8),
		"PKCS #1":        block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)),
		"SEC 1":          block("EC PRIVATE KEY", sec1),
		"with openssl's": parameters + block("EC PRIVATE KEY", sec1),
		"white space":    "\n  " + block("PRIVATE KEY", pkcs8) + "\n\n",
	} {
		if key, err := ParsePrivateKey(text); err != nil || key.Public() == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tt := range map[string]struct{ text, err string }{
		"empty":      {"", "not PEM"},
		"text":       {"secret", "not PEM"},
		"two":        {block("PRIVATE KEY", pkcs8) + block("PRIVATE KEY", pkcs8), "more than one"},
		"more text":  {block("PRIVATE KEY", pkcs8) + "planted", "cannot be read"},
		"cut off":    {block("PRIVATE KEY", pkcs8)[:60], "cannot be read"},
		"one line":   {strings.ReplaceAll(block("PRIVATE KEY", pkcs8), "\n", `\n`), "real line breaks"},
		"public":     {block("PUBLIC KEY", []byte("planted")), "cannot sign"},
		"unknown":    {block("OPENSSH PRIVATE KEY", []byte("planted")), "unknown type"},
		"other kind": {block("EC PRIVATE KEY", pkcs8), "cannot be read"},
		"parameters": {parameters, "cannot be read"},
	} {
		_, err := ParsePrivateKey(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v, want %q", name, err, tt.err)
		}
	}
	if _, err := ParsePrivateKey(block("ENCRYPTED PRIVATE KEY", pkcs8)); !errors.Is(err, ErrEncryptedKey) {
		t.Errorf("encrypted: %v", err)
	}
}
