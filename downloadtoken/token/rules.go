package token

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Rules are what a genuine token must fulfil. The zero value asks for exp in the
// future, nbf not in it, and no aud.
type Rules struct {
	// Issuers are the accepted iss. Default: any, and none.
	Issuers []string

	// Audiences are the names of this site; aud must hold one of them. Default: none,
	// and then a token that has an aud is refused (RFC 7519 4.1.3).
	Audiences []string

	// HeaderTyps are the accepted typ of the header, compared without regard to case,
	// with or without "application/" (RFC 8725 3.11). Default: any, and none. Set it
	// if the same key signs tokens for other uses.
	HeaderTyps []string

	// Require lists claims, each of which must hold.
	Require []Requirement

	// MaxTTL is the longest life of a token: from iat to exp, and without iat from now
	// to exp. Default, and zero: no limit. From now to exp, a token with iat may not
	// live longer than MaxTTL and Leeway either, or an iat in the future would stretch it.
	// A life longer by less than [MaxTTLSlack] is accepted.
	MaxTTL time.Duration

	// Leeway is what the signer's clock may differ from this one, for exp and nbf.
	// Default: none. A store must remember a used token until exp and Leeway.
	Leeway time.Duration

	// OneTime refuses an iat in the future ([ErrNotYetValid]), without any Leeway: a
	// store that has lost its memory tells new tokens from used ones by comparing iat
	// with its start. Default: iat is not compared with now, because clocks differ by
	// parts of a second.
	OneTime bool
}

// MaxTTLSlack is what the life of a token exceeds [Rules.MaxTTL] by less than. Many
// signers write whole seconds, and that one of two times was rounded, iat down or exp
// up, must not be the reason for a refusal. A caller that relies on how far ahead exp
// can be, such as a store that has lost its memory, must add it.
const MaxTTLSlack = time.Second

// Requirement asks for a claim to be present, and if there are Values, to equal one
// of them. A string is compared as it is, a number or boolean as its JSON text (1.0
// is not 1); of an array one element must be equal. null is not present.
type Requirement struct {
	Claim  string
	Values []string
}

// Accept decides whether a genuine token is acceptable at now. The error is one of
// the sentinels from [ErrExpired] on, or [ErrClaim] for what [Rules.Require] asks
// for, in the order below.
func (r *Rules) Accept(t *Token, now time.Time) error {
	c := &t.Claims
	switch {
	case !now.Before(c.ExpiresAt.Add(r.Leeway)):
		return ErrExpired
	case now.Before(c.NotBefore.Add(-r.Leeway)):
		return &early{errNbf, r.validFrom(c)}
	case r.OneTime && c.IssuedAt.After(now):
		return &early{errIat, r.validFrom(c)}
	case t.foreign:
		return errForeign
	case len(r.Issuers) > 0 && (c.Issuer == "" || !slices.Contains(r.Issuers, c.Issuer)):
		return ErrIssuer
	case len(r.Audiences) == 0 && c.Has("aud"):
		return errAud
	case len(r.Audiences) > 0 && !slices.ContainsFunc(c.Audience, func(aud string) bool { return slices.Contains(r.Audiences, aud) }):
		return ErrAudience
	case len(r.HeaderTyps) > 0 && !slices.ContainsFunc(r.HeaderTyps, func(typ string) bool { return sameTyp(typ, t.Typ) }):
		return ErrHeaderTyp
	}
	if err := r.checkLife(c, now); err != nil {
		return err
	}
	for _, requirement := range r.Require {
		if value, ok := c.members.find(requirement.Claim); !ok || value == "null" {
			return &refusal{ErrClaim, requirement.Claim + " is missing"}
		} else if !requirement.admits(value) {
			return &refusal{ErrClaim, requirement.Claim + " has another value than required"}
		}
	}
	return nil
}

// early is [ErrNotYetValid] with the time from which it is not returned any more.
type early struct {
	*refusal
	until time.Time
}

// ValidFrom tells from when on a token that was refused with [ErrNotYetValid] is not
// refused for that reason. Not ok: err is another error.
func ValidFrom(err error) (at time.Time, ok bool) {
	e, ok := errors.AsType[*early](err)
	if !ok {
		return time.Time{}, false
	}
	return e.until, true
}

func (r *Rules) validFrom(c *Claims) time.Time {
	from := c.NotBefore
	if !from.IsZero() {
		from = from.Add(-r.Leeway)
	}
	if r.OneTime && c.IssuedAt.After(from) {
		from = c.IssuedAt
	}
	return from
}

// checkLife compares how long the token lives with MaxTTL.
func (r *Rules) checkLife(c *Claims, now time.Time) error {
	if r.MaxTTL <= 0 {
		return nil
	}
	ahead := r.MaxTTL
	if !c.IssuedAt.IsZero() {
		if c.ExpiresAt.Sub(c.IssuedAt) >= r.MaxTTL+MaxTTLSlack {
			return errLife
		}
		ahead += r.Leeway
	}
	if c.ExpiresAt.Sub(now) >= ahead+MaxTTLSlack {
		return errAhead
	}
	return nil
}

func sameTyp(want, got string) bool {
	return got != "" && strings.EqualFold(subtype(want), subtype(got))
}

// subtype takes off the prefix that RFC 7515 4.1.9 recommends to leave out.
func subtype(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		return typ[len(prefix):]
	}
	return typ
}

func (q *Requirement) admits(value string) bool {
	if len(q.Values) == 0 {
		return true
	}
	if isArray(value) {
		return slices.ContainsFunc(elements(value), q.equals)
	}
	return q.equals(value)
}

func (q *Requirement) equals(value string) bool {
	if text, ok := unquote(value); ok {
		return slices.Contains(q.Values, text)
	}
	return (isNumber(value) || value == "true" || value == "false") && slices.Contains(q.Values, value)
}
