package bolt

import (
	"context"
	"slices"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/local"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// use implements [store.Use]. Its state is guarded by the lock of the store.
type use struct {
	e       *engine
	spend   spend
	holding *holding
	keys    []rules.GrantKey // of grants that it may open

	state useState
	grant *local.Grant // joined or opened, and not left
}

type useState uint8

const (
	over     useState = iota // released, or nothing is left to do
	reserved                 // neither committed nor released
	writing                  // about to be in the file
	covered                  // reserved, and in the file already, since the store was stopped
	spent                    // committed, and may still open a grant
)

// Grant implements [store.Use].
func (u *use) Grant() store.Grant {
	if u.grant == nil {
		return nil
	}
	return u.grant
}

// Commit implements [store.Use]. It returns when the token is in the file, synced. If
// that fails the use is still reserved, and can be committed again. It does not look at
// ctx: a write that is under way is not given up.
func (u *use) Commit(_ context.Context, t *rules.Terms) (store.Grant, error) {
	u.e.mu.Lock()
	defer u.e.mu.Unlock()
	switch {
	case u.state == reserved:
		if err := u.writeLocked(); err != nil {
			return nil, err
		}
		u.settleLocked()
		u.state = spent
	case u.state == covered:
		u.settleLocked()
		u.state = spent
	case u.state == spent && t != nil:
	default:
		return nil, rules.ErrUnproven
	}
	if t != nil && slices.Contains(u.keys, t.Key) {
		u.grant = u.e.grants.Open(*t)
	}
	if t != nil || len(u.keys) == 0 {
		u.endLocked()
	}
	u.e.crowd.Wake(u.spend.key)
	return u.Grant(), nil
}

// writeLocked returns when the token is in the file.
func (u *use) writeLocked() error {
	u.spend.before, u.state = u.holding.committed, writing
	b := u.e.boardLocked(u.spend)
	u.e.mu.Unlock()
	<-b.done
	u.e.mu.Lock()
	u.state = reserved
	if b.err != nil {
		return b.err
	}
	u.holding.committed++
	u.holding.found = true
	return nil
}

// Release implements [store.Use]. A token of which nothing was committed is as if it
// had never been shown.
func (u *use) Release() {
	u.e.mu.Lock()
	defer u.e.mu.Unlock()
	if u.state == reserved || u.state == covered {
		u.settleLocked()
	}
	if u.state != over {
		u.endLocked()
		u.e.crowd.Wake(u.spend.key)
	}
	if u.grant != nil {
		u.grant.Leave()
		u.grant = nil
	}
}

// settleLocked ends the reservation.
func (u *use) settleLocked() {
	delete(u.e.uses, u)
	if u.holding.reserved--; u.holding.reserved == 0 {
		delete(u.e.held, u.spend.key)
	}
}

// endLocked: it opens no grant any more.
func (u *use) endLocked() {
	u.state = over
	u.e.grants.Settle(u.keys)
}

var _ store.Use = (*use)(nil)
