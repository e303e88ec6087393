package memory

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/local"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

const (
	defaultCapacity = 1_000_000
	// maxCapacity keeps the numbers of entries and buckets within 32 bits.
	maxCapacity = 1 << 30
	// sweep is how many expired entries an Admit that adds one forgets. More
	// than one, so that a crowd that expired together shrinks; few, so that no
	// single request pays for it.
	sweep = 8
)

// engine is a [store.Store] but for revoking. It lives in the process and is
// bounded: when it is full it forgets entries that have expired, then, of the signer
// that holds most, the one that expires soonest (the least recently used among
// equals), and from then on refuses every token of that signer that expires no later.
// After a restart it vouches only for tokens beyond its marks.
//
// An entry takes about 60 bytes. Memory grows with the entries, in small steps, and is
// reused but not given back. Nothing is done in one go that takes longer the more
// entries there are.
type engine struct {
	mu        sync.Mutex
	ledger    ledger
	capacity  int
	reserved  int
	found     rules.Marks   // as at the start; rule 3 never moves during a run
	elsewhere []rules.Marks // see options
	sealed    bool          // see Seal
	grants    local.Grants
	revoked   *rules.Revocations
	crowd     local.Crowd
	marker
}

// options configure an engine. The zero value vouches for nothing: Start
// or Marks is needed.
type options struct {
	// Capacity is how many tokens are remembered. 0 means 1,000,000; the
	// least is 1.
	Capacity int
	// Start is when this store began to remember. Without Marks, only tokens
	// issued after it are honoured.
	Start time.Time
	// Marks were found in storage. The zero value means that none were.
	Marks rules.Marks
	// Elsewhere are marks of other stores. A key may have been used with one of
	// them before, so its tokens are held to the marks there as well.
	Elsewhere []rules.Marks
	// Revoked are the tokens that were taken back. Default: none.
	Revoked *rules.Revocations
	// Persist puts marks into storage, durably, replacing those there, before
	// any token beyond the previous ones is honoured. It is called from a
	// goroutine of its own, once at a time, with no lock held, about once in
	// MarkStep for each busy signer. While it fails or panics, tokens beyond
	// the marks are refused with [rules.ErrUnavailable]. It must return at some
	// time: a call that never does keeps them refused.
	//
	// Nil means that marks are not kept. Marks must then not be left in
	// storage either: the next start would believe them.
	Persist func(rules.Marks) error
}

// newEngine returns an empty store.
func newEngine(o options) *engine {
	found := o.Marks
	if found.IsZero() {
		found = rules.NewMarks(o.Start)
	}
	if o.Revoked == nil {
		o.Revoked = new(rules.Revocations)
	}
	kept := found
	found = found.Join(o.Elsewhere)
	return &engine{
		ledger:    newLedger(),
		capacity:  capacityOf(o.Capacity),
		grants:    local.NewGrants(),
		found:     found,
		elsewhere: o.Elsewhere,
		revoked:   o.Revoked,
		marker:    marker{persist: o.Persist, kept: kept},
	}
}

func capacityOf(n int) int {
	if n == 0 {
		return defaultCapacity
	}
	return min(max(n, 1), maxCapacity)
}

// Admit implements [store.Store]. It takes O(log n), and waits only for storage, when
// a mark has to be passed, and for others as long as the query allows; never
// longer than ctx.
func (m *engine) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	s := q.Showing()
	p := local.NewPatience(q.Patience)
	defer p.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		now := clock()
		if err := m.askableLocked(&q, now); err != nil {
			return nil, err
		}
		slot := m.ledger.admit(s.Signer, s.Policy)
		grant, err := m.judgeLocked(&s, q.Grants, m.ledger.owners[slot].floor, rules.StampOf(now))
		switch {
		case grant != nil:
			return m.joinLocked(ctx, grant, &q, p, clock)
		case errors.Is(err, rules.ErrInUse):
			err = m.crowd.Wait(ctx, &m.mu, s.Key, p)
		case err == nil && m.markedLocked(&s):
			return m.takeLocked(slot, &s, q.Grants, rules.StampOf(now)), nil
		case err == nil:
			err = m.advanceLocked(ctx, &s)
		}
		if err != nil {
			return nil, err
		}
		// The lock was let go meanwhile, so everything is judged anew.
	}
}

// Look implements [store.Store].
func (m *engine) Look(ctx context.Context, q store.Query, clock func() time.Time) (open *store.Open, err error) {
	s := q.Showing()
	p := local.NewPatience(q.Patience)
	defer p.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		now := clock()
		if err := m.askableLocked(&q, now); err != nil {
			return nil, err
		}
		grant, err := m.judgeLocked(&s, q.Grants, m.ledger.ownerOf(s.Signer).floorFor(s.Policy), rules.StampOf(now))
		if !errors.Is(err, rules.ErrInUse) {
			return grant.Described(), err
		}
		if err := m.crowd.Wait(ctx, &m.mu, s.Key, p); err != nil {
			return nil, err
		}
	}
}

