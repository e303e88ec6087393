package nonce

import (
	"context"
	"errors"
	"math"
	"time"
)

// Why a token is not honoured. Test with [errors.Is].
var (
	// ErrReplayed: the token has been honoured as often as it may be.
	ErrReplayed = errors.New("nonce: already used")
	// ErrInUse: every use that is left is reserved by a request that has not
	// sent its first byte, or every connection of the grant is taken, and that
	// did not change in the time that the caller would wait. It may be worth
	// trying again in a second.
	ErrInUse = errors.New("nonce: in use by another request")
	// ErrBudget: the token has been used, and the grant that it opened has sent
	// as many bytes, or served as many requests, as it may.
	ErrBudget = errors.New("nonce: the budget of the grant is used up")
	// ErrUnproven: the store cannot show that the token is unused, so it does
	// not guess. The package comment lists the rules.
	ErrUnproven = errors.New("nonce: not provably unused")
	// ErrUnavailable: the store could not answer or could not write. The
	// request must be refused; a later one may succeed.
	ErrUnavailable = errors.New("nonce: store unavailable")
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
}

// Query is what a request asks a store.
type Query struct {
	Presentation
	// Grants are what an open grant of this token would be found by: the first
	// one that is open is joined, and a grant that this use of the token opens
	// has one of them. Default: none.
	Grants []GrantKey
	// Patience is how long to wait for others: for a use that somebody has
	// reserved, for a grant that somebody is about to open, for a connection of
	// a grant. Default: not at all.
	Patience time.Duration
}

// Stats is what a store holds at one moment, and what it gave up since it was
// opened.
type Stats struct {
	Entries        int       // remembered tokens that have not expired
	Reserved       int       // reservations neither committed nor released
	Capacity       int       // how many entries fit
	EvictedLive    uint64    // entries forgotten early, for want of room
	EvictedExpired uint64    // entries forgotten after they had expired
	Floor          time.Time // the largest floor of any signer; zero if none
}

// Store remembers which one-time tokens were honoured. All methods may be
// called by any number of goroutines. Package noncetest is the contract as a
// test, and every store must pass it.
//
// now is the caller's clock. It may jump in either direction between two
// calls: it decides only when an entry may be forgotten, never whether a token
// is unused.
type Store interface {
	// Admit joins an open grant, or else takes one use of the token; it is one
	// decision, and whoever comes while a grant is being opened waits for it.
	// Otherwise it says why not: [ErrReplayed], [ErrBudget], [ErrInUse],
	// [ErrUnproven] or [ErrUnavailable]. The caller must Release what it got,
	// and must look at the time again: Admit may have waited.
	Admit(ctx context.Context, q Query, clock func() time.Time) (Use, error)

	// Look answers what Admit would, and changes nothing; that is for HEAD, and
	// for asking a person first. joins: a grant is open. It does not write, so
	// it cannot foresee a write that fails.
	Look(ctx context.Context, q Query, clock func() time.Time) (joins bool, err error)

	// Stats describes the store at now.
	Stats(now time.Time) Stats
}

// Use is a use of a token that was admitted. It may be handed from one
// goroutine to another, but not be used by two at once.
type Use interface {
	// Grant is the open grant that was joined, or that Commit has opened; nil if
	// there is none.
	Grant() *Grant

	// Commit spends what was reserved, durably where the store is durable, and
	// with terms opens a grant in the same step. It must return before the first
	// byte of the answer goes out; on any error no byte may. The grant is nil if
	// there is no room for one. What was spent without terms can be committed
	// once more with terms, which opens the grant. Everything else is
	// [ErrUnproven]: to commit twice, after Release, or what was joined.
	Commit(ctx context.Context, t *Terms) (*Grant, error)

	// Release gives back what was not committed, leaves the grant, and lets
	// those go on who wait for a grant to be opened. It never fails, and does
	// nothing the second time.
	Release()
}

// showing is a Presentation in the form in which it is judged.
type showing struct {
	key             Key
	signer          Signer
	issued, expires stamp
	keep            stamp // the entry may not be forgotten until after this
	maxTTL          time.Duration
	uses            uint32
	policy          string
}

func (p *Presentation) showing() showing {
	expires := stampOf(p.Expires)
	return showing{
		key:     p.Key,
		signer:  p.Signer,
		issued:  stampOf(p.Issued),
		expires: expires,
		keep:    expires.plus(p.Leeway),
		maxTTL:  p.MaxTTL,
		uses:    uint32(min(max(p.Uses, 1), math.MaxInt32)),
		policy:  p.Policy,
	}
}
