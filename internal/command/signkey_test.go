package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

const testSecret = "a-secret-of-more-than-thirty-two-bytes"

// legacyPEM writes keys in the forms that came before PKCS #8.
func legacyPEM(t testing.TB) (pkcs1, sec1, secp224 string) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sec := func(curve elliptic.Curve) string {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return encodePEM("EC PARAMETERS", []byte{6, 0}) + encodePEM("EC PRIVATE KEY", der)
	}
	return encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), sec(elliptic.P384()), sec(elliptic.P224())
}

func TestSigningKeyAlgorithm(t *testing.T) {
	pkcs1, sec1, _ := legacyPEM(t)
	for name, c := range map[string]struct{ text, alg, want string }{
		"a secret":             {testSecret, "", "HS256"},
		"a secret, as told":    {testSecret, "HS512", "HS512"},
		"base64":               {"base64:" + base64.StdEncoding.EncodeToString([]byte(testSecret)), "", "HS256"},
		"base64url, no fill":   {"base64:" + base64.RawURLEncoding.EncodeToString([]byte(testSecret)), "", "HS256"},
		"PKCS #1":              {pkcs1, "", "RS256"},
		"PKCS #1, as told":     {pkcs1, "PS384", "PS384"},
		"SEC 1, after a curve": {sec1, "", "ES384"},
		"PKCS #8":              {mustExecute(t, "", "keygen", "ES512"), "", "ES512"},
		"Ed25519":              {mustExecute(t, "", "keygen", "EdDSA"), "", "EdDSA"},
		"a JWK":                {mustExecute(t, "", "keygen", "PS512", "--jwk"), "", "PS512"},
		"a secret JWK":         {mustExecute(t, "", "keygen", "HS384", "--jwk"), "HS384", "HS384"},
	} {
		t.Run(name, func(t *testing.T) {
			key, _, err := parseSigningKey(c.text, c.alg, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := key.Key().Alg; got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestSigningKeyRefused(t *testing.T) {
	pkcs1, sec1, secp224 := legacyPEM(t)
	pair, err := generate("EdDSA", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, public, err := halves(pair)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, alg, want string }{
		"a short secret":           {"thirty-one-bytes-are-too-few-xx", "", "only 31 bytes"},
		"a short secret in base64": {"base64:AAAA", "", "only 3 bytes"},
		"damaged base64":           {"base64:%%%", "", "cannot be decoded"},
		"a secret for RS256":       {testSecret, "RS256", "needs a private key"},
		"an unknown algorithm":     {testSecret, "HS1", "unknown algorithm"},
		"a key for HS256":          {pkcs1, "HS256", "does not fit"},
		"another curve":            {sec1, "ES256", "does not fit"},
		"a curve of nobody":        {secp224, "", "curve"},
		"a public key":             {public, "", "cannot sign"},
		"a public JWK":             {`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, "", "cannot sign"},
		"another alg than the JWK": {mustExecute(t, "", "keygen", "HS256", "--jwk"), "HS512", "write HS256"},
		"a JWK that lies":          {strings.Replace(mustExecute(t, "", "keygen", "EdDSA", "--jwk"), `"x":"`, `"x":"AAAA`, 1), "", "damaged"},
		"a JWK cut askew":          {strings.Replace(mustExecute(t, "", "keygen", "EdDSA", "--jwk"), `"x":"`, `"x":"AA`, 1), "", "x is not base64url"},
		"a JWK with two kty":       {`{"kty":"oct","kty":"oct"}`, "", "given once"},
		"a short JWK":              {`{"kty":"oct","k":"AAAA"}`, "", "only 3 bytes"},
		"an encrypted key":         {encodePEM("ENCRYPTED PRIVATE KEY", []byte("x")), "", "encrypted"},
		"damaged PEM":              {encodePEM("PRIVATE KEY", []byte("planted")), "", "cannot be read"},
		"half a PEM":               {pkcs1[:200], "", "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseSigningKey(c.text, c.alg, "")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "planted") || len(c.text) > 12 && strings.Contains(err.Error(), c.text[:12]) {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
}

func TestReadKey(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte("of the file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEYFILE_TEST", "of the environment\n")
	for name, c := range map[string]struct{ source, stdin, want, err string }{
		"a file":                {file, "", "of the file", ""},
		"standard input":        {"-", "of the pipe\n\n", "of the pipe\n", ""},
		"the environment":       {"env:KEYFILE_TEST", "", "of the environment\n", ""},
		"nothing":               {"", "", "", "--key is missing"},
		"an unset variable":     {"env:KEYFILE_TEST_UNSET", "", "", "KEYFILE_TEST_UNSET is not set"},
		"an empty file":         {empty, "", "", "nothing in it"},
		"an empty pipe":         {"-", "", "", "nothing in it"},
		"too much":              {"-", strings.Repeat("x", maxKeyBytes+1), "", "too large"},
		"a folder":              {dir, "", "", "cannot be read"},
		"a secret as argument":  {"planted-secret", "", "", "no such file"},
		"base64 as argument":    {"base64:cGxhbnRlZA==", "", "", "no such file"},
		"a long text as option": {"planted" + strings.Repeat("x", 5000), "", "", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readKey(c.source, strings.NewReader(c.stdin))
			if got != c.want || (err == nil) != (c.err == "") {
				t.Fatalf("%q, %v", got, err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "cGxh")) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

// FuzzParseSigningKey feeds it whatever a file may hold.
func FuzzParseSigningKey(f *testing.F) {
	f.Add(testSecret, "HS256")
	f.Add(mustExecute(f, "", "keygen", "ES256"), "")
	f.Add(mustExecute(f, "", "keygen", "EdDSA", "--jwk"), "EdDSA")
	f.Fuzz(func(t *testing.T, text, alg string) {
		key, _, err := parseSigningKey(text, alg, "")
		if err != nil {
			return
		}
		if _, err := token.NewTable(key.Key()); err != nil {
			t.Errorf("a key that the plugin refuses: %v", err)
		}
	})
}
