package token

import (
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"
)

// TestRulesAgainstGolangJWT: times and audience are judged as golang-jwt judges
// them.
func TestRulesAgainstGolangJWT(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(label string) time.Time {
			return now.Add(time.Duration(rapid.IntRange(-4, 4).Draw(t, label)) * 500 * time.Millisecond)
		}
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3)
		c := Claims{ExpiresAt: at("exp")}
		if rapid.Bool().Draw(t, "has nbf") {
			c.NotBefore = at("nbf")
		}
		c.Audience = names.Draw(t, "aud")
		r := Rules{
			Audiences: names.Filter(func(n []string) bool { return len(n) > 0 }).Draw(t, "audiences"),
			Leeway:    time.Duration(rapid.IntRange(0, 3).Draw(t, "leeway")) * 500 * time.Millisecond,
		}
		got := r.Accept(&Token{Claims: c}, now)
		want := jwt.NewValidator(jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithLeeway(r.Leeway),
			jwt.WithExpirationRequired(), jwt.WithAudience(r.Audiences...)).Validate((*validated)(&c))
		for _, pair := range []struct{ ours, theirs error }{
			{ErrExpired, jwt.ErrTokenExpired}, {ErrNotYetValid, jwt.ErrTokenNotValidYet}, {ErrAudience, jwt.ErrTokenInvalidAudience},
		} {
			if errors.Is(want, pair.theirs) || errors.Is(want, jwt.ErrTokenRequiredClaimMissing) && pair.ours == ErrAudience {
				if !errors.Is(got, pair.ours) {
					t.Fatalf("%v, golang-jwt says %v", got, want)
				}
				return // the first of several reasons
			}
		}
		if got != nil || want != nil {
			t.Fatalf("%v, golang-jwt says %v", got, want)
		}
	})
}

// validated shows Claims to golang-jwt's validator.
type validated Claims

func (v *validated) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(v.ExpiresAt) }
func (v *validated) GetNotBefore() (*jwt.NumericDate, error)      { return numericDate(v.NotBefore) }
func (v *validated) GetIssuedAt() (*jwt.NumericDate, error)       { return numericDate(v.IssuedAt) }
func (v *validated) GetAudience() (jwt.ClaimStrings, error)       { return v.Audience, nil }
func (v *validated) GetIssuer() (string, error)                   { return v.Issuer, nil }
func (v *validated) GetSubject() (string, error)                  { return v.Subject, nil }

// numericDate keeps the microseconds, which jwt.NewNumericDate would cut off.
func numericDate(t time.Time) (*jwt.NumericDate, error) {
	if t.IsZero() {
		return nil, nil
	}
	return &jwt.NumericDate{Time: t}, nil
}
