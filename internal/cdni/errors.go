package cdni

import "errors"

// The refusals of [Read], in the order in which it comes to them. Returned errors may
// wrap them with detail that names claims, never values.
var (
	// ErrVersion: cdniv is not 1, the only version that there is (RFC 9246 section 2.1.8).
	ErrVersion = errors.New("version of the signed JWT is not supported")

	// ErrCritical: cdnicrit names claims that must be understood, and none is (section
	// 2.1.9).
	ErrCritical = errors.New("signed JWT has critical claims")

	// ErrSubject: sub is not encrypted, or not for one of the keys (section 2.1.2).
	ErrSubject = errors.New("subject of the signed JWT is not accepted")

	// ErrClientIP: cdniip is not encrypted, not for one of the keys, or neither an
	// address nor a range (section 2.1.10).
	ErrClientIP = errors.New("client IP of the signed JWT is not accepted")

	// ErrRenewal: of cdniets and cdnistt only one is there, or one of them or cdnistd
	// is not what it has to be (sections 2.1.12 to 2.1.14).
	ErrRenewal = errors.New("renewal of the signed JWT is not accepted")

	// ErrContainer: cdniuc is missing, or no container (section 2.1.11, 2.1.15).
	ErrContainer = errors.New("URI container of the signed JWT is not accepted")
)

// A refusal is a sentinel with detail, of which the text begins with the sentinel's.
type refusal struct {
	reason error
	detail string
}

func (r *refusal) Error() string { return r.reason.Error() + ": " + r.detail }
func (r *refusal) Unwrap() error { return r.reason }
