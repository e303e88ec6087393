package cdni

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

var (
	secret16 = []byte("0123456789abcdef")
	secret24 = []byte("0123456789abcdef01234567")
	secret32 = []byte("0123456789abcdef0123456789abcdef")
)

// encrypt makes a JWE in compact form.
func encrypt(t testing.TB, alg jose.KeyAlgorithm, enc jose.ContentEncryption, key any, kid, text string, zip jose.CompressionAlgorithm) string {
	t.Helper()
	e, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: key, KeyID: kid, PBES2Count: 1000}, &jose.EncrypterOptions{Compression: zip})
	if err != nil {
		t.Fatal(err)
	}
	made, err := e.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := made.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func inPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func inJWK(t testing.TB, key any, kid string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: "A128GCM"}) // as Appendix A has it
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func inBase64(secret []byte) string { return "base64:" + base64.StdEncoding.EncodeToString(secret) }

func newKeys(t testing.TB, keys ...Key) *Keys {
	t.Helper()
	k, err := NewKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestDecrypt: a key decrypts by its own algorithm what is meant for it, and nothing
// else is.
func TestDecrypt(t *testing.T) {
	private, curve, other := rsaKey(t, 2048), ecKey(t), ecKey(t)
	keys := newKeys(t,
		Key{Alg: "dir", Secret: inBase64(secret16)},
		Key{Alg: "dir", ID: "d24", Secret: inBase64(secret24)},
		Key{Alg: "dir", Secret: inJWK(t, secret32, "d32")},
		Key{Alg: "A128KW", Secret: inBase64(secret16)},
		Key{Alg: "A256KW", Secret: inJWK(t, secret32, "")},
		Key{Alg: "RSA-OAEP-256", Secret: inPEM(t, private)},
		Key{Alg: "ECDH-ES", ID: "ec", Secret: "\n" + inPEM(t, curve)},
	)
	const text = "UserToken"
	for name, tt := range map[string]struct {
		jwe string
		ok  bool
	}{
		"dir, 128 bits":           {encrypt(t, jose.DIRECT, jose.A128GCM, secret16, "", text, ""), true},
		"dir, 192 bits":           {encrypt(t, jose.DIRECT, jose.A192GCM, secret24, "d24", text, ""), true},
		"dir, 256 bits":           {encrypt(t, jose.DIRECT, jose.A256GCM, secret32, "d32", text, ""), true},
		"dir, a kid of none":      {encrypt(t, jose.DIRECT, jose.A128GCM, secret16, "x", text, ""), true},
		"A128KW":                  {encrypt(t, jose.A128KW, jose.A256GCM, secret16, "", text, ""), true},
		"A256KW":                  {encrypt(t, jose.A256KW, jose.A128GCM, secret32, "", text, ""), true},
		"RSA-OAEP-256":            {encrypt(t, jose.RSA_OAEP_256, jose.A128GCM, &private.PublicKey, "", text, ""), true},
		"ECDH-ES":                 {encrypt(t, jose.ECDH_ES, jose.A256GCM, &curve.PublicKey, "ec", text, ""), true},
		"ECDH-ES without a kid":   {encrypt(t, jose.ECDH_ES, jose.A256GCM, &curve.PublicKey, "", text, ""), true},
		"another key":             {encrypt(t, jose.ECDH_ES, jose.A256GCM, &other.PublicKey, "ec", text, ""), false},
		"another kid":             {encrypt(t, jose.DIRECT, jose.A256GCM, secret32, "d24", text, ""), false},
		"another secret":          {encrypt(t, jose.DIRECT, jose.A128GCM, secret32[16:], "x", text, ""), true}, // the same bytes
		"another secret, really":  {encrypt(t, jose.DIRECT, jose.A128GCM, secret24[8:], "", text, ""), false},
		"a secret for another":    {encrypt(t, jose.A128GCMKW, jose.A128GCM, secret16, "", text, ""), false},
		"RSA-OAEP with SHA-1":     {encrypt(t, jose.RSA_OAEP, jose.A128GCM, &private.PublicKey, "", text, ""), false},
		"RSA1_5":                  {encrypt(t, jose.RSA1_5, jose.A128GCM, &private.PublicKey, "", text, ""), false},
		"ECDH-ES+A128KW":          {encrypt(t, jose.ECDH_ES_A128KW, jose.A128GCM, &curve.PublicKey, "", text, ""), false},
		"a password":              {encrypt(t, jose.PBES2_HS256_A128KW, jose.A128GCM, secret16, "", text, ""), false},
		"AES in CBC":              {encrypt(t, jose.DIRECT, jose.A128CBC_HS256, secret32, "", text, ""), false},
		"compressed":              {encrypt(t, jose.DIRECT, jose.A128GCM, secret16, "", text, jose.DEFLATE), false},
		"a bomb":                  {encrypt(t, jose.DIRECT, jose.A128GCM, secret16, "", strings.Repeat("a", 1<<20), jose.DEFLATE), false},
		"not encrypted":           {text, false},
		"empty":                   {"", false},
		"a JWS":                   {signedJWT, false},
		"the JSON serialisation":  {inJSON(t, encrypt(t, jose.DIRECT, jose.A128GCM, secret16, "", text, "")), false},
		"a critical header":       {withHeader(t, secret16, `{"alg":"dir","enc":"A128GCM","crit":["x"],"x":1}`), false},
		"compression by no name":  {withHeader(t, secret16, `{"alg":"dir","enc":"A128GCM","zip":""}`), false},
		"a header without spaces": {withHeader(t, secret16, `{"alg":"dir","enc":"A128GCM"}`), true},
	} {
		plain, ok := keys.decrypt(tt.jwe)
		if ok != tt.ok || ok && plain != text {
			t.Errorf("%s: %q, %v", name, plain, ok)
		}
		if _, ok := (*Keys)(nil).decrypt(tt.jwe); ok {
			t.Errorf("%s: decrypted without any key", name)
		}
	}
	jwe := encrypt(t, jose.A128KW, jose.A256GCM, secret16, "", text, "")
	for i := range jwe {
		forged := []byte(jwe)
		if forged[i] = 'A'; 'A' <= jwe[i] && jwe[i] <= 'P' { // spare bits are not enough
			forged[i] = '_'
		}
		if plain, ok := keys.decrypt(string(forged)); ok {
			t.Errorf("byte %d was changed: %q", i, plain)
		}
	}
}

// inJSON is the general JSON serialisation of a JWE.
func inJSON(t *testing.T, compact string) string {
	jwe, err := jose.ParseEncryptedCompact(compact, []jose.KeyAlgorithm{jose.DIRECT}, encryptions)
	if err != nil {
		t.Fatal(err)
	}
	return jwe.FullSerialize()
}

// TestNewKeys: weak keys, and those of another kind than their algorithm needs.
func TestNewKeys(t *testing.T) {
	curve, weak := ecKey(t), rsaKey(t, 1024)
	public, err := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]Key{
		"no algorithm":             {Secret: inBase64(secret16)},
		"unknown":                  {Alg: "A192KW", Secret: inBase64(secret24)},
		"a password":               {Alg: "PBES2-HS256+A128KW", Secret: inBase64(secret16)},
		"RSA1_5":                   {Alg: "RSA1_5", Secret: inPEM(t, weak)},
		"a weak RSA key":           {Alg: "RSA-OAEP-256", Secret: inPEM(t, weak)},
		"an EC key for RSA":        {Alg: "RSA-OAEP-256", Secret: inPEM(t, curve)},
		"a secret for ECDH":        {Alg: "ECDH-ES", Secret: inBase64(secret32)},
		"an EC key for dir":        {Alg: "dir", Secret: inPEM(t, curve)},
		"a short secret":           {Alg: "dir", Secret: inBase64(secret16[1:])},
		"a secret of other length": {Alg: "A128KW", Secret: inBase64(secret32)},
		"an empty secret":          {Alg: "dir", Secret: "base64:"},
		"no secret":                {Alg: "dir"},
		"a bare text":              {Alg: "dir", Secret: string(secret16)},
		"bad base64":               {Alg: "dir", Secret: "base64:?"},
		"a public key":             {Alg: "ECDH-ES", Secret: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))},
		"a public JWK":             {Alg: "ECDH-ES", Secret: inJWK(t, &curve.PublicKey, "")},
		"no JWK":                   {Alg: "dir", Secret: `{"kty":"oct"}`},
		"PEM of nothing":           {Alg: "ECDH-ES", Secret: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
	} {
		_, err := NewKeys(Key{Alg: "dir", Secret: inBase64(secret16)}, key)
		if err == nil || !strings.HasPrefix(err.Error(), "key 2: ") {
			t.Errorf("%s: %v", name, err)
		} else if secret := strings.TrimPrefix(key.Secret, "base64:"); len(secret) > 4 && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error has the secret: %v", name, err)
		}
	}
	if _, err := NewKeys(make([]Key, maxKeys+1)...); err == nil {
		t.Error("too many keys")
	}
}

// withHeader encrypts with AES-128-GCM under a header that no library would write.
func withHeader(t *testing.T, key []byte, header string) string {
	t.Helper()
	encoded := base64.RawURLEncoding.EncodeToString([]byte(header))
	aead := gcm(t, key)
	nonce := bytes.Repeat([]byte{7}, aead.NonceSize())
	sealed := aead.Seal(nil, nonce, []byte("UserToken"), []byte(encoded))
	text, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	b64 := base64.RawURLEncoding.EncodeToString
	return encoded + ".." + b64(nonce) + "." + b64(text) + "." + b64(tag)
}

func FuzzDecrypt(f *testing.F) {
	keys := newKeys(f, Key{Alg: "dir", Secret: inBase64(secret16)}, Key{Alg: "ECDH-ES", Secret: inPEM(f, ecKey(f))})
	f.Add(encrypt(f, jose.DIRECT, jose.A128GCM, secret16, "", "text", ""))
	f.Add("....")
	f.Fuzz(func(t *testing.T, text string) {
		if plain, ok := keys.decrypt(text); ok && len(plain) > len(text) {
			t.Errorf("%q became %q", text, plain)
		}
	})
}

func gcm(t *testing.T, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}
