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

// A refusal is a sentinel with detail, of which the text begins with the sentinel's.
// Its text is put together only when it is printed, because most refusals are answered
// to bots.
type refusal struct {
	reason error
	detail string
}

// What is wrong with a text that is no token, or not damaged by accident only.
var (
	errValue      = &refusal{ErrMalformed, "its value is empty or cannot be decoded"}
	errShape      = &refusal{ErrMalformed, "it is not three texts in base64url with dots between them"}
	errHeader     = &refusal{ErrMalformed, "the header is not a strict JSON object in base64url"}
	errHeaderType = &refusal{ErrMalformed, "alg, kid or typ in the header is not a string, or alg is missing"}
	errPayload    = &refusal{ErrMalformed, "the payload is not a strict JSON object in base64url"}
	errBits       = &refusal{ErrMalformed, "the signature is not base64url"}
	errNone       = &refusal{ErrAlgorithm, "no key can have the alg of the header"}
	errNbf        = &refusal{ErrNotYetValid, "nbf lies in the future"}
	errIat        = &refusal{ErrNotYetValid, "iat lies in the future"}
	errForeign    = &refusal{ErrIssuer, "iss is another's than that of the key that verified it"}
	errAud        = &refusal{ErrAudience, "it has an aud, and no audience is configured"}
	errLife       = &refusal{ErrTooLongLived, "exp is further from iat than max_ttl"}
	errAhead      = &refusal{ErrTooLongLived, "exp is further ahead than max_ttl"}
)

func (r *refusal) Error() string { return r.reason.Error() + ": " + r.detail }
func (r *refusal) Unwrap() error { return r.reason }
