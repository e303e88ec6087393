package nonce

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	defaultCapacity = 1_000_000
	// maxCapacity keeps entry numbers and queue places within 31 bits.
	maxCapacity = 1 << 30
	// sweep is how many expired entries an Admit that adds one forgets. More
	// than one, so that a crowd that expired together shrinks; few, so that no
	// single request pays for it.
	sweep = 8
)

// Memory is a [Store] that lives in the process. It is bounded: when it is full
// it forgets entries that have expired, then, of the signer that holds most,
// the one that expires soonest (the least recently used among equals), and from
// then on refuses every token of that signer that expires no later. After a
// restart it vouches only for tokens beyond its marks.
//
// An entry takes about 170 bytes. Memory grows with the entries, in small
// steps, and is reused but not given back.
type Memory struct {
	mu        sync.Mutex
	ledger    ledger
	capacity  int
	reserved  int
	found     Marks   // as at the start; rule 3 never moves during a run
	elsewhere []Marks // see MemoryOptions
	sealed    bool    // see Seal
	grants    grants
	crowd
	marker
}

// MemoryOptions configure a [Memory]. The zero value vouches for nothing: Start
// or Marks is needed.
type MemoryOptions struct {
	// Capacity is how many tokens are remembered. 0 means 1,000,000; the
	// least is 1.
	Capacity int
	// Start is when this store began to remember. Without Marks, only tokens
	// issued after it are honoured.
	Start time.Time
	// Marks were found in storage. The zero value means that none were.
	Marks Marks
	// Elsewhere are marks of other stores. A key may have been used with one of
	// them before, so its tokens are held to the marks there as well.
	Elsewhere []Marks
	// Persist puts marks into storage, durably, replacing those there, before
	// any token beyond the previous ones is honoured. It is called from a
	// goroutine of its own, once at a time, with no lock held, about once in
	// MarkStep for each busy signer. While it fails or panics, tokens beyond
	// the marks are refused with [ErrUnavailable]. It must return at some
	// time: a call that never does keeps them refused.
	//
	// Nil means that marks are not kept. Marks must then not be left in
	// storage either: the next start would believe them.
	Persist func(Marks) error
}

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	found := o.Marks
	if found.IsZero() {
		found = Marks{since: stampOf(o.Start)}
	}
	kept := found
	found = found.join(o.Elsewhere)
	return &Memory{
		ledger:    newLedger(),
		capacity:  capacityOf(o.Capacity),
		grants:    newGrants(),
		found:     found,
		elsewhere: o.Elsewhere,
		marker:    marker{persist: o.Persist, kept: kept},
	}
}

func capacityOf(n int) int {
	if n == 0 {
		return defaultCapacity
	}
	return min(max(n, 1), maxCapacity)
}

// Admit implements [Store]. It takes O(log n), and waits only for storage, when
// a mark has to be passed, and for others as long as the query allows; never
// longer than ctx.
func (m *Memory) Admit(ctx context.Context, q Query, clock func() time.Time) (Use, error) {
	s := q.showing()
	p := patience{left: q.Patience}
	defer p.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if m.sealed {
			return nil, ErrUnavailable
		}
		now := clock()
		slot := m.ledger.admit(s.signer, s.policy)
		grant, err := m.judgeLocked(&s, q.Grants, m.ledger.owners[slot].floor, stampOf(now))
		switch {
		case grant != nil:
			return m.joinLocked(ctx, grant, &p, clock)
		case errors.Is(err, ErrInUse):
			err = m.waitLocked(ctx, s.key, &p)
		case err == nil && m.markedLocked(&s):
			return m.takeLocked(slot, &s, q.Grants, stampOf(now)), nil
		case err == nil:
			err = m.advanceLocked(ctx, &s)
		}
		if err != nil {
			return nil, err
		}
		// The lock was let go meanwhile, so everything is judged anew.
	}
}

// Look implements [Store].
func (m *Memory) Look(ctx context.Context, q Query, clock func() time.Time) (joins bool, err error) {
	s := q.showing()
	p := patience{left: q.Patience}
	defer p.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if m.sealed {
			return false, ErrUnavailable
		}
		grant, err := m.judgeLocked(&s, q.Grants, m.ledger.ownerOf(s.signer).floorFor(s.policy), stampOf(clock()))
		if !errors.Is(err, ErrInUse) {
			return grant != nil, err
		}
		if err := m.waitLocked(ctx, s.key, &p); err != nil {
			return false, err
		}
	}
}

// judgeLocked finds the grant to be joined, or decides whether the token may be
// used.
func (m *Memory) judgeLocked(s *showing, keys []GrantKey, floor, now stamp) (*Grant, error) {
	exhausted, opening := false, false
	for _, k := range keys {
		g, state := m.grants.find(k, now)
		if state == grantOpen {
			return g, nil
		}
		exhausted = exhausted || state == grantExhausted
		opening = opening || m.grants.opening[k] > 0
	}
	if opening {
		return nil, ErrInUse
	}
	err := m.vouchLocked(s, floor)
	if exhausted && errors.Is(err, ErrReplayed) {
		err = ErrBudget
	}
	return nil, err
}

// vouchLocked is the promise: the three rules of the package comment.
func (m *Memory) vouchLocked(s *showing, floor stamp) error {
	if e, ok := m.ledger.find(s.key); ok {
		switch {
		case e.committed >= s.uses:
			return ErrReplayed
		case e.committed+e.reserved >= s.uses:
			return ErrInUse
		}
		return nil
	}
	if s.expires <= floor || !m.found.vouch(s) {
		return ErrUnproven
	}
	return nil
}

func (m *Memory) takeLocked(slot uint32, s *showing, keys []GrantKey, now stamp) *use {
	id, ok := m.ledger.index[s.key]
	if ok {
		m.ledger.touch(id, s)
	} else {
		m.makeRoomLocked(slot, now)
		id = m.ledger.add(slot, s)
	}
	e := m.ledger.at(id)
	e.reserved++
	m.reserved++
	for _, k := range keys {
		m.grants.opening[k]++
	}
	return &use{m: m, key: s.key, keys: keys, id: id, born: e.born, state: reserved}
}

func (m *Memory) makeRoomLocked(slot uint32, now stamp) {
	m.ledger.forgetExpired(now, sweep)
	if len(m.ledger.index) >= m.capacity {
		m.ledger.evict(slot)
	}
}

// Stats implements [Store].
func (m *Memory) Stats(now time.Time) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Entries:        m.ledger.live(stampOf(now)),
		Reserved:       m.reserved,
		Capacity:       m.capacity,
		EvictedLive:    m.ledger.evictedLive,
		EvictedExpired: m.ledger.evictedExpired,
		Floor:          m.ledger.highestFloor().time(),
	}
}

// SetCapacity changes how many tokens are remembered; 0 means the default, the
// least is 1. What no longer fits is evicted by the usual rule, expired entries
// first: floors rise, nothing is forgotten silently.
func (m *Memory) SetCapacity(n int, now time.Time) {
	for m.shrink(capacityOf(n), stampOf(now)) {
	}
}

// shrink evicts one batch, so that requests get their turn between two, and
// reports whether more is left.
func (m *Memory) shrink(capacity int, now stamp) bool {
	const batch = 1024
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = capacity
	m.ledger.forgetExpired(now, min(batch, max(0, len(m.ledger.index)-capacity)))
	for range batch {
		if len(m.ledger.index) <= capacity {
			return false
		}
		m.ledger.evict(commonOwner)
	}
	return true
}

var _ Store = (*Memory)(nil)
