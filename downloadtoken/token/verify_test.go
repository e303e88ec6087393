package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			key := named(makeKey(t, a.name), "k", "")
			verifier := judgeBy(makeTable(t, key))
			text := mint(t, a.name, `{"typ":"dl+jwt","alg":"`+a.name+`","kid":"k"}`, `{`+soon+`,"iss":"i","sub":"s","jti":"n"}`)
			got, err := verifier.judge(text, now)
			if err != nil {
				t.Fatal(err)
			}
			if got.Alg != a.name || got.KeyID != "k" || got.Typ != "dl+jwt" || got.Key.Fingerprint() != key.Fingerprint() ||
				got.Claims.Issuer != "i" || got.Claims.Subject != "s" || got.Claims.ExpiresAt != now.Add(time.Minute) || got.Fingerprint != FingerprintOf(text) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Refused by each step, with a fault for every later one: the order of the steps is
// a security property.
func TestVerifyKeepsTheOrderOfItsSteps(t *testing.T) {
	table := makeTable(t, named(makeSecret(t, "HS256", secret), "k", ""))
	verifier := judgeBy(table)
	forged := func(header, payload string) string {
		return mintWith(t, "HS256", []byte(otherSecret), header, payload)
	}
	const known = `{"alg":"HS256","kid":"k"}`
	tests := []struct {
		name, text string
		err        error
	}{
		{"nothing", "", ErrMalformed},
		{"too large", repeat("=", MaxLength+1), ErrTooLarge},
		{"not a token", "a=.b.c", ErrMalformed},
		{"header is not JSON", forged("alg", "exp"), ErrMalformed},
		{"critical", forged(`{"alg":"none","kid":"x","crit":[]}`, "exp"), ErrCritical},
		{"algorithm, whatever the kid", forged(`{"alg":"none","kid":"x"}`, "exp"), ErrAlgorithm},
		{"algorithm of another key", forged(`{"alg":"HS512","kid":"k"}`, "exp"), ErrAlgorithm},
		{"unknown key", forged(`{"alg":"HS256","kid":"x"}`, "exp"), ErrUnknownKey},
		{"no kid", forged(`{"alg":"HS256"}`, "exp"), ErrUnknownKey},
		{"bad signature, payload is not JSON", forged(known, "exp"), ErrSignature},
		{"bad signature, payload is not base64url", strings.Replace(forged(known, "exp"), ".ZXhw.", ".ZXhwA.", 1), ErrSignature},
		{"bad signature, payload is expired", forged(known, `{"exp":1}`), ErrSignature},
		{"bad signature, payload lacks exp", forged(known, `{}`), ErrSignature},
		{"good signature, payload is not JSON", mint(t, "HS256", known, "exp"), ErrMalformed},
		{"good signature, payload lacks exp", mint(t, "HS256", known, `{}`), ErrClaim},
		{"good signature, payload is expired", mint(t, "HS256", known, `{"exp":1}`), ErrExpired},
		{"good", mint(t, "HS256", known, `{`+soon+`}`), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := verifier.judge(test.text, now)
			wantErr(t, err, test.err)
			if (got == nil) != (err != nil) {
				t.Errorf("token %v with error %v", got, err)
			}
		})
	}
}

func TestVerifyWithoutKeysRefuses(t *testing.T) {
	_, err := new(judge).judge(mintClaims(t, `{`+soon+`}`), now)
	wantErr(t, err, ErrUnknownKey)
}

// RFC 7515 A.1, which other code has made.
func TestVerifyRFC7515(t *testing.T) {
	const (
		text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" +
			".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
			".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
		key = "base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
	)
	verifier := &judge{Verifier{Keys: makeTable(t, makeSecret(t, "HS256", key))}, Rules{Issuers: []string{"joe"}}}
	got, err := verifier.judge(text, time.Unix(1300819379, 0))
	wantErr(t, err, nil)
	if got.Typ != "JWT" || got.Claims.Issuer != "joe" {
		t.Errorf("got %+v", got)
	}
	_, err = verifier.judge(text, time.Unix(1300819380, 0))
	wantErr(t, err, ErrExpired)
}

