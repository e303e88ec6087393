package storetest_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/storetest"
)

// server is a toy: a goroutine that does what it is asked, one thing after the
// other. It is the [storetest.Disk] of a remote store, and crashes with it.
type server struct {
	asks        chan ask
	gone        chan struct{} // closed at the end of the test
	broken, cut atomic.Bool
	client      int // who may ask; earlier ones are refused

	// What survives a crash, but for what is reserved.
	entries map[rules.Key]*entry
	marks   rules.Marks
	revoked *rules.Revocations
	stopped bool // cleanly, so nothing was lost

	// What does not.
	found   rules.Marks // at the start
	owners  map[rules.Signer]owner
	grants  map[rules.GrantKey]*held
	opening map[rules.GrantKey]int
}

type entry struct {
	committed, reserved uint32
	keep                rules.Stamp
}

type owner struct {
	policy          string
	floor, farthest rules.Stamp
}

// held is an open grant.
type held struct {
	terms    rules.Terms
	left     int64
	users    int
	requests int
	told     bool
}

// booking is a use that was admitted.
type booking struct {
	key      rules.Key
	keys     []rules.GrantKey // of grants that it may still open
	reserved bool
	pending  bool // it may open one
	grant    *held
}

// ask is one round trip. writes: it fails while the server cannot write.
type ask struct {
	client int
	writes bool
	do     func() error
	answer chan error
}

func newServer(t testing.TB) *server {
	s := &server{asks: make(chan ask), gone: make(chan struct{})}
	s.Lose()
	go func() {
		for {
			select {
			case a := <-s.asks:
				a.answer <- s.handle(a)
			case <-s.gone:
				return
			}
		}
	}()
	t.Cleanup(func() { close(s.gone) })
	return s
}

// handle delays, fails, and while it is cut off loses the question or the answer.
func (s *server) handle(a ask) error {
	if rand.N(200) == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	cut := s.cut.Load()
	if cut && rand.N(2) == 0 || a.writes && s.broken.Load() || a.client != s.client {
		return rules.ErrUnavailable
	}
	if err := a.do(); !cut {
		return err
	}
	return rules.ErrUnavailable
}

// operate changes the server when nobody asks it anything.
func (s *server) operate(do func()) {
	done := make(chan error, 1)
	s.asks <- ask{client: s.client, do: func() error { do(); return nil }, answer: done}
	<-done
}

func (s *server) Lose() {
	s.entries, s.marks, s.revoked, s.stopped = map[rules.Key]*entry{}, rules.Marks{}, new(rules.Revocations), false
}

func (s *server) Break(broken bool) { s.broken.Store(broken) }

func (s *server) Cut(cut bool) { s.cut.Store(cut) }

func (s *server) Open(l storetest.Life) store.Store {
	s.operate(func() {
		s.client++
		if s.marks.IsZero() {
			s.marks = rules.NewMarks(l.Start)
		}
		if !s.stopped { // it crashed
			for k, e := range s.entries {
				if e.reserved = 0; e.committed == 0 {
					delete(s.entries, k)
				}
			}
			s.found, s.owners, s.grants = s.marks, map[rules.Signer]owner{}, map[rules.GrantKey]*held{}
		}
		s.stopped, s.opening = false, map[rules.GrantKey]int{}
	})
	return &remote{s, s.client}
}

func (s *server) Stop(time.Time) {
	s.operate(func() {
		s.client++
		s.stopped = true
		for _, e := range s.entries {
			e.committed, e.reserved = e.committed+e.reserved, 0
		}
		for k, g := range s.grants {
			if g.users > 0 { // what they still send would be missing
				delete(s.grants, k)
			}
		}
	})
}

func (s *server) isRevoked(t func() rules.Revocable, now time.Time) error {
	if s.revoked.Revoked(t, now) {
		return rules.ErrRevoked
	}
	return nil
}

// ownerOf is the owner as it would be under the policy of s.
func (s *server) ownerOf(p *rules.Showing) owner {
	o, ok := s.owners[p.Signer]
	if ok && o.policy != p.Policy {
		o.floor = max(o.floor, o.farthest)
	}
	o.policy = p.Policy
	return o
}

