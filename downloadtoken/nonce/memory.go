package nonce

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultCapacity = 1_000_000
	// maxCapacity keeps entry numbers and queue places within 31 bits.
	maxCapacity = 1 << 30
	// sweep is how many expired entries a Reserve that adds one forgets. More
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
	serial uint64 // tells the reservations of two stores apart

	mu       sync.Mutex
	ledger   ledger
	capacity int
	number   uint64
	open     map[uint64]held
	found    Marks // as at the start; rule 3 never moves during a run
	sealed   bool  // see Seal
	grants   Grants
	marker
}

// held is where the entry of an open reservation was put. If the entry was
// evicted since, the place is free or was filled again in a later turn.
type held struct {
	id   uint32
	born uint64
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

var serials atomic.Uint64

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	found := o.Marks
	if found.IsZero() {
		found = Marks{since: stampOf(o.Start)}
	}
	return &Memory{
		serial:   serials.Add(1),
		ledger:   newLedger(),
		capacity: capacityOf(o.Capacity),
		open:     make(map[uint64]held),
		found:    found,
		marker:   marker{persist: o.Persist, kept: found},
	}
}

func capacityOf(n int) int {
	if n == 0 {
		return defaultCapacity
	}
	return min(max(n, 1), maxCapacity)
}

// Reserve implements [Store]. It takes O(log n), and waits only for storage,
// no longer than ctx allows, when a mark has to be passed.
func (m *Memory) Reserve(ctx context.Context, p Presentation, now time.Time) (Reservation, error) {
	s := p.showing()
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if m.sealed {
			return Reservation{}, ErrUnavailable
		}
		slot := m.ledger.admit(s.signer, s.policy)
		if err := m.judgeLocked(&s, m.ledger.owners[slot].floor); err != nil {
			return Reservation{}, err
		}
		if m.markedLocked(&s) {
			return m.takeLocked(slot, &s, stampOf(now)), nil
		}
		// The lock is let go meanwhile, so everything is judged anew.
		if err := m.advanceLocked(ctx, &s); err != nil {
			return Reservation{}, err
		}
	}
}

// Look implements [Store].
func (m *Memory) Look(_ context.Context, p Presentation, _ time.Time) error {
	s := p.showing()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed {
		return ErrUnavailable
	}
	return m.judgeLocked(&s, m.ledger.ownerOf(s.signer).floorFor(s.policy))
}

// judgeLocked is the promise: the three rules of the package comment.
func (m *Memory) judgeLocked(s *showing, floor stamp) error {
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

func (m *Memory) takeLocked(slot uint32, s *showing, now stamp) Reservation {
	id, ok := m.ledger.index[s.key]
	if ok {
		m.ledger.touch(id, s)
	} else {
		m.makeRoomLocked(slot, now)
		id = m.ledger.add(slot, s)
	}
	e := m.ledger.at(id)
	e.reserved++
	m.number++
	m.open[m.number] = held{id, e.born}
	return Reservation{m.serial, m.number}
}

func (m *Memory) makeRoomLocked(slot uint32, now stamp) {
	m.ledger.forgetExpired(now, sweep)
	if len(m.ledger.index) >= m.capacity {
		m.ledger.evict(slot)
	}
}

// settleLocked closes a reservation. The entry is nil if it was evicted.
func (m *Memory) settleLocked(r Reservation) (e *entry, id uint32, ok bool) {
	h, ok := m.open[r.number]
	if !ok || r.store != m.serial {
		return nil, 0, false
	}
	delete(m.open, r.number)
	e = m.ledger.at(h.id)
	if e.born != h.born {
		return nil, 0, true
	}
	e.reserved--
	return e, h.id, true
}

// Commit implements [Store]. It writes nothing: the mark that keeps the token
// spent after a crash has been in storage since Reserve. If the entry was
// evicted meanwhile, the floor keeps the token spent, and Commit succeeds.
func (m *Memory) Commit(_ context.Context, r Reservation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, _, ok := m.settleLocked(r)
	if !ok {
		return ErrUnproven
	}
	if e != nil {
		e.committed++
	}
	return nil
}

// Release implements [Store]. A token of which nothing was committed is as if
// it had never been shown, unless its entry was evicted meanwhile.
func (m *Memory) Release(r Reservation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, id, _ := m.settleLocked(r)
	if e != nil && e.committed == 0 && e.reserved == 0 {
		m.ledger.drop(id)
	}
}

// Grants are the open grants of the store. They are lost in a crash, and in a
// restart that is clean only their connections.
func (m *Memory) Grants() *Grants { return &m.grants }

// Stats implements [Store].
func (m *Memory) Stats(now time.Time) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Entries:        m.ledger.live(stampOf(now)),
		Reserved:       len(m.open),
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
