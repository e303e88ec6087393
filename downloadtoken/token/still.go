package token

import (
	"context"
	"slices"
)

// Adopt returns a token of these claims that stands for one that a key of the verifier
// has signed, of which signed knows which one it is: it is found by the token's ID and
// algorithm, speaks for issuers as it does in Verify, and takes the place of the token's
// own key, which the caller has to trust. The errors are those of Verify: there is no
// such key.
func (v *Verifier) Adopt(ctx context.Context, t Token, signed func(*Key) bool) (*Token, error) {
	candidates, err := v.candidates(ctx, joseHeader{alg: t.Alg, kid: t.KeyID})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(candidates, signed)
	if i < 0 {
		return nil, ErrUnknownKey
	}
	t.Key, t.foreign = candidates[i], v.isForeign(t.Claims.Issuer, candidates[i])
	return &t, nil
}

// Still tells whether Verify would come to the same result once more for a token that
// it has returned: whether the key is still one that the verifier would use, and, if it
// may no longer speak for the token's issuer, or may now, says so in the result. It
// leaves out what cannot have changed: the text and its signature.
//
// Without a result and an error, the token has to be verified again, by which it may be
// refused. An error is that of Verify: there is no key. Where keys may be fetched, it
// waits for them as Verify does.
func (v *Verifier) Still(ctx context.Context, t *Token) (again *Token, err error) {
	candidates, err := v.candidates(ctx, joseHeader{alg: t.Alg, kid: t.KeyID})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(candidates, func(key *Key) bool {
		return key == t.Key || key.Alg == t.Alg && key.Issuer == t.Key.Issuer && key.Fingerprint() == t.Key.Fingerprint()
	})
	if i < 0 {
		return nil, nil
	}
	foreign := v.isForeign(t.Claims.Issuer, candidates[i])
	if foreign == t.foreign {
		return t, nil
	}
	changed := *t
	changed.Key, changed.foreign = candidates[i], foreign
	return &changed, nil
}
