package token

import (
	"context"
	"slices"
)

// Still tells whether Verify would come to the same result once more for a token that
// it has returned: whether the key is still one that the verifier would use, and, if it
// may no longer speak for the token's issuer, or may now, says so in the result. It
// leaves out what cannot have changed: the text and its signature.
//
// ok is false if the token has to be verified again, by which it may be refused. Where
// keys may be fetched, it waits for them as Verify does.
func (v *Verifier) Still(ctx context.Context, t *Token) (again *Token, ok bool) {
	candidates, err := v.candidates(ctx, joseHeader{alg: t.Alg, kid: t.KeyID})
	if err != nil {
		return nil, false
	}
	i := slices.IndexFunc(candidates, func(key *Key) bool {
		return key == t.Key || key.Alg == t.Alg && key.Issuer == t.Key.Issuer && key.Fingerprint() == t.Key.Fingerprint()
	})
	if i < 0 {
		return nil, false
	}
	foreign := v.isForeign(t.Claims.Issuer, candidates[i])
	if foreign == t.foreign {
		return t, true
	}
	changed := *t
	changed.Key, changed.foreign = candidates[i], foreign
	return &changed, true
}