func TestAlgorithmConfusion(t *testing.T) {
	rsaKey, ecKey := named(makeKey(t, "RS256"), "k", ""), named(makeKey(t, "ES256"), "e", "")
	pemText := []byte(publicPEM(t, rsaSigner().Public()))
	tests := []struct {
		name, alg string
		signer    any
		header    string
		err       error
	}{
		{"public key as HMAC secret", "HS256", pemText, `{"alg":"HS256","kid":"k"}`, ErrAlgorithm},
		{"public key as HMAC secret, no kid", "HS256", pemText, `{"alg":"HS256"}`, ErrUnknownKey},
		{"public key as HMAC secret, alg of the key", "HS256", pemText, `{"alg":"RS256","kid":"k"}`, ErrSignature},
		{"DER as HMAC secret", "HS256", rsaSigner().N.Bytes(), `{"alg":"HS256","kid":"k"}`, ErrAlgorithm},
		{"PSS with a PKCS #1 key", "PS256", rsaSigner(), `{"alg":"PS256","kid":"k"}`, ErrAlgorithm},
		{"PSS signature as PKCS #1", "PS256", rsaSigner(), `{"alg":"RS256","kid":"k"}`, ErrSignature},
		{"other hash", "RS512", rsaSigner(), `{"alg":"RS512","kid":"k"}`, ErrAlgorithm},
		{"other hash under the same name", "RS512", rsaSigner(), `{"alg":"RS256","kid":"k"}`, ErrSignature},
		{"other key's kid", "RS256", rsaSigner(), `{"alg":"RS256","kid":"e"}`, ErrAlgorithm},
		{"none", "HS256", pemText, `{"alg":"none","kid":"k"}`, ErrAlgorithm},
		{"None", "HS256", pemText, `{"alg":"None","kid":"k"}`, ErrAlgorithm},
		{"nOnE", "HS256", pemText, `{"alg":"nOnE","kid":"k"}`, ErrAlgorithm},
		{"own key in the header", "RS256", rsaSigner(), `{"alg":"RS256","jwk":{"kty":"RSA"}}`, ErrUnknownKey},
		{"the right way", "RS256", rsaSigner(), `{"alg":"RS256","kid":"k"}`, nil},
	}
	verifier := judgeBy(makeTable(t, rsaKey, ecKey))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := verifier.judge(mintWith(t, test.alg, test.signer, test.header, `{`+soon+`}`), now)
			wantErr(t, err, test.err)
		})
	}
}

// A source is a caller's code.
type sourceFunc func(kid, alg string) ([]*Key, error)

func (f sourceFunc) Lookup(kid, alg string) ([]*Key, error) { return f(kid, alg) }

func TestVerifyDoesNotBelieveItsKeySource(t *testing.T) {
	hmac, long, rsaKey := makeSecret(t, "HS256", secret), makeSecret(t, "HS512", secret), makeKey(t, "RS256")
	other := makeSecret(t, "HS256", otherSecret)
	changed := rsaKey
	changed.Alg = "HS256"
	text := mintClaims(t, `{`+soon+`}`)
	tests := []struct {
		name string
		keys []*Key
		err  error
	}{
		{"the key", []*Key{&hmac}, nil},
		{"the key last of four", []*Key{&other, &other, &other, &hmac}, nil},
		{"the key fifth", []*Key{&other, &other, &other, &other, &hmac}, ErrSignature},
		{"no keys and no error", nil, ErrSignature},
		{"key of another algorithm", []*Key{&long}, ErrAlgorithm},
		{"key of another family", []*Key{&rsaKey}, ErrAlgorithm},
		{"key that says another algorithm", []*Key{&changed}, ErrAlgorithm},
		{"zero key", []*Key{{Alg: "HS256"}}, ErrAlgorithm},
		{"nil key", []*Key{nil}, ErrAlgorithm},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verifier := judgeBy(sourceFunc(func(string, string) ([]*Key, error) { return test.keys, nil }))
			_, err := verifier.judge(text, now)
			wantErr(t, err, test.err)
		})
	}
}

