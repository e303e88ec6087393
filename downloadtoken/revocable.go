package downloadtoken

import (
	"slices"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// nonceClaims are the claims by whose value a token can be revoked, besides
// those that are configured.
var nonceClaims = []string{"jti", "nonce"}

// revocable is what the store is asked about, for every token.
func (h *Handler) revocable(v *visit) rules.Revocable {
	claims := &v.token.Claims
	t := rules.Revocable{
		Fingerprint: v.fingerprint.String(),
		KeyID:       v.token.KeyID,
		Issuer:      claims.Issuer,
		Issued:      claims.IssuedAt,
	}
	names := nonceClaims
	if h.oneTime != nil {
		names = slices.Concat(nonceClaims, h.oneTime.claims)
	}
	for _, name := range names {
		if value, ok := claims.String(name); ok {
			t.Nonces = append(t.Nonces, value)
		}
	}
	for _, name := range []string{"sub", "user"} {
		if value, ok := claims.String(name); ok {
			t.Subjects = append(t.Subjects, value)
		}
	}
	return t
}
