package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/local"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// engine is a store in a file. It implements [store.Opened].
//
// What was honoured is in the file alone. What is reserved is in memory alone: after
// a crash it is as if it had never been asked for, which is right, because a token is
// in the file before the first byte of its answer goes out.
type engine struct {
	db     *bbolt.DB
	logger *zap.Logger
	now    func() time.Time                     // for what no request brings a clock for
	update func(func(tx *bbolt.Tx) error) error // the only way to write; a test breaks it

	id      [16]byte // of the file
	revoked rules.Revocations

	mu      sync.Mutex
	marks   rules.Marks // the file vouches for what was issued after it began
	signers signers
	held    map[rules.Key]*holding
	uses    map[*use]struct{} // that are reserved
	grants  local.Grants
	crowd   local.Crowd
	sealed  bool // nothing is admitted any more
	writer
}

// holding is a token that requests have reserved. While there is one, it knows how
// often the token was used, and the file is not asked.
type holding struct {
	found     bool // the token is in the file
	committed uint32
	reserved  uint32
}

// Admit implements [store.Store]. It reads the file, and waits only for others.
func (e *engine) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	s, p := q.Showing(), local.NewPatience(q.Patience)
	defer p.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		now := clock()
		e.clock = rules.StampOf(now)
		if err := e.askableLocked(&q, now); err != nil {
			return nil, err
		}
		signer := e.signers.admit(s.Signer, s.Policy)
		grant, token, err := e.judgeLocked(&s, q.Grants, signer.floor)
		switch {
		case grant != nil:
			return e.joinLocked(ctx, grant, &q, p, clock)
		case err == nil:
			return e.takeLocked(signer, &s, token, q.Grants), nil
		case errors.Is(err, rules.ErrInUse):
			err = e.crowd.Wait(ctx, &e.mu, s.Key, p)
		}
		if err != nil {
			return nil, err
		}
		// The lock was let go meanwhile, so everything is judged anew.
	}
}

// Look implements [store.Store].
func (e *engine) Look(ctx context.Context, q store.Query, clock func() time.Time) (open *store.Open, err error) {
	s, p := q.Showing(), local.NewPatience(q.Patience)
	defer p.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		now := clock()
		e.clock = rules.StampOf(now)
		if err := e.askableLocked(&q, now); err != nil {
			return nil, err
		}
		grant, _, err := e.judgeLocked(&s, q.Grants, e.signers.find(s.Signer).floorFor(s.Policy))
		if !errors.Is(err, rules.ErrInUse) {
			return grant.Described(), err
		}
		if err := e.crowd.Wait(ctx, &e.mu, s.Key, p); err != nil {
			return nil, err
		}
	}
}

// askableLocked: the store has not ended its work, and the token was not taken back.
func (e *engine) askableLocked(q *store.Query, now time.Time) error {
	if e.sealed {
		return rules.ErrUnavailable
	}
	if e.revoked.Revoked(q.Revocable, now) {
		return rules.ErrRevoked
	}
	return nil
}

// judgeLocked finds the grant to be joined, or decides whether the token may be used,
// and says what is known of it.
func (e *engine) judgeLocked(s *rules.Showing, keys []rules.GrantKey, floor rules.Stamp) (*local.Grant, holding, error) {
	grant, opening, usedUp := e.grants.Find(keys, e.clock)
	switch {
	case grant != nil:
		return grant, holding{}, nil
	case opening:
		return nil, holding{}, rules.ErrInUse
	}
	token, err := e.lookUpLocked(s.Key)
	if err != nil {
		return nil, token, fmt.Errorf("%w: %w", rules.ErrUnavailable, err)
	}
	err = rules.Judge(s, token.found || token.reserved > 0, token.committed, token.reserved, floor, e.marks)
	if usedUp && errors.Is(err, rules.ErrReplayed) {
		err = rules.ErrBudget
	}
	return nil, token, err
}

// lookUpLocked says what is known of a token. It reads the file with the lock held:
// a token that is forgotten meanwhile is not missed, because the floor is raised over
// it first, which takes the lock.
func (e *engine) lookUpLocked(k rules.Key) (token holding, err error) {
	if h, ok := e.held[k]; ok {
		return *h, nil
	}
	err = e.db.View(func(tx *bbolt.Tx) error {
		row, found, err := rowFrom(tx.Bucket(bucketTokens).Get(k[:]))
		token = holding{found: found, committed: row.uses}
		return err
	})
	return token, err
}

func (e *engine) takeLocked(o *signer, s *rules.Showing, token holding, keys []rules.GrantKey) *use {
	h, ok := e.held[s.Key]
	if !ok {
		h = &token
		e.held[s.Key] = h
	}
	h.reserved++
	o.reach(s.Expires)
	e.grants.Expect(keys)
	u := &use{
		e: e, holding: h, keys: keys, state: reserved,
		spend: spend{key: s.Key, row: row{expires: s.Expires, keep: s.Keep, signer: o.number}},
	}
	e.uses[u] = struct{}{}
	return u
}

// joinLocked joins an open grant, waiting for a connection if need be.
func (e *engine) joinLocked(ctx context.Context, g *local.Grant, q *store.Query, p *local.Patience, clock func() time.Time) (store.Use, error) {
	e.mu.Unlock()
	err := g.Join(ctx, clock(), p)
	e.mu.Lock()
	if err != nil {
		return nil, err
	}
	if err := e.askableLocked(q, clock()); err != nil { // it may have waited
		g.Leave()
		return nil, err
	}
	return &use{e: e, grant: g}, nil
}

// Revoked implements [store.Store].
func (e *engine) Revoked(_ context.Context, known func() rules.Revocable, now time.Time) error {
	if e.revoked.Revoked(known, now) {
		return rules.ErrRevoked
	}
	return nil
}

// Revoke implements [store.Store].
func (e *engine) Revoke(_ context.Context, r rules.Revocation, now time.Time) error {
	return e.revocationsChanged(e.revoked.Add(r, now, e.writeRevocations))
}

// Reinstate implements [store.Store].
func (e *engine) Reinstate(_ context.Context, r rules.Revocation, now time.Time) error {
	return e.revocationsChanged(e.revoked.Remove(r, now, e.writeRevocations))
}

func (e *engine) writeRevocations(encoded []byte) error {
	err := e.update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketStore).Put(keyRevocations, encoded) })
	if err != nil {
		return fmt.Errorf("%w: %w", rules.ErrUnavailable, err)
	}
	return nil
}

// revocationsChanged has those that wait look again.
func (e *engine) revocationsChanged(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.crowd.WakeAll()
	return err
}

// Revocations implements [store.Store].
func (e *engine) Revocations(_ context.Context, now time.Time) ([]rules.Revocation, error) {
	return e.revoked.InForce(now), nil
}

// Stats implements [store.Store]. Capacity is 0: there is room as long as the disk has.
func (e *engine) Stats(_ context.Context, now time.Time) (stats store.Stats, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.held {
		stats.Reserved += int(h.reserved)
		if !h.found {
			stats.Entries++
		}
	}
	stats.Floor, stats.EvictedExpired = e.signers.highestFloor().Time(), e.forgotten
	err = e.db.View(func(tx *bbolt.Tx) error {
		stats.Entries += int(count(tx))
		for c, k := expired(tx, rules.StampOf(now)); k != nil; k = c() {
			stats.Entries--
		}
		return nil
	})
	if err != nil {
		return store.Stats{}, fmt.Errorf("%w: %w", rules.ErrUnavailable, err)
	}
	return stats, nil
}

var _ store.Opened = (*engine)(nil)