func TestIssuerBinding(t *testing.T) {
	table := makeTable(t,
		named(makeSecret(t, "HS256", secret), "a", "https://a.example"),
		named(makeSecret(t, "HS256", secret), "b", "https://b.example"),
		named(makeSecret(t, "HS256", otherSecret), "free", ""),
	)
	tests := []struct {
		name, kid, iss string
		err            error
	}{
		{"bound key, its issuer", "a", `"https://a.example"`, nil},
		{"bound key, another's issuer", "a", `"https://b.example"`, ErrIssuer},
		{"bound key, an issuer of nobody", "a", `"https://c.example"`, ErrIssuer},
		{"bound key, empty issuer", "a", `""`, ErrIssuer},
		{"bound key, no issuer", "a", ``, ErrIssuer},
		{"free key, a bound issuer", "free", `"https://a.example"`, ErrIssuer},
		{"free key, an issuer of nobody", "free", `"https://c.example"`, nil},
		{"free key, no issuer", "free", ``, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			signer, payload := []byte(secret), `{`+soon+`}`
			if test.kid == "free" {
				signer = []byte(otherSecret)
			}
			if test.iss != "" {
				payload = `{` + soon + `,"iss":` + test.iss + `}`
			}
			verifier := judgeBy(table)
			_, err := verifier.judge(mintWith(t, "HS256", signer, `{"alg":"HS256","kid":"`+test.kid+`"}`, payload), now)
			wantErr(t, err, test.err)
		})
	}
}

func TestVerifyNeverMovesTheTable(t *testing.T) {
	table := makeTable(t, makeSecret(t, "HS256", secret), makeSecret(t, "HS256", otherSecret))
	before := table.Keys()
	verifier := judgeBy(table)
	for range 3 {
		if _, err := verifier.judge(mintClaims(t, `{`+soon+`}`), now); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(before, table.Keys()) {
		t.Error("the keys have changed")
	}
}

func TestFingerprintOf(t *testing.T) {
	whole := mintClaims(t, `{`+soon+`}`)
	parts := strings.Split(whole, ".")
	signed := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(signed))
	want := Fingerprint(sum[:8])
	for _, text := range []string{whole, signed + ".", signed + ".other", signed} {
		got := FingerprintOf(text)
		if same := text != signed; (got == want) != same {
			t.Errorf("%q has %v", text, got)
		}
	}
	if got := FingerprintOf("eyJhIjoxfQ.b.c").String(); got != "3c589f86ee739511" {
		t.Errorf("String is %q", got)
	}
	// A hash of what a person can remember can be turned back by trial.
	for _, text := range []string{"", "a", ".", "hunter2", "correct.horse.battery", "eyes.on.me", "eyJ.a.b", parts[0], " " + whole, "x=" + whole} {
		if got := FingerprintOf(text); got != (Fingerprint{}) {
			t.Errorf("%q has %v", text, got)
		}
	}
}

// TestEveryTokenHasAFingerprint: what verifies can be named, and is found in logs.
func TestEveryTokenHasAFingerprint(t *testing.T) {
	verifier := verifierOf(t, "HS256")
	for _, header := range []string{
		`{"alg":"HS256"}`, "\t\r\n { \"alg\" : \"HS256\" }", strings.Repeat(" ", 300) + `{"alg":"HS256"}`,
		`{"` + strings.Repeat("n", 300) + `":1,"alg":"HS256"}`, `{"\u0061lg":"HS256"}`, `{"é":1,"alg":"HS256"}`, `{"":1,"alg":"HS256"}`,
	} {
		text := mint(t, "HS256", header, `{`+soon+`}`)
		got, err := verifier.judge(text, now)
		if err != nil {
			t.Errorf("%.20q: %v", header, err)
			continue
		}
		if got.Fingerprint == (Fingerprint{}) || !IsCompact(text) {
			t.Errorf("%.20q: fingerprint %v", header, got.Fingerprint)
		}
		if redacted := Redact("/" + text + "/"); strings.Contains(redacted, text[strings.LastIndexByte(text, '.'):]) {
			t.Errorf("%.20q: %s", header, redacted)
		}
	}
}

