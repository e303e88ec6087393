package store

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// Handle is a store as configurations and requests have it: it outlives the
// configuration that opened it, and is closed when no holder is left.
type Handle interface {
	Store

	// Hold waits until the store is ready, and keeps it from being closed while
	// a request is in flight that may outlive its configuration. A store that is
	// closed already answers [rules.ErrUnavailable]. The methods of Store may be
	// called only while it is held.
	Hold(ctx context.Context) error

	// LetGo ends the hold, once.
	LetGo()
}

// Opened is a store that can be closed. If it holds on to something until then, such as
// a file, it implements [io.Closer] as well, which is called once, after the last Stop.
type Opened interface {
	Store

	// Stop ends its work and writes what a later run has to know. It may be called
	// again.
	Stop() error
}

// Settings are what one configuration wants of a store.
type Settings[S Opened] interface {
	// Begin opens the store.
	Begin() (S, error)

	// Claim makes sure that an open store can change to these settings, and
	// changes nothing else.
	Claim(S) error

	// Apply brings the settings into force for an open store.
	Apply(S) error
}

// Pool holds the open stores of one type by name, so that they outlive the
// configuration that opened them: a new configuration acquires a store before the
// old one lets go of it. The zero value is empty and ready for use. No lock is
// held while a store is opened or closed, and a request takes none.
type Pool[S Opened] struct {
	mu   sync.Mutex
	open map[string]*Shared[S]
}

// Acquire returns the store of that name. If the last one of that name is being
// closed, it waits: two at work would write over each other in storage. The caller
// must Close what it got.
func (p *Pool[S]) Acquire(name string) *Shared[S] {
	for {
		p.mu.Lock()
		s, ok := p.open[name]
		if !ok {
			s = &Shared[S]{pool: p, name: name, started: make(chan struct{}), closed: make(chan struct{})}
			s.holders.Store(1)
			if p.open == nil {
				p.open = make(map[string]*Shared[S])
			}
			p.open[name] = s
		}
		p.mu.Unlock()
		if !ok || s.hold() {
			return s
		}
		<-s.closed
	}
}

// Shared is a store in a [Pool]. It counts as held by every configuration that
// acquired it and by every request. Until it is started it answers nothing:
// requests wait. It implements [Handle].
type Shared[S Opened] struct {
	Store // set before started is closed

	pool    *Pool[S]
	name    string
	holders atomic.Int64  // 0: closed, for good
	started chan struct{} // closed when it is
	closed  chan struct{} // closed when it is
	opened  S             // the same as Store

	// Of configurations; requests do not take it.
	mu      sync.Mutex
	failed  bool
	configs int         // started configurations that have not let go
	next    Settings[S] // of the newest of them, if they are not in force yet
}

// startTimeout is how long a request waits for its store to be ready, which may
// begin to read its storage just when the first request arrives.
const startTimeout = 10 * time.Second

// hold counts one more holder, unless there was none left. A store that was closed
// stays closed: its successor may be open by now, and two stores of one name would
// each honour a token.
func (s *Shared[S]) hold() bool {
	for {
		n := s.holders.Load()
		if n == 0 {
			return false
		}
		if s.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Hold implements [Handle].
func (s *Shared[S]) Hold(ctx context.Context) error {
	if !s.hold() {
		return rules.ErrUnavailable
	}
	if s.IsStarted() { // first, since ctx may have ended as well
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-s.started:
		return nil
	case <-ctx.Done():
		s.LetGo()
		return rules.ErrUnavailable
	}
}

// LetGo implements [Handle].
func (s *Shared[S]) LetGo() { _ = s.Close() }

// Close gives back what [Pool.Acquire] returned. The last holder closes the store;
// one that was never started, as under `caddy validate`, has nothing to say about
// a clean stop.
func (s *Shared[S]) Close() error {
	if s.holders.Add(-1) > 0 {
		return nil
	}
	err := s.Stop()
	if s.IsStarted() {
		if c, ok := any(s.opened).(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
	}
	s.pool.mu.Lock()
	delete(s.pool.open, s.name)
	s.pool.mu.Unlock()
	close(s.closed)
	return err
}

// Stop ends the work of the store, if it has begun.
func (s *Shared[S]) Stop() error {
	if !s.IsStarted() {
		return nil
	}
	return s.opened.Stop()
}

// IsStarted reports whether the store is ready.
func (s *Shared[S]) IsStarted() bool {
	select {
	case <-s.started:
		return true
	default:
		return false
	}
}

// Start makes the store ready for a configuration that takes over. Its settings
// come into force at once only if no other configuration is there: the takeover
// may still fail, and must not have changed anything then.
func (s *Shared[S]) Start(settings Settings[S]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed:
		return rules.ErrUnavailable // Caddy is letting go of it
	case !s.IsStarted():
		opened, err := settings.Begin()
		if err != nil {
			s.failed = true
			return err
		}
		s.opened, s.Store = opened, opened
		close(s.started)
	case s.configs > 0:
		if err := settings.Claim(s.opened); err != nil {
			return err
		}
		s.next = settings
	default:
		if err := settings.Apply(s.opened); err != nil {
			return err
		}
	}
	s.configs++
	return nil
}

// End is told when a configuration that was started lets go. If it was the old
// one, the settings of the new one come into force.
func (s *Shared[S]) End(settings Settings[S]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configs--
	next := s.next
	s.next = nil
	if next == nil || next == settings {
		return nil
	}
	return next.Apply(s.opened)
}
