package token

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
	"time"
)

// What golang-jwt 5.3.1 accepts, or leaves to its caller, as measured with its
// strictest options; a case for every row. Each is a token that is signed with the
// right key, so nothing but our own check stands in its way.
func TestGapsOfGolangJWT(t *testing.T) {
	const header = `{"alg":"HS256"}`
	oneTime := Rules{OneTime: true}
	tests := []struct {
		name            string
		rules           Rules
		header, payload string
		err             error
	}{
		{"crit unknown", Rules{}, `{"alg":"HS256","crit":["x-must"],"x-must":1}`, `{` + soon + `}`, ErrCritical},
		{"crit empty", Rules{}, `{"alg":"HS256","crit":[]}`, `{` + soon + `}`, ErrCritical},
		{"b64 with crit", Rules{}, `{"alg":"HS256","b64":false,"crit":["b64"]}`, `{` + soon + `}`, ErrCritical},
		{"duplicate alg", Rules{}, `{"alg":"none","alg":"HS256"}`, `{` + soon + `}`, ErrMalformed},
		{"duplicate exp", Rules{}, header, `{"exp":1,` + soon + `}`, ErrMalformed},
		{"duplicate jti", Rules{}, header, `{` + soon + `,"jti":"a","jti":"b"}`, ErrMalformed},
		{"EXP overrides exp", Rules{}, header, `{"exp":1,"EXP":1800000060}`, ErrExpired},
		{"EXP stands for exp", Rules{}, header, `{"EXP":1800000060}`, ErrClaim},
		{"NBF hides nbf", Rules{}, header, `{` + soon + `,"nbf":1800000030,"NBF":1}`, ErrNotYetValid},
		{"ISS stands for iss", Rules{Issuers: []string{"i"}}, header, `{` + soon + `,"ISS":"i"}`, ErrIssuer},
		{"Aud stands for aud", Rules{Audiences: []string{"a"}}, header, `{` + soon + `,"Aud":"a"}`, ErrAudience},
		{"ALG stands for alg", Rules{}, `{"ALG":"HS256"}`, `{` + soon + `}`, ErrMalformed},
		{"exp 0", Rules{}, header, `{"exp":0}`, ErrClaim},
		{"exp null", Rules{}, header, `{"exp":null}`, ErrClaim},
		{"exp missing", Rules{}, header, `{}`, ErrClaim},
		{"exp string", Rules{}, header, `{"exp":"1800000060"}`, ErrClaim},
		{"exp 1e18", Rules{}, header, `{"exp":1e18}`, ErrClaim},
		{"exp in 200 years", Rules{MaxTTL: time.Hour}, header, `{"exp":8000000000}`, ErrTooLongLived},
		{"claims null", Rules{}, header, `null`, ErrMalformed},
		{"garbage after claims", Rules{}, header, `{` + soon + `}garbage`, ErrMalformed},
		{"typ number", Rules{}, `{"alg":"HS256","typ":7}`, `{` + soon + `}`, ErrMalformed},
		{"typ any", Rules{HeaderTyps: []string{"dl+jwt"}}, `{"alg":"HS256","typ":"at+jwt"}`, `{` + soon + `}`, ErrHeaderTyp},
		{"iat in the future", oneTime, header, `{` + soon + `,"iat":1800000030}`, ErrNotYetValid},
		{"exp is now", Rules{}, header, `{"exp":1800000000}`, ErrExpired},
		{"aud though nobody asked", Rules{}, header, `{` + soon + `,"aud":"x"}`, ErrAudience},
		{"none of it", Rules{MaxTTL: time.Hour}, header, `{` + soon + `,"jti":"a"}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verifier := verifierOf(t, "HS256")
			verifier.Rules = test.rules
			_, err := verifier.judge(mint(t, "HS256", test.header, test.payload), now)
			wantErr(t, err, test.err)
		})
	}

	t.Run("b64 without crit means nothing", func(t *testing.T) { // RFC 7797 6
		_, err := verifierOf(t, "HS256").judge(mint(t, "HS256", `{"alg":"HS256","b64":false}`, `{`+soon+`}`), now)
		wantErr(t, err, nil)
	})

	t.Run("jti number", func(t *testing.T) {
		got, err := verifierOf(t, "HS256").judge(mintClaims(t, `{`+soon+`,"jti":7}`), now)
		wantErr(t, err, nil)
		_, err = got.Claims.Nonce("jti", "nonce")
		wantErr(t, err, ErrClaim)
	})

	t.Run("JTI and Nonce stand for nothing", func(t *testing.T) {
		got, err := verifierOf(t, "HS256").judge(mintClaims(t, `{`+soon+`,"jti":"a","JTI":"b","Nonce":"c"}`), now)
		wantErr(t, err, nil)
		if nonce, _ := got.Claims.Nonce("jti", "nonce"); nonce != "a" {
			t.Errorf("nonce is %q", nonce)
		}
	})

	text := mintClaims(t, `{`+soon+`}`)
	for name, spelling := range map[string]string{
		"CR LF in the header":    text[:4] + "\r\n" + text[4:],
		"LF in the payload":      strings.Replace(text, ".", ".\n", 1),
		"CR in the signature":    text[:len(text)-4] + "\r" + text[len(text)-4:],
		"LF after the signature": text + "\n",
		"padding":                text + "=",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verifierOf(t, "HS256").judge(spelling, now)
			wantErr(t, err, ErrMalformed)
		})
	}
	t.Run("CR LF that was signed", func(t *testing.T) { // so that the signature is not what refuses it
		signed := text[:4] + "\r\n" + text[4:strings.LastIndexByte(text, '.')]
		signature := hmacOf(t, signed)
		_, err := verifierOf(t, "HS256").judge(signed+"."+signature, now)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("trailing bits that were signed", func(t *testing.T) {
		for name, payload := range map[string]string{"header": `{"alg":"HS256"} `, "payload": `{"exp":1800000060,"a":1}  `} {
			parts := map[string]string{"header": encode(`{"alg":"HS256"}`), "payload": encode(`{` + soon + `}`)}
			part := encode(payload)
			if !strings.HasSuffix(part, "A") {
				t.Fatalf("%s has no spare bits", name)
			}
			parts[name] = part[:len(part)-1] + "B"
			signed := parts["header"] + "." + parts["payload"]
			_, err := verifierOf(t, "HS256").judge(signed+"."+hmacOf(t, signed), now)
			wantErr(t, err, ErrMalformed)
		}
	})
	t.Run("dots without end", func(t *testing.T) { // CVE-2025-30204
		verifier := verifierOf(t, "HS256")
		dots := repeat(".", 1<<20)
		_, err := verifier.judge(dots, now)
		wantErr(t, err, ErrTooLarge)
		if n := testing.AllocsPerRun(10, func() { verifier.judge(dots, now) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	t.Run("ECDSA r, n-s is the same token", func(t *testing.T) {
		text := mint(t, "ES256", `{"alg":"ES256"}`, `{`+soon+`,"jti":"a"}`)
		cut := strings.LastIndexByte(text, '.') + 1
		signature, _ := base64url.DecodeString(text[cut:])
		s := new(big.Int).SetBytes(signature[32:])
		s.Sub(ecdsaSigner().Params().N, s).FillBytes(signature[32:])
		twin := text[:cut] + base64url.EncodeToString(signature)
		first, err := verifierOf(t, "ES256").judge(text, now)
		wantErr(t, err, nil)
		second, err := verifierOf(t, "ES256").judge(twin, now)
		wantErr(t, err, nil)
		a, _ := first.Claims.Nonce("jti")
		b, _ := second.Claims.Nonce("jti")
		if twin == text || first.Fingerprint != second.Fingerprint || a != b || first.Key.Fingerprint() != second.Key.Fingerprint() {
			t.Error("the twins can be told apart")
		}
	})
	for _, length := range []int{16, 64} {
		t.Run("PSS salt of the wrong length", func(t *testing.T) {
			signed := encode(`{"alg":"PS256"}`) + "." + encode(`{`+soon+`}`)
			hasher := crypto.SHA256.New()
			hasher.Write([]byte(signed))
			signature, err := rsa.SignPSS(rand.Reader, rsaSigner(), crypto.SHA256, hasher.Sum(nil), &rsa.PSSOptions{SaltLength: length})
			wantErr(t, err, nil)
			_, err = verifierOf(t, "PS256").judge(signed+"."+base64url.EncodeToString(signature), now)
			wantErr(t, err, ErrSignature)
		})
	}
	for name, key := range map[string]any{
		"HMAC key empty": []byte{},
		"RSA 1024":       &rsa.PublicKey{N: modulus(1024), E: 65537},
		"RSA exponent 1": &rsa.PublicKey{N: modulus(2048), E: 1},
		"RSA ROCA":       &rsa.PublicKey{N: rocaModulus(), E: 65537},
	} {
		t.Run(name, func(t *testing.T) {
			alg := "RS256"
			if _, ok := key.([]byte); ok {
				alg = "HS256"
			}
			if _, err := NewKey(alg, key); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func hmacOf(t testing.TB, signed string) string {
	t.Helper()
	signature, err := algorithmByName["HS256"].method.Sign(signed, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return base64url.EncodeToString(signature)
}