func TestIsCompact(t *testing.T) {
	whole := mintClaims(t, `{`+soon+`}`)
	for text, want := range map[string]bool{
		whole: true, "": false, "a.b.c": false, " " + whole: false, whole + "\n": false, whole + "=": false, "https://f.example/?t=" + whole: false,
		"http://localhost/a?t=" + whole: false, whole + "&x=1": false, whole[:strings.LastIndexByte(whole, '.')]: false, whole[:strings.LastIndexByte(whole, '.')+1]: false,
		whole + ".x": false, whole[1:]: false, "Bearer " + whole: false,
	} {
		if got := IsCompact(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestTokensKeepNothingOfEachOther: what one Verify returns stays as it is, whatever is
// verified afterwards and meanwhile.
func TestTokensKeepNothingOfEachOther(t *testing.T) {
	v := verifierOf(t, "HS256")
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			var kept []*Token
			payload := func(i int) string {
				return fmt.Sprintf(`{%s,"iss":"i%d-%d","\u0073ub":"s\u0020%[2]d-%[3]d","aud":["a%[2]d-%[3]d"],"x%[3]d":{"y":[%[2]d,%[3]d]}%[4]s}`, soon, worker, i, repeat(`,"`+fmt.Sprint(i)+`":1`, i%2))
			}
			for i := range 200 {
				header := fmt.Sprintf(`{"alg":"HS256","typ":"t%d"}`, i%20)
				got, err := v.Verify(t.Context(), mint(t, "HS256", header, payload(i)))
				if err != nil {
					t.Error(err)
					return
				}
				kept = append(kept, got)
			}
			for i, got := range kept {
				c := &got.Claims
				sub, _ := c.String("sub")
				raw, _ := c.Raw(fmt.Sprintf("x%d", i))
				seen := fmt.Sprintf("%s %s %s %s %s %s", got.Typ, c.Issuer, c.Subject, sub, c.Audience, raw)
				if want := fmt.Sprintf("t%d i%d-%d s %[2]d-%[3]d s %[2]d-%[3]d [a%[2]d-%[3]d] {\"y\":[%[2]d,%[3]d]}", i%20, worker, i); seen != want {
					t.Errorf("%s, want %s", seen, want)
				}
			}
		})
	}
	group.Wait()
}

// TestAllocations holds how many allocations a token costs. What is used again may be
// lost at any time, so the least counts.
func TestAllocations(t *testing.T) {
	const iss = `,"iss":"https://app.example","sub":"user-1","jti":"a","scope":"dataset:42","typ":"download","iat":1800000000}`
	rules := benchRules()
	for _, test := range []struct {
		name, text string
		most       float64
		err        error
	}{
		{"genuine", mintClaims(t, `{`+soon+iss), 2, nil},
		{"forged", mintWith(t, "HS256", []byte(otherSecret), `{"alg":"HS256"}`, `{`+soon+iss), 1, ErrSignature},
		{"malformed", "a.b", 0, ErrMalformed},
	} {
		v := verifierOf(t, "HS256")
		least := math.Inf(1)
		for range 50 {
			least = min(least, testing.AllocsPerRun(1, func() {
				got, err := v.Verify(context.Background(), test.text)
				if err == nil {
					err = rules.Accept(got, now)
				}
				if !errors.Is(err, test.err) {
					t.Errorf("%s: %v", test.name, err)
				}
				FingerprintOf(test.text)
			}))
		}
		if least > test.most {
			t.Errorf("%s: %v allocations, at most %v", test.name, least, test.most)
		}
	}
}
