package rules

import (
	"math"
	"time"
)

// Presentation is one showing of a verified one-time token. It holds claims of
// a token whose signature and times have been checked; see the package comment
// for what the caller must have checked.
type Presentation struct {
	// Key is what the token is remembered by; see [NewKey].
	Key Key
	// Signer is the key that verified the token, the same as in Key.
	Signer Signer
	// Expires is the exp claim. Required: without it nothing is honoured.
	Expires time.Time
	// Issued is the iat claim; zero if the token has none.
	Issued time.Time
	// Leeway is how long after Expires the verifier still accepts the token.
	// The entry is kept for as long. Default 0.
	Leeway time.Duration
	// MaxTTL bounds how far ahead of the clock Expires can have been when the
	// token was first accepted. It is asked for only where the token has no
	// Issued and no mark is known for its signer; 0 then means [ErrUnproven].
	// Where several directives accept the same signer it must be the largest
	// of theirs.
	MaxTTL time.Duration
	// Uses is how often the token may be honoured; less than 1 means 1. It
	// may change from one showing to the next: the present value counts.
	Uses int
	// Policy identifies how Key is built from a token (once per token or per
	// path, which claims hold the nonce). When it changes, what was spent
	// under the old keys cannot be found under the new ones, so the store
	// stops vouching for every token that could be among them.
	Policy string
	// Moved is since when this store is the one that is asked about tokens of the
	// signer, if another one was before: what that one honoured, this one cannot
	// know. Zero: there was none before.
	Moved time.Time
}

// Showing is a Presentation in the form in which it is judged.
type Showing struct {
	Key             Key
	Signer          Signer
	Issued, Expires Stamp
	Keep            Stamp // the entry may not be forgotten until after this
	MaxTTL          time.Duration
	Uses            uint32
	Policy          string
	Moved           Stamp
}

// Showing prepares p for being judged.
func (p *Presentation) Showing() Showing {
	expires := StampOf(p.Expires)
	return Showing{
		Key:     p.Key,
		Signer:  p.Signer,
		Issued:  StampOf(p.Issued),
		Expires: expires,
		Keep:    expires.Plus(p.Leeway),
		MaxTTL:  p.MaxTTL,
		Uses:    uint32(min(max(p.Uses, 1), math.MaxInt32)),
		Policy:  p.Policy,
		Moved:   StampOf(p.Moved),
	}
}
