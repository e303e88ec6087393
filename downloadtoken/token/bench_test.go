package token

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// benchAlgs are the ones that the Verify and golang-jwt benchmarks compare.
var benchAlgs = []string{"HS256", "RS256", "ES256", "EdDSA"}

const benchPayload = `{"iss":"https://app.example","sub":"user-1","jti":"0b8f6c1e-6c2c-4f5e-9f2a-2d6c1d0e7f3a","scope":"dataset:42","typ":"download","iat":1800000000,` + soon + `}`

// benchTokens are different tokens, so that nothing can be remembered.
func benchTokens(b *testing.B, alg string) []string {
	b.Helper()
	texts := make([]string, 64)
	for i := range texts {
		payload := fmt.Sprintf(`{"n":%d,%s`, i, benchPayload[1:])
		texts[i] = mint(b, alg, `{"alg":"`+alg+`","typ":"JWT"}`, payload)
	}
	return texts
}

func BenchmarkFind(b *testing.B) {
	text := mint(b, "HS256", `{"alg":"HS256","typ":"JWT"}`, benchPayload)
	r := request("a=1&tok="+text, "Cookie: a=1; tok="+text, "Authorization: Bearer "+text)
	for _, source := range []Source{queryTok, bearerTok, cookieTok} {
		b.Run(string(source.Kind), func(b *testing.B) {
			b.ReportAllocs()
			sources := []Source{source}
			for b.Loop() {
				if _, _, err := Find(r, sources); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStrip(b *testing.B) {
	text := mint(b, "HS256", `{"alg":"HS256","typ":"JWT"}`, benchPayload)
	for name, query := range map[string]string{
		"alone": "tok=" + text, "first": "tok=" + text + "&a=1", "last": "a=1&tok=" + text, "between": "a=1&tok=" + text + "&b=2",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := request("")
			uri := "/file.zip?" + query
			for b.Loop() {
				r.URL.RawQuery, r.RequestURI = query, uri
				Strip(r, allSources)
			}
		})
	}
}

// BenchmarkRefused is what a request costs that brings no token, or none that passes
// the screen.
func BenchmarkRefused(b *testing.B) {
	text := mint(b, "HS256", `{"alg":"HS256","typ":"JWT"}`, benchPayload)
	verifier := verifierOf(b, "HS256")
	for name, query := range map[string]string{
		"missing": "a=1&b=2", "undecodable": "tok=%zz", "no token": "tok=password", "two parts": "tok=" + text[:strings.LastIndexByte(text, '.')],
		"line break": "tok=" + text + "%0A", "no header": "tok=AAAA." + text,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := request(query)
			for b.Loop() {
				found, _, err := Find(r, allSources)
				if err == nil {
					_, err = verifier.Verify(b.Context(), found)
				}
				if err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

func BenchmarkScreen(b *testing.B) {
	text := mint(b, "HS256", `{"alg":"HS256","typ":"JWT"}`, benchPayload)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := screen(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	encoded := encode(`{"alg":"HS256","typ":"JWT","kid":"2026-11"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseHeader(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignature(b *testing.B) {
	for _, a := range algorithms {
		b.Run(a.name, func(b *testing.B) {
			key := makeKey(b, a.name)
			parts, err := screen(mint(b, a.name, `{"alg":"`+a.name+`"}`, benchPayload))
			if err != nil {
				b.Fatal(err)
			}
			keys := []*Key{&key}
			s := takeScratch()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.verifySignature(parts, keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkClaims(b *testing.B) {
	encoded := encode(benchPayload)
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parseClaims(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("rules", func(b *testing.B) {
		claims, err := parseClaims(encoded)
		if err != nil {
			b.Fatal(err)
		}
		rules := benchRules()
		b.ReportAllocs()
		for b.Loop() {
			if err := rules.Accept(&Token{Typ: "JWT", Claims: claims}, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchRules() Rules {
	return Rules{
		Issuers: []string{"https://app.example"}, MaxTTL: 2 * time.Minute, OneTime: true,
		Require: []Requirement{{"typ", []string{"download"}}},
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range benchAlgs {
		b.Run(alg, func(b *testing.B) {
			texts := benchTokens(b, alg)
			verifier := verifierOf(b, alg)
			verifier.Rules = benchRules()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := verifier.judge(texts[i%len(texts)], now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("forged", func(b *testing.B) {
		text := mintWith(b, "HS256", []byte(otherSecret), `{"alg":"HS256"}`, benchPayload)
		verifier := verifierOf(b, "HS256")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := verifier.judge(text, now); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

// BenchmarkPlainGolangJWT is what the same tokens cost without the strictness.
func BenchmarkPlainGolangJWT(b *testing.B) {
	for _, alg := range benchAlgs {
		b.Run(alg, func(b *testing.B) {
			texts := benchTokens(b, alg)
			key := public(signers()[alg])
			parser := jwt.NewParser(jwt.WithValidMethods([]string{alg}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
				jwt.WithStrictDecoding(), jwt.WithIssuer("https://app.example"), jwt.WithTimeFunc(func() time.Time { return now }))
			keyFunc := func(*jwt.Token) (any, error) { return key, nil }
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := parser.ParseWithClaims(texts[i%len(texts)], &jwt.RegisteredClaims{}, keyFunc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
