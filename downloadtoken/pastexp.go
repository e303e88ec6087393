package downloadtoken

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// With `past_exp`, a token that has expired may still join the grant that it has opened,
// and do nothing else. The store is only asked about it when all other checks have been
// made. Wherever it fails, it is refused as `expired`, as without past_exp: what is wrong
// with it besides, or what became of it, is not told.

// accept decides whether the token is acceptable at now. past: it has expired, but would
// have been acceptable in the last moment of its life.
func (h *Handler) accept(t *token.Token, now time.Time) (past bool, err error) {
	err = h.rules.Accept(t, now)
	if o := h.oneTimeFor(t); o == nil || !o.outlived() || !errors.Is(err, token.ErrExpired) {
		return false, err
	}
	last := t.Claims.ExpiresAt.Add(h.rules.Leeway - 1)
	if h.rules.Accept(t, last) != nil {
		return false, err
	}
	return true, nil
}

// outlived reports whether a grant may outlive its token.
func (o *oneTime) outlived() bool { return o.resume != nil && o.resume.PastExp }

// stillOpen looks for an open grant of a token that has expired. It waits for no other
// request, and leaves no trace, not even of the fingerprint.
func (v *visit) stillOpen(q store.Query) error {
	q.Fingerprint, q.Patience = token.Fingerprint{}, 0
	_, err := v.look(q)
	if errors.Is(err, rules.ErrInUse) { // no grant is open yet
		return token.ErrExpired
	}
	return err
}

// refusal is what a refusal for err stands for. Of a token that has expired, and has
// joined no grant, that is its expiry, unless it is worth to come again.
func (v *visit) refusal(err error) error {
	if !v.past || v.grant != nil || denialOf(err).status >= http.StatusTooEarly {
		return err
	}
	if v.confirmed {
		v.r.Method = http.MethodPost // as it came
	}
	return token.ErrExpired
}
