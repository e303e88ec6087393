package token

import "errors"

// The refusals, in the order in which [Find] and [Verifier.Verify] come to them.
// Returned errors may wrap them with detail that names claims, never values.
var (
	// ErrMissing: no configured source holds a token.
	ErrMissing = errors.New("token is missing")

	// ErrAmbiguous: a source holds its name more than once (RFC 6750 3.1).
	ErrAmbiguous = errors.New("token is given more than once")

	// ErrTooLarge: the text is longer than [MaxLength].
	ErrTooLarge = errors.New("token is too large")

	// ErrMalformed: the text is no JWT in compact form, or its header or payload
	// is not strict JSON.
	ErrMalformed = errors.New("token is malformed")

	// ErrCritical: the header asks for extensions that must be understood, and
	// none is (RFC 7515 4.1.11).
	ErrCritical = errors.New("token has critical header parameters")

	// ErrUnknownKey: no key has the ID that the header names.
	ErrUnknownKey = errors.New("token names an unknown key")

	// ErrAlgorithm: the named key exists, but for other algorithms, or the
	// algorithm is none that we know, such as none.
	ErrAlgorithm = errors.New("token algorithm is not accepted")

	// ErrSignature: no candidate key verifies the signature.
	ErrSignature = errors.New("token signature is invalid")

	// ErrClaim: a claim is missing, has the wrong type or an unacceptable value.
	ErrClaim = errors.New("token claim is not accepted")

	// ErrExpired: exp is not after now (RFC 7519 4.1.4).
	ErrExpired = errors.New("token is expired")

	// ErrNotYetValid: nbf, or for a one-time token iat, lies in the future (RFC 7519
	// 4.1.5).
	ErrNotYetValid = errors.New("token is not valid yet")

	// ErrIssuer: iss is not among the configured issuers, or does not belong to the
	// key that verified (RFC 8725 3.8).
	ErrIssuer = errors.New("token issuer is not accepted")

	// ErrAudience: the token is not meant for us (RFC 7519 4.1.3).
	ErrAudience = errors.New("token audience is not accepted")

	// ErrHeaderTyp: the header's typ is not among the configured ones (RFC 8725
	// 3.11).
	ErrHeaderTyp = errors.New("token type is not accepted")

	// ErrTooLongLived: the token lives longer than [Rules.MaxTTL].
	ErrTooLongLived = errors.New("token lives too long")
)

// A refusal is a sentinel with constant detail. It is put together only if
// somebody prints it, because most refusals are answered to bots.
type refusal struct {
	reason error
	detail string
}

func (r *refusal) Error() string { return r.reason.Error() + ": " + r.detail }
func (r *refusal) Unwrap() error { return r.reason }
