package token_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/golang-jwt/jwt/v5"
)

// An application mints a token for one file and two minutes, and puts it into a
// link. The server that has the file does the rest.
func Example() {
	const secret = "f5b7d5a4a2f0a9f43f0c9d7b4b8c1c0e"
	now := time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"scope": "dataset:42", "jti": "7c1f", "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		panic(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/datasets/42/map.tif?token="+text+"&view=full", nil)

	// Once, when the configuration is loaded:
	key, warnings, err := token.ParseKey("HS256", secret)
	if err != nil {
		panic(err)
	}
	table, err := token.NewTable(key)
	if err != nil {
		panic(err)
	}
	verifier := token.Verifier{Keys: table}
	rules := token.Rules{MaxTTL: 2 * time.Minute, OneTime: true}
	sources := []token.Source{{Kind: token.Query, Name: "token"}}

	// For each request:
	found, _, err := token.Find(request, sources)
	if err != nil {
		panic(err)
	}
	verified, err := verifier.Verify(request.Context(), found) // genuine,
	if err == nil {
		err = rules.Accept(verified, now) // and good now
	}
	if err != nil {
		panic(err)
	}
	scope, _ := verified.Claims.String("scope")
	nonce, _ := verified.Claims.Nonce("jti", "nonce")
	token.Strip(request, sources)

	fmt.Println(len(warnings), "warnings")
	fmt.Println(scope, nonce, verified.Claims.ExpiresAt.Format(time.TimeOnly))
	fmt.Println(request.URL)

	fmt.Println(rules.Accept(verified, now.Add(2*time.Minute)))
	// Output:
	// 0 warnings
	// dataset:42 7c1f 08:02:00
	// /datasets/42/map.tif?view=full
	// token is expired
}

func ExampleFind() {
	sources := []token.Source{{Kind: token.Query, Name: "token"}, {Kind: token.Header, Name: "Authorization"}}
	for _, target := range []string{"/file", "/file?token=a.b.c", "/file?token=a.b.c&tok%65n=d.e.f", "/file?token="} {
		request := httptest.NewRequest(http.MethodGet, target, nil)
		text, from, err := token.Find(request, sources)
		fmt.Printf("%q %q %v\n", text, from.Kind, err)
	}
	// Output:
	// "" "" token is missing
	// "a.b.c" "query" <nil>
	// "" "query" token is given more than once
	// "" "query" token is malformed: its value is empty or cannot be decoded
}

func ExampleParseKey() {
	_, _, err := token.ParseKey("HS256", "hunter2")
	fmt.Println(err)

	_, warnings, _ := token.ParseKey("HS512", "f5b7d5a4a2f0a9f43f0c9d7b4b8c1c0e")
	fmt.Println(warnings[0])
	// Output:
	// secret has only 7 bytes and can be guessed: write at least 32 random ones, as from: openssl rand -hex 32
	// secret has 32 bytes; HS512 should have at least 64 (RFC 7518 3.2)
}

func ExampleStripQuery() {
	fmt.Println(token.StripQuery("a=%31&tok%65n=a.b.c&b=+2", []string{"token"}))
	// Output: a=%31&b=+2
}

func ExampleVerifier_Verify() {
	verifier := token.Verifier{Keys: &token.Table{}}
	_, err := verifier.Verify(context.Background(), "eyJhbGciOiJub25lIn0.e30.x")
	fmt.Println(errors.Is(err, token.ErrAlgorithm), err)
	// Output: true token algorithm is not accepted: no key can have the alg of the header
}