// askableLocked: the store has not ended its work, and the token was not taken back.
func (m *engine) askableLocked(q *store.Query, now time.Time) error {
	if m.sealed {
		return rules.ErrUnavailable
	}
	if m.revoked.Revoked(q.Revocable, now) {
		return rules.ErrRevoked
	}
	return nil
}

// judgeLocked finds the grant to be joined, or decides whether the token may be
// used.
func (m *engine) judgeLocked(s *rules.Showing, keys []rules.GrantKey, floor, now rules.Stamp) (*local.Grant, error) {
	grant, opening, usedUp := m.grants.Find(keys, now)
	switch {
	case grant != nil:
		return grant, nil
	case opening:
		return nil, rules.ErrInUse
	}
	err := m.vouchLocked(s, floor)
	if usedUp && errors.Is(err, rules.ErrReplayed) {
		err = rules.ErrBudget
	}
	return nil, err
}

// joinLocked joins an open grant, waiting for a connection if need be, and
// returns locked again.
func (m *engine) joinLocked(ctx context.Context, g *local.Grant, q *store.Query, p *local.Patience, clock func() time.Time) (store.Use, error) {
	m.mu.Unlock()
	err := g.Join(ctx, clock(), p)
	m.mu.Lock()
	if err != nil {
		return nil, err
	}
	if err := m.askableLocked(q, clock()); err != nil { // it may have waited
		g.Leave()
		return nil, err
	}
	return &use{m: m, grant: g}, nil
}

// wakeAll lets all that wait look again.
func (m *engine) wakeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crowd.WakeAll()
}

// vouchLocked asks the rules about the token.
func (m *engine) vouchLocked(s *rules.Showing, floor rules.Stamp) error {
	id, alien := m.ledger.find(s)
	switch {
	case alien:
		return rules.ErrUnproven
	case id == none:
		return rules.Judge(s, false, 0, 0, floor, m.found)
	}
	committed, reserved := m.ledger.uses(id)
	return rules.Judge(s, true, committed, reserved, floor, m.found)
}

func (m *engine) takeLocked(slot uint32, s *rules.Showing, keys []rules.GrantKey, now rules.Stamp) *use {
	id, _ := m.ledger.find(s)
	if id != none {
		m.ledger.touch(id, s)
	} else {
		m.makeRoomLocked(slot, now)
		id = m.ledger.add(slot, tagOf(s.Key), s.Expires, s.Keep)
	}
	m.reserved++
	m.grants.Expect(keys)
	u := &use{m: m, key: s.Key, keys: keys, state: reserved}
	u.hold = m.ledger.reserve(id, &u.own)
	return u
}

func (m *engine) makeRoomLocked(slot uint32, now rules.Stamp) {
	m.ledger.forgetExpired(now, sweep)
	if m.ledger.count >= m.capacity {
		m.ledger.evict(slot)
	}
}

// batch is how much is done at a time where there may be much to do, so that
// requests get their turn in between. It takes well under a millisecond.
const batch = 256

// breatheLocked lets the requests that wait for the lock have their turn. What it
// guards may have changed when it returns.
func (m *engine) breatheLocked() {
	m.mu.Unlock()
	runtime.Gosched() // else the lock would be taken again before those that wait wake up
	m.mu.Lock()
}

// Stats implements [store.Store].
func (m *engine) Stats(_ context.Context, now time.Time) (store.Stats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	expired := m.expiredLocked(rules.StampOf(now))
	return store.Stats{
		Entries:        max(0, m.ledger.count-expired),
		Reserved:       m.reserved,
		Capacity:       m.capacity,
		EvictedLive:    m.ledger.evictedLive,
		EvictedExpired: m.ledger.evictedExpired,
		Floor:          m.ledger.highestFloor().Time(),
	}, nil
}

// expiredLocked counts the entries that have expired. It looks at all leaves, though
// only if there is one such entry: what expires while requests come is forgotten soon.
// Entries that come and go meanwhile may be counted or not.
func (m *engine) expiredLocked(now rules.Stamp) (count int) {
	for in := uint32(1); m.ledger.hasExpired(now) && in <= m.ledger.nodes.filled; in++ {
		count += m.ledger.expired(in, now)
		if in%16 == 0 {
			m.breatheLocked()
		}
	}
	return count
}

// SetCapacity changes how many tokens are remembered; 0 means the default, the
// least is 1. What no longer fits is evicted by the usual rule, expired entries
// first: floors rise, nothing is forgotten silently.
func (m *engine) SetCapacity(n int, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = capacityOf(n)
	for m.shrinkLocked(rules.StampOf(now)) {
		m.breatheLocked()
	}
}

// shrinkLocked gives up one batch of what does not fit, and reports whether more is
// left. A sealed store admits nothing, and stays as its snapshot has it.
func (m *engine) shrinkLocked(now rules.Stamp) bool {
	surplus := min(batch, m.ledger.count-m.capacity)
	if surplus <= 0 || m.sealed {
		return false
	}
	for range surplus - m.ledger.forgetExpired(now, surplus) {
		m.ledger.evict(commonOwner)
	}
	return true
}
