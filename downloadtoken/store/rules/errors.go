package rules

import "errors"

// Why a token is not honoured. Test with [errors.Is].
var (
	// ErrReplayed: the token has been honoured as often as it may be.
	ErrReplayed = errors.New("store: already used")
	// ErrInUse: every use that is left is reserved by a request that has not
	// sent its first byte, or every connection of the grant is taken, and that
	// did not change in the time that the caller would wait. It may be worth
	// trying again in a second.
	ErrInUse = errors.New("store: in use by another request")
	// ErrBudget: the token has been used, and the grant that it opened has sent
	// as many bytes, or served as many requests, as it may.
	ErrBudget = errors.New("store: the budget of the grant is used up")
	// ErrUnproven: the store cannot show that the token is unused, so it does
	// not guess. The package comment lists the rules.
	ErrUnproven = errors.New("store: not provably unused")
	// ErrRevoked: the token was taken back.
	ErrRevoked = errors.New("store: token was revoked")
	// ErrUnavailable: the store could not answer or could not write. The
	// request must be refused; a later one may succeed.
	ErrUnavailable = errors.New("store: store unavailable")
)
