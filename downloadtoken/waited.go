package downloadtoken

import (
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// again judges once more what has waited. What the store knows is asked
// elsewhere.
func (v *visit) again() error {
	switch {
	case !v.hasWaited():
		return nil
	case v.h.app.Superseded():
		return errReloaded
	}
	return v.judge()
}

// aMoment is what a request may take on its way through the checks without
// having waited for anything.
const aMoment = 20 * time.Millisecond

// hasWaited reports whether so much time has gone by since the token was judged
// that it has to be judged again: it may have expired or been revoked, its key
// may be gone, another configuration may be running. Whatever the request waited
// for (its form, keys, the store, a reservation, a connection of a grant), it shows
// here.
func (v *visit) hasWaited() bool {
	return v.h.now().Sub(v.judged).Abs() > aMoment
}

// earliness is how far ahead the begin of a token may lie for its request to be
// held until then, instead of being refused: two clocks are never quite equal.
const earliness = 2 * time.Second

// early bounds how many requests are held for that reason at a time.
var early = make(chan struct{}, 1000)

// untilValid holds a request whose token is refused until at, and judges it then.
func (v *visit) untilValid(at time.Time, refused error) error {
	left := at.Sub(v.judged)
	if left > earliness {
		return refused
	}
	select {
	case early <- struct{}{}:
		defer func() { <-early }()
	default:
		return errSoon
	}
	timer := time.NewTimer(left + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-v.r.Context().Done():
		return errSoon
	}
	if v.h.app.Superseded() {
		return errReloaded
	}
	err := v.judge()
	if _, still := token.ValidFrom(err); still {
		return errSoon // the clock was set back meanwhile
	}
	return err
}
