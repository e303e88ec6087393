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

// Verifier tells which tokens are genuine. It may be used from many goroutines, and is
// not to be copied. Without Keys it refuses every token.
type Verifier struct {
	Keys KeySource

	known headerMemory
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
// Where keys may be fetched, as by the ring of package jwks, it waits for them until ctx
// ends at most. The key comes before the signature, so a forged token can cause a
// fetch; the source bounds how often.
func (v *Verifier) Verify(ctx context.Context, text string) (*Token, error) {
	parts, err := screen(text)
	if err != nil {
		return nil, err
	}
	s := takeScratch()
	defer s.giveBack()
	header, known := v.known.find(parts.header)
	if !known {
		if header, err = s.readHeader(parts.header); err != nil {
			return nil, err
		}
	}
	candidates, err := v.candidates(ctx, header)
	if err != nil {
		return nil, err
	}
	key, err := s.verifySignature(parts, candidates)
	if err != nil {
		return nil, err
	}
	if !known {
		v.known.remember(parts.header, header)
	}
	payload, ok := s.object(parts.payload)
	if !ok {
		return nil, errPayload
	}
	t := newToken()
	if err := t.Claims.read(payload); err != nil {
		return nil, err
	}
	t.Alg, t.KeyID, t.Typ = header.alg, header.kid, header.typ
	t.Key, t.foreign = key, v.isForeign(t.Claims.Issuer, key)
	t.Fingerprint = s.fingerprint(parts.signed)
	return t, nil
}

// newToken makes a token with room for as many claims as most have.
func newToken() *Token {
	var made struct {
		Token
		room [12]member
	}
	made.Claims.members.members = made.room[:0]
	return &made.Token
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
func (s *scratch) verifySignature(parts compact, keys []*Key) (*Key, error) {
	signature, ok := s.decode(parts.signature)
	if !ok {
		return nil, errBits
	}
	for _, key := range keys {
		if key.verify(s, parts.signed, signature) {
			return key, nil
		}
	}
	return nil, ErrSignature
}

// isForeign tells whether a key may not speak for an issuer (RFC 8725 3.8): a bound
// key speaks for its own only, and no other key for an issuer that has bound ones.
func (v *Verifier) isForeign(iss string, key *Key) bool {
	if key.Issuer != "" {
		return iss != key.Issuer
	}
	source, ok := v.Keys.(interface{ IssuerBound(iss string) bool })
	return ok && source.IssuerBound(iss)
}
