package memory

import (
	"context"
	"slices"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/local"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// use implements [store.Use]. Its state is guarded by the lock of the store.
type use struct {
	m    *engine
	key  rules.Key
	keys []rules.GrantKey // of grants that it may open
	hold *hold            // its reservation
	own  hold             // what hold is if it was the first to reserve its entry

	state useState
	grant *local.Grant // joined or opened, and not left
}

type useState uint8

const (
	over     useState = iota // released, or nothing is left to do
	reserved                 // neither committed nor released
	spent                    // committed, and may still open a grant
)

// Grant implements [store.Use].
func (u *use) Grant() store.Grant {
	if u.grant == nil {
		return nil
	}
	return u.grant
}

// Commit implements [store.Use]. It writes nothing: the mark that keeps the token
// spent after a crash has been in storage since Admit. If the entry was evicted
// meanwhile, the floor keeps the token spent, and Commit succeeds.
func (u *use) Commit(_ context.Context, t *rules.Terms) (store.Grant, error) {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	switch {
	case u.state == reserved:
		u.m.settleLocked(u.hold, true)
		u.state = spent
	case u.state == spent && t != nil:
	default:
		return nil, rules.ErrUnproven
	}
	if t != nil && slices.Contains(u.keys, t.Key) {
		u.grant = u.m.grants.Open(*t)
	}
	if t != nil || len(u.keys) == 0 {
		u.endLocked()
	}
	u.m.crowd.Wake(u.key)
	return u.Grant(), nil
}

// Release implements [store.Use]. A token of which nothing was committed is as if it
// had never been shown, unless its entry was evicted meanwhile.
func (u *use) Release() {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	if u.state == reserved {
		u.m.settleLocked(u.hold, false)
	}
	if u.state != over {
		u.endLocked()
		u.m.crowd.Wake(u.key)
	}
	if u.grant != nil {
		u.grant.Leave()
		u.grant = nil
	}
}

// settleLocked ends a reservation. An entry without uses is dropped, but for one that
// a snapshot may have: there it counts as spent.
func (m *engine) settleLocked(h *hold, used bool) {
	m.reserved--
	id := h.id
	if e := m.ledger.settle(h, used); e != nil && e.uses == 0 && !m.sealed {
		m.ledger.drop(id)
	}
}

// endLocked: it opens no grant any more.
func (u *use) endLocked() {
	u.state = over
	u.m.grants.Settle(u.keys)
}

var _ store.Use = (*use)(nil)
