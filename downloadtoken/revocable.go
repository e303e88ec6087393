package downloadtoken

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// nonceClaims are the claims by whose value a token can be revoked, besides
// those that are configured.
var nonceClaims = []string{"jti", "nonce"}

// revocable is what the store is asked about, for every token.
func (v *visit) revocable() rules.Revocable {
	claims := &v.token.Claims
	t := rules.Revocable{
		Fingerprint: v.fingerprint.String(),
		KeyID:       v.token.KeyID,
		Issuer:      claims.Issuer,
		Issued:      claims.IssuedAt,
	}
	names := nonceClaims
	if v.h.oneTime != nil {
		names = slices.Concat(nonceClaims, v.h.oneTime.claims)
	}
	for _, name := range names {
		if value, ok := textOf(claims, name); ok {
			t.Nonces = append(t.Nonces, value)
		}
	}
	for _, name := range []string{"sub", "user"} {
		value, ok := textOf(claims, name)
		if name == "sub" && v.uri != nil { // it is encrypted, in another way each time
			value = v.uri.claims.Subject
		}
		if ok {
			t.Subjects = append(t.Subjects, value)
		}
	}
	return t
}

// textOf is what an operator writes to name the value of a claim: of a number its
// JSON text, as for require, because users and links often have numbers.
func textOf(claims *token.Claims, name string) (string, bool) {
	if value, ok := claims.Raw(name); ok && value.Kind() == jsontext.KindNumber {
		return string(value), true
	}
	return claims.String(name)
}
