package store

import (
	"context"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Query is what a request asks about a one-time token.
type Query struct {
	rules.Presentation
	// Fingerprint is what the log and operators call the token. Default: none.
	Fingerprint token.Fingerprint
	// Revocable tells what the token may have been taken back by. A store in which
	// nothing is revoked need not ask, so that it costs nothing there. It may be
	// called more than once and while a lock is held, but not after the method to
	// which the query was handed has returned. Default: nothing.
	Revocable func() rules.Revocable
	// Grants are what an open grant of this token would be found by: the first
	// one that is open is joined, and a grant that this use of the token opens
	// has one of them. Default: none.
	Grants []rules.GrantKey
	// Patience is how long to wait for others: for a use that another request
	// has reserved, for a grant that one is about to open, for a connection of
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
	// Epoch is from when on a server that is asked over a network has all that was
	// spent: what was issued before is unproven. Zero: there is no such server.
	Epoch time.Time
	// ClockAhead is how far the clock of that server is ahead of this one.
	ClockAhead time.Duration
}

// Store remembers which one-time tokens were honoured, and which tokens were taken
// back. All methods may be called by any number of goroutines. Every answer can
// be [rules.ErrUnavailable]: a store that cannot tell refuses. Package storetest is
// the contract as a test, and every store must pass it.
//
// now, and what clock returns, is the caller's clock. It may jump in either
// direction between two calls: it decides when an entry may be forgotten and when
// a window has ended, never whether a token is unused.
type Store interface {
	// Admit joins an open grant, or else takes one use of the token; it is one
	// decision, and a request that comes while a grant is being opened waits for
	// it. Otherwise it says why not: [rules.ErrRevoked], [rules.ErrReplayed],
	// [rules.ErrBudget], [rules.ErrInUse], [rules.ErrUnproven] or
	// [rules.ErrUnavailable]. The caller must Release what it got, and must look
	// at the time again: Admit may have waited.
	Admit(ctx context.Context, q Query, clock func() time.Time) (Use, error)

	// Look answers what Admit would, and changes nothing; that is for HEAD, for
	// asking a person first, and for operators. open is the grant that would be
	// joined; nil: none. It does not write, so it cannot foresee a write that fails.
	Look(ctx context.Context, q Query, clock func() time.Time) (open *Open, err error)

	// Revoked is [rules.ErrRevoked] if the token was taken back. It is for tokens
	// that may be used any number of times; Admit and Look ask by themselves. t is
	// called as [Query.Revocable] is.
	Revoked(ctx context.Context, t func() rules.Revocable, now time.Time) error

	// Revoke takes tokens back. When it returns nil, that is durable, and in force
	// for every question that is asked from then on and for those that wait; what was
	// admitted before goes on. On ErrUnavailable it may be in force or not.
	Revoke(ctx context.Context, r rules.Revocation, now time.Time) error

	// Reinstate takes a revocation back: the one that names the same of the same
	// issuer, whenever it would have ended. When it returns nil, that is durable, and
	// in force as above. It gives no use of a token back. [rules.ErrNotRevoked]: there
	// is no such revocation.
	Reinstate(ctx context.Context, r rules.Revocation, now time.Time) error

	// Revocations are those in force, the newest first.
	Revocations(ctx context.Context, now time.Time) ([]rules.Revocation, error)

	// Stats describes the store at now.
	Stats(ctx context.Context, now time.Time) (Stats, error)
}

// Open describes an open grant.
type Open struct {
	Left int64     // bytes that may still be sent, as far as is known here
	Ends time.Time // the end of its window
}

// Use is a use of a token that was admitted. It may be handed from one
// goroutine to another, but not be used by two at once.
type Use interface {
	// Grant is the open grant that was joined, or that Commit has opened; nil if
	// there is none.
	Grant() Grant

	// Commit spends what was reserved, durably where the store is durable, and
	// with terms opens a grant in the same step. It must return before the first
	// byte of the answer goes out; on any error no byte may. The grant is nil if
	// there is no room for one. What was spent without terms can be committed
	// once more with terms, which opens the grant. Everything else is
	// [rules.ErrUnproven]: to commit twice, after Release, or what was joined.
	// After [rules.ErrUnavailable] the token may be spent or not.
	Commit(ctx context.Context, t *rules.Terms) (Grant, error)

	// Release gives back what was not committed, leaves the grant, and lets
	// requests go on that wait for a grant to be opened. It never fails, and does
	// nothing the second time. What a store has lost meanwhile counts as spent.
	Release()
}

// The limits of one grant, in every store.
const (
	// MaxConnections is how many requests may draw on a grant at a time; others
	// wait.
	MaxConnections = 16
	// MaxRequests is how many requests a grant serves in all. Real clients need a
	// few hundred; without a limit, requests for nothing would be free.
	MaxRequests = 10_000
)

// Grant is an opened one-time download that may still be resumed, as one of its
// requests sees it. It is open until its window ends or its budget is used up.
// That every byte was sent does not close it: sent is not received, and only the
// client knows what has arrived.
type Grant interface {
	// Terms are what the grant was opened with.
	Terms() rules.Terms

	// Draw takes at most n bytes out of the budget before they are written. 0: it
	// is used up. On an error none may be written, and they may count as sent.
	Draw(ctx context.Context, n int64) (int64, error)

	// Return gives back what was drawn and never handed to a writer. What was
	// handed over counts as sent, whatever its writer says of it: frames of
	// HTTP/2 may be out although the stream was reset.
	Return(n int64)

	// Left is the number of bytes that may still be sent, as far as is known here.
	Left() int64

	// Exhausted notes that a request ran out of bytes, and reports whether it is
	// the first one.
	Exhausted() (first bool)
}
