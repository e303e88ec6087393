package sign_test

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

func Example() {
	signer, _, err := sign.Parse("HS256", "2027", "a secret of more than thirty-two bytes")
	if err != nil {
		panic(err)
	}
	var claims sign.Claims
	claims.Set("scope", jsontext.Value(`"dataset:42"`))
	_, expires := claims.Stamp(time.Unix(1_800_000_000, 5e8), 10*time.Minute, time.Millisecond)
	text, err := signer.Sign("JWT", &claims)
	if err != nil {
		panic(err)
	}
	header, payload, err := token.Decode(text)
	fmt.Println(header["kid"], payload["scope"], payload["iat"], expires.UTC(), err)
	// Output: "2027" "dataset:42" 1800000000.500 2027-01-15 08:10:00 +0000 UTC <nil>
}
