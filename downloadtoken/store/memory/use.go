package memory

import (
	"context"
	"slices"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// use implements [store.Use]. Its state is guarded by the lock of the store.
type use struct {
	m    *engine
	key  rules.Key
	keys []rules.GrantKey // of grants that it may open
	// Where its entry was put. If the entry was evicted since, the place is free
	// or was filled again in a later turn.
	id   uint32
	born uint64

	state useState
	grant *grant // joined or opened, and not left
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
		if e := u.settleLocked(); e != nil {
			e.committed++
		}
		u.state = spent
	case u.state == spent && t != nil:
	default:
		return nil, rules.ErrUnproven
	}
	if t != nil && slices.Contains(u.keys, t.Key) {
		u.grant = u.m.grants.open(*t)
	}
	if t != nil || len(u.keys) == 0 {
		u.endLocked()
	}
	u.m.wakeLocked(u.key)
	return u.Grant(), nil
}

// Release implements [store.Use]. A token of which nothing was committed is as if it
// had never been shown, unless its entry was evicted meanwhile.
func (u *use) Release() {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	if u.state == reserved {
		if e := u.settleLocked(); e != nil && e.committed == 0 && e.reserved == 0 {
			u.m.ledger.drop(u.id)
		}
	}
	if u.state != over {
		u.endLocked()
		u.m.wakeLocked(u.key)
	}
	if u.grant != nil {
		u.grant.leave()
		u.grant = nil
	}
}

// settleLocked closes the reservation. The entry is nil if it was evicted.
func (u *use) settleLocked() *entry {
	u.m.reserved--
	e := u.m.ledger.at(u.id)
	if e.born != u.born {
		return nil
	}
	e.reserved--
	return e
}

// endLocked: it opens no grant any more.
func (u *use) endLocked() {
	u.state = over
	for _, k := range u.keys {
		if u.m.grants.opening[k]--; u.m.grants.opening[k] == 0 {
			delete(u.m.grants.opening, k)
		}
	}
}

var _ store.Use = (*use)(nil)
