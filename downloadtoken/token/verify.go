package token

import "context"

// A KeySource finds the keys that may have signed a token. [*Table] is one.
//
// Lookup answers with [ErrUnknownKey] or [ErrAlgorithm] if there are none. It is
// called for every token, forged ones too, so it must be cheap and follow nothing
// but its own index; and it may be called from many goroutines at once.
//
// A source whose keys are bound to issuers also has a method
// IssuerBound(iss string) bool, as [Table.IssuerBound]. One that may fetch keys when
// a token names an unknown one has LookupContext, with the context of Verify before
// the arguments of Lookup, which is then called instead.
type KeySource interface {
	Lookup(kid, alg string) ([]*Key, error)
}

// Verifier tells which tokens are genuine. It may be shared,
// but not copied. Without Keys it refuses every token.
type Verifier struct {
	Keys KeySource

	headers headers
}

// Token is what a genuine token says. Whether it is acceptable, and now, is for
// [Rules.Accept] to say.
type Token struct {
	// Alg, KeyID and Typ are the header's alg, kid and typ; the last two may be empty.
	Alg, KeyID, Typ string

	// Key is the one that verified the signature.
	Key *Key

	Claims Claims

	// Fingerprint names the token in logs.
	Fingerprint Fingerprint

	foreign bool // Key may not speak for the issuer
}

// Verify decides whether text is a genuine token: one of the keys has signed it,
// and its claims can be read. What time it is does not matter. The error is one of
// the sentinels from [ErrTooLarge] to [ErrClaim], in the order of the steps below, so
// that a text with several faults always gets the same one.
//
// Where keys may be fetched, as by the ring of package jwks, it waits for them no longer than until
// ctx ends. The key comes before the signature, so a forged token can cause a
// fetch; the source bounds how often.
func (v *Verifier) Verify(ctx context.Context, text string) (*Token, error) {
	parts, err := screen(text)
	if err != nil {
		return nil, err
	}
	header, known, err := v.headers.read(parts.header)
	if err != nil {
		return nil, err
	}
	candidates, err := v.candidates(ctx, header)
	if err != nil {
		return nil, err
	}
	key, err := verifySignature(parts, candidates)
	if err != nil {
		return nil, err
	}
	if !known {
		v.headers.remember(parts.header, header)
	}
	t := &Token{Alg: header.alg, KeyID: header.kid, Typ: header.typ, Key: key, Fingerprint: fingerprint(parts.signed)}
	if err := t.Claims.parse(parts.payload); err != nil {
		return nil, err
	}
	t.foreign = v.isForeign(t.Claims.Issuer, key)
	return t, nil
}

// candidates asks the source for keys, and believes it no further than it must: a
// key never verifies another algorithm than its own, and no token costs more than
// [MaxKidless] verifications.
func (v *Verifier) candidates(ctx context.Context, header joseHeader) ([]*Key, error) {
	if v.Keys == nil {
		return nil, ErrUnknownKey
	}
	keys, err := v.lookup(ctx, header.kid, header.alg)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if !key.signs(header.alg) {
			return nil, ErrAlgorithm
		}
	}
	return keys[:min(len(keys), MaxKidless)], nil
}

func (v *Verifier) lookup(ctx context.Context, kid, alg string) ([]*Key, error) {
	if source, ok := v.Keys.(interface {
		LookupContext(ctx context.Context, kid, alg string) ([]*Key, error)
	}); ok {
		return source.LookupContext(ctx, kid, alg)
	}
	return v.Keys.Lookup(kid, alg)
}

// verifySignature returns the first of the keys that verifies.
func verifySignature(parts compact, keys []*Key) (*Key, error) {
	var room [maxMAC]byte
	signature := room[:0]
	if len(parts.signature) <= base64url.EncodedLen(maxMAC) {
		var encoded [(maxMAC*8 + 5) / 6]byte
		n, err := base64url.Decode(room[:], encoded[:copy(encoded[:], parts.signature)])
		if err != nil {
			return nil, errBits
		}
		signature = room[:n]
	} else {
		var err error
		if signature, err = base64url.DecodeString(parts.signature); err != nil {
			return nil, errBits
		}
	}
	for _, key := range keys {
		if key.verify(parts.signed, signature) {
			return key, nil
		}
	}
	return nil, ErrSignature
}

// isForeign tells whether a key may not speak for an issuer (RFC 8725 3.8): a bound
// key speaks for its own only, and what is bound is nobody else's.
func (v *Verifier) isForeign(iss string, key *Key) bool {
	if key.Issuer != "" {
		return iss != key.Issuer
	}
	source, ok := v.Keys.(interface{ IssuerBound(iss string) bool })
	return ok && source.IssuerBound(iss)
}
