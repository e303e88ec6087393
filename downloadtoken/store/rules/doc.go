// Package rules decides whether a store can show that a one-time token is unused, and
// says in which form what it knows is kept. It is pure: no storage, no clock of its
// own, no lock that is held for anything else. The stores are around it.
//
// # The promise
//
// A one-time token is never honoured more often than it may be: not by parallel
// requests, a config reload, a restart, a crash, a full store, a changed config
// or a clock that is set back. Its twin: a token that was not honoured is
// refused only by one of the rules below, and what a request reserved but did
// not use it can give back. Package storetest proves both, for every store,
// by random operations against a plain model that never forgets.
//
// # What a store can vouch for
//
//  1. The token has an entry: the entry knows how often it was used.
//  2. It has none: its exp must lie after the floor, which is kept for each
//     signer and is the largest exp of any entry that was forgotten. An entry
//     may be forgotten when it has expired or for want of room; its token
//     stays refused either way.
//  3. It must not have been honoured before the start: its iat (without iat:
//     its exp) must lie after the signer's mark found in storage, which was
//     always written before it was reached. Where no mark is known, iat must
//     lie after the start of the store that began to keep marks; without iat,
//     exp after that start and MaxTTL.
//  4. If its signer was used with another store before, iat must lie after the
//     move; without iat, exp after the move and MaxTTL.
//
// When the way in which keys are built changes ([Presentation.Policy]), the
// signer's floor rises over every entry it ever had, because a token spent under
// its old key cannot be found under its new one.
//
// An open grant is joined before any of these is asked. It ends by its own terms, which
// may be after the token has expired and its entry was forgotten.
//
// What the rules do not show is [ErrUnproven]: refused, never guessed. The
// clock is in none of them. It decides only when an entry may be forgotten.
//
// # What the caller must have checked
//
// The signature, and that iat does not lie in the future, or exp (without iat)
// further ahead than MaxTTL, both without any leeway: rule 3 rests on it where
// marks are not found. One signer must not put the same nonce into two tokens
// (RFC 7519 section 4.1.7): they would share their uses, and a second one that
// expires later becomes usable when the first has been forgotten.
//
// # What no store can promise
//
// If storage is lost, nothing but the clock tells new tokens from old ones.
// So where no marks are found the clock must not stand before any earlier
// reading of it, and for tokens without iat MaxTTL must not be smaller than it
// ever was before the loss, in any directive, for as long as such tokens live.
// If storage is replaced by an older copy of itself, or two processes keep
// their marks in one place, tokens may be honoured again. Where storage is
// kept, none of this is needed: clocks, leeways and limits may change at will.
package rules
