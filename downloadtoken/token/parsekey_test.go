package token

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"
)

// certificatePEM is good until notAfter, and for nothing but its public key.
func certificatePEM(t testing.TB, signer crypto.Signer, notAfter time.Time) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"},
		NotBefore: notAfter.Add(-time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der)
}

func TestParseKey(t *testing.T) {
	signer := rsaSigner()
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM := publicPEM(t, signer.Public())
	certificate := certificatePEM(t, signer, now)
	short := repeat("k", 32)
	bytes48 := []byte(repeat("\xfb\xff\x00", 16)) // has both of the digits that the alphabets differ in
	tests := []struct {
		name, alg, material string
		err                 string   // part of it; "" accepts
		warnings            []string // part of each
	}{
		{"secret", "HS256", short, "", nil},
		{"secret, full length", "HS512", secret, "", nil},
		{"secret shorter than SHA-384", "HS384", short, "", []string{"should have at least 48"}},
		{"secret shorter than SHA-512", "HS512", repeat("k", 63), "", []string{"should have at least 64"}},
		{"secret too short", "HS256", short[1:], "only 31 bytes", nil},
		{"secret empty", "HS256", "", "only 0 bytes", nil},
		{"secret of Django", "HS256", "django-insecure-" + short, "", []string{"django-insecure-"}},
		{"secret of Django, short for SHA-512", "HS512", "django-insecure-" + short, "", []string{"should have", "django-insecure-"}},
		{"secret with a line end", "HS256", short + "\n", "", []string{"white space"}},
		{"secret is a PEM", "HS256", rsaPEM, "PEM", nil},
		{"secret is a PEM with text before", "HS256", "key: " + rsaPEM, "PEM", nil},
		{"secret is a private PEM", "HS256", pemOf("PRIVATE KEY", private), "PEM", nil},

		{"base64", "HS384", "base64:" + base64.StdEncoding.EncodeToString(bytes48), "", nil},
		{"base64url", "HS384", "base64:" + base64.RawURLEncoding.EncodeToString(bytes48), "", nil},
		{"base64 padded", "HS256", "base64:" + base64.StdEncoding.EncodeToString([]byte(short)), "", nil},
		{"base64 not padded", "HS256", "base64:" + base64.RawStdEncoding.EncodeToString([]byte(short)), "", nil},
		{"base64url padded", "HS256", "base64:" + base64.URLEncoding.EncodeToString([]byte(short)), "", nil},
		{"base64 with a line end", "HS256", "base64: " + base64.StdEncoding.EncodeToString([]byte(short)) + "\n", "", nil},
		{"base64 of a short secret", "HS256", "base64:" + base64.StdEncoding.EncodeToString([]byte(short[1:])), "only 31 bytes", nil},
		{"base64 of a PEM", "HS256", "base64:" + base64.StdEncoding.EncodeToString([]byte(rsaPEM)), "PEM", nil},
		{"base64 of Django's", "HS256", "base64:" + base64.StdEncoding.EncodeToString([]byte("django-insecure-"+short)), "", []string{"django-insecure-"}},
		{"not base64", "HS256", "base64:" + short + "!", "cannot be decoded", nil},
		{"base64 in two alphabets", "HS256", "base64:" + repeat("+_aa", 20), "cannot be decoded", nil},
		{"base64 with spare bits", "HS256", "base64:" + repeat("AAAA", 12) + "AB", "cannot be decoded", nil},

		{"PKIX", "RS256", rsaPEM, "", nil},
		{"PKIX, white space around", "PS384", "\n\t " + rsaPEM + "\n \n", "", nil},
		{"PKIX, Windows line ends", "RS256", strings.ReplaceAll(rsaPEM, "\n", "\r\n"), "", nil},
		{"PKIX, text before", "RS256", "Signing key\n" + rsaPEM, "", nil},
		{"PKCS #1", "RS512", pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&signer.PublicKey)), "", nil},
		{"certificate", "RS256", certificate, "", nil},
		{"ECDSA", "ES256", publicPEM(t, ecdsaSigner().Public()), "", nil},
		{"ECDSA certificate", "ES256", certificatePEM(t, ecdsaSigner(), now), "", nil},
		{"Ed25519", "EdDSA", publicPEM(t, public(signers()["EdDSA"])), "", nil},
		{"X25519", "EdDSA", publicPEM(t, exchange.PublicKey()), "no algorithm uses", nil},
		{"RSA for ES256", "ES256", rsaPEM, "RSA key write one of RS256", nil},
		{"certificate for ES256", "ES256", certificate, "RSA key write one of RS256", nil},
		{"P-256 for ES384", "ES384", publicPEM(t, ecdsaSigner().Public()), "ECDSA key write one of ES256", nil},
		{"ECDSA for EdDSA", "EdDSA", publicPEM(t, ecdsaSigner().Public()), "ECDSA key write one of ES256", nil},
		{"private, PKCS #8", "RS256", pemOf("PRIVATE KEY", private), "give the public key", nil},
		{"private, PKCS #1", "RS256", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(signer)), "give the public key", nil},
		{"private, encrypted", "RS256", pemOf("ENCRYPTED PRIVATE KEY", private), "give the public key", nil},
		{"private after public", "RS256", rsaPEM + pemOf("PRIVATE KEY", private), "give the public key", nil},
		{"two blocks", "RS256", rsaPEM + certificate, "more than one PEM block", nil},
		{"broken block before a good one", "RS256", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n" + rsaPEM, "more than one PEM block", nil},
		{"text after", "RS256", rsaPEM + "x", "cannot be read", nil},
		{"cut off", "RS256", rsaPEM[:len(rsaPEM)-40], "cannot be read", nil},
		{"on one line", "RS256", strings.ReplaceAll(rsaPEM, "\n", " "), "cannot be read", nil},
		{"escaped line ends", "RS256", strings.ReplaceAll(rsaPEM, "\n", `\n`), "real line breaks", nil},
		{"not DER", "RS256", pemOf("PUBLIC KEY", []byte("nothing")), "content cannot be read", nil},
		{"certificate that is none", "RS256", pemOf("CERTIFICATE", []byte("nothing")), "content cannot be read", nil},
		{"PKCS #1 under PKIX's name", "RS256", pemOf("PUBLIC KEY", x509.MarshalPKCS1PublicKey(&signer.PublicKey)), "content cannot be read", nil},
		{"certificate request", "RS256", pemOf("CERTIFICATE REQUEST", []byte("nothing")), "holds no public key", nil},
		{"secret for RS256", "RS256", secret, "is not PEM", nil},
		{"nothing for RS256", "RS256", "", "is not PEM", nil},
		{"none", "none", "", "means no signature", nil},
		{"unknown", "RS1", rsaPEM, "unknown algorithm", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key, warnings, err := ParseKey(test.alg, test.material)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Fatalf("error is %v, want %q", err, test.err)
			}
			if err == nil && (key.Alg != test.alg || key.ID != "" || key.Issuer != "" || !key.signs(test.alg)) {
				t.Errorf("key is %+v", key)
			}
			if len(warnings) != len(test.warnings) {
				t.Fatalf("warnings %q, want %q", warnings, test.warnings)
			}
			said := strings.Join(warnings, "\n")
			for _, want := range test.warnings {
				if !strings.Contains(said, want) {
					t.Errorf("warnings %q, want %q", warnings, want)
				}
			}
			if err != nil {
				said += err.Error()
			}
			for i := 0; i+12 <= len(test.material); i++ {
				part := test.material[i : i+12]
				if strings.Contains(said, part) && part != strings.Repeat("-", 12) && !strings.Contains("django-insecure- -----BEGIN PUBLIC KEY CERTIFICATE RSA PRIVATE KEY", part) {
					t.Fatalf("%q repeats %q of the material", said, part)
				}
			}
		})
	}
}

func TestParsedKeysVerify(t *testing.T) {
	for alg, signer := range signers() {
		t.Run(alg, func(t *testing.T) {
			material := secret
			if _, ok := signer.([]byte); !ok {
				material = publicPEM(t, public(signer))
			}
			verifier := judgeBy(makeTable(t, makeSecret(t, alg, material)))
			_, err := verifier.judge(mint(t, alg, `{"alg":"`+alg+`"}`, `{`+soon+`}`), now)
			wantErr(t, err, nil)
		})
	}
}

func TestCertificateExpired(t *testing.T) {
	key := makeSecret(t, "RS256", certificatePEM(t, rsaSigner(), now))
	if key.CertificateExpired(now) || !key.CertificateExpired(now.Add(time.Second)) {
		t.Error("the last moment is not NotAfter")
	}
	plain := makeSecret(t, "RS256", publicPEM(t, rsaSigner().Public()))
	if plain.CertificateExpired(now.AddDate(1000, 0, 0)) || new(Key).CertificateExpired(now) {
		t.Error("a key without certificate is expired")
	}
}
