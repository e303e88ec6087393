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
	// sent its first byte. It may be worth trying again in a second.
	ErrInUse = errors.New("nonce: in use by another request")
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

// Reservation is a use of a token that was reserved and is not yet committed
// or released. It is a plain value; the zero value reserves nothing.
type Reservation struct {
	store  uint64
	number uint64
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
	// Reserve takes one use of a token, atomically, or says why not:
	// [ErrReplayed], [ErrInUse], [ErrUnproven] or [ErrUnavailable]. The
	// caller must commit or release what it got.
	Reserve(ctx context.Context, p Presentation, now time.Time) (Reservation, error)

	// Look answers what Reserve would, and changes nothing; that is for HEAD.
	// It does not write, so it cannot foresee a write that fails.
	Look(ctx context.Context, p Presentation, now time.Time) error

	// Commit spends what was reserved, durably where the store is durable.
	// It must return before the first byte of the answer goes out; on any
	// error no byte may. Each reservation commits once: one that was already
	// committed or released, or is the zero value, is [ErrUnproven].
	Commit(ctx context.Context, r Reservation) error

	// Release gives back what was reserved and not committed. It never fails,
	// and does nothing after Commit, a second time, or for the zero value.
	Release(r Reservation)

	// Stats describes the store at now.
	Stats(now time.Time) Stats
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