// judge finds the grant to be joined, or tells whether the token may be used.
func (s *server) judge(q *store.Query, now time.Time) (*held, error) {
	if err := s.isRevoked(q.Revocable, now); err != nil {
		return nil, err
	}
	exhausted := false
	for _, k := range q.Grants {
		if g, ok := s.grants[k]; ok && g.terms.IsOpen(now) {
			if g.left > 0 && g.requests < store.MaxRequests {
				return g, nil
			}
			exhausted = true
		}
	}
	if slices.ContainsFunc(q.Grants, func(k rules.GrantKey) bool { return s.opening[k] > 0 }) {
		return nil, rules.ErrInUse
	}
	p := q.Showing()
	e, found := s.entries[p.Key]
	if !found {
		e = new(entry)
	}
	err := rules.Judge(&p, found, e.committed, e.reserved, s.ownerOf(&p).floor, s.found)
	if exhausted && errors.Is(err, rules.ErrReplayed) {
		err = rules.ErrBudget
	}
	return nil, err
}

func (s *server) admit(q *store.Query, now time.Time) (*booking, error) {
	g, err := s.judge(q, now)
	p := q.Showing()
	if !errors.Is(err, rules.ErrRevoked) {
		s.owners[p.Signer] = s.ownerOf(&p)
	}
	if err != nil {
		return nil, err
	}
	if g != nil {
		if g.users >= store.MaxConnections {
			return nil, rules.ErrInUse
		}
		return &booking{grant: g.join()}, nil
	}
	return s.take(q, &p), nil
}

func (g *held) join() *held {
	g.users++
	g.requests++
	if g.terms.Size == 0 {
		g.left--
	}
	return g
}

func (s *server) take(q *store.Query, p *rules.Showing) *booking {
	s.marks = s.marks.Raised(map[rules.Signer]rules.Mark{p.Signer: p.Ahead()})
	o := s.owners[p.Signer]
	o.farthest = max(o.farthest, p.Expires)
	s.owners[p.Signer] = o
	e, ok := s.entries[p.Key]
	if !ok {
		e = new(entry)
		s.entries[p.Key] = e
	}
	e.keep = max(e.keep, p.Keep)
	e.reserved++
	for _, k := range q.Grants {
		s.opening[k]++
	}
	return &booking{key: p.Key, keys: q.Grants, reserved: true, pending: true}
}

func (s *server) commit(b *booking, t *rules.Terms) error {
	if !b.reserved && (!b.pending || t == nil) {
		return rules.ErrUnproven
	}
	if b.reserved {
		b.reserved = false
		s.entries[b.key].reserved--
		s.entries[b.key].committed++
	}
	if t != nil && slices.Contains(b.keys, t.Key) && (t.ETag != "" || t.Size == 0) && t.IsOpen(t.Begins) {
		b.grant = (&held{terms: *t, left: t.Budget()}).join()
		s.grants[t.Key] = b.grant
	}
	if t != nil || len(b.keys) == 0 {
		s.end(b)
	}
	return nil
}

// end: it opens no grant any more.
func (s *server) end(b *booking) {
	for _, k := range b.keys {
		s.opening[k]--
	}
	b.keys, b.pending = nil, false
}

func (s *server) release(b *booking) {
	if b.reserved {
		b.reserved = false
		if e := s.entries[b.key]; e.reserved+e.committed > 1 {
			e.reserved--
		} else {
			delete(s.entries, b.key) // as if it had never been shown
		}
	}
	if b.grant != nil {
		b.grant.users--
		b.grant = nil
	}
	s.end(b)
}

func (s *server) stats(now time.Time) (st store.Stats) {
	for _, e := range s.entries {
		st.Reserved += int(e.reserved)
		if rules.StampOf(now) <= e.keep {
			st.Entries++
		}
	}
	for _, o := range s.owners {
		if floor := o.floor.Time(); floor.After(st.Floor) {
			st.Floor = floor
		}
	}
	return st
}
