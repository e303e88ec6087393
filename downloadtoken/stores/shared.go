package stores

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

// pool holds the open stores of the process by type and name, so that they
// outlive the configuration that opened them: a new configuration acquires a
// store before the old one lets go of it.
var pool = caddy.NewUsagePool()

// turn makes whoever opens a store wait until the one that was last in the pool
// under its name is closed: the pool forgets a store before it destructs it, and
// two at work would write over each other in storage.
var turn sync.RWMutex

// shared is a store in the pool. It counts as used by every configuration that
// acquired it and by every request that holds it. Until it is started it
// answers nothing: requests wait.
type shared struct {
	key     string
	started chan struct{}
	memory  *memory // set before started is closed

	mu      sync.Mutex
	failed  bool
	configs int     // started configurations that have not let go
	next    *Memory // the newest of them, if its settings are not in force yet
}

// startTimeout is how long a request waits for its store to be ready, which may
// begin to read its storage just when the first request arrives.
const startTimeout = 10 * time.Second

// acquire returns the store with that key, opening it if need be. The caller
// must call letGo, once.
func acquire(key string) *shared {
	turn.Lock()
	defer turn.Unlock()
	for {
		value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
			return &shared{key: key, started: make(chan struct{})}, nil
		})
		if err == nil {
			return value.(*shared)
		}
		// A request that came too late for an earlier store of this name (see
		// Hold) was in the way for a moment.
	}
}

// letGo gives back what [acquire] or [shared.Hold] took.
func (s *shared) letGo() error {
	turn.RLock()
	defer turn.RUnlock()
	_, err := pool.Delete(s.key)
	return err
}

// Hold implements [downloadtoken.Store]. A store that has left the pool stays
// out: its successor may be open by now, and two stores of one name would each
// honour a token.
func (s *shared) Hold(ctx context.Context) (downloadtoken.HeldStore, error) {
	value, _, err := pool.LoadOrNew(s.key, func() (caddy.Destructor, error) {
		return nil, nonce.ErrUnavailable
	})
	if err != nil {
		return nil, err
	}
	if value != any(s) {
		_ = value.(*shared).letGo()
		return nil, nonce.ErrUnavailable
	}
	if s.isStarted() { // first, since ctx may have ended as well
		return held{s.memory, s}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-s.started:
		return held{s.memory, s}, nil
	case <-ctx.Done():
		_ = s.letGo()
		return nil, nonce.ErrUnavailable
	}
}

func (s *shared) isStarted() bool {
	select {
	case <-s.started:
		return true
	default:
		return false
	}
}

// held is a started store that cannot be closed.
type held struct {
	*memory
	shared *shared
}

// LetGo implements [downloadtoken.HeldStore].
func (h held) LetGo() { _ = h.shared.letGo() }

// Destruct closes the store when nobody uses it any more. One that was never
// started, as under `caddy validate`, has nothing to say about a clean stop.
func (s *shared) Destruct() error {
	if !s.isStarted() {
		return nil
	}
	return s.memory.stop()
}

// start makes the store ready for a configuration that takes over. The settings
// of m come into force at once only if no other configuration is there: the
// takeover may still fail, and must not have changed anything then.
func (s *shared) start(m *Memory) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return nonce.ErrUnavailable // Caddy is letting go of it
	}
	if !s.isStarted() {
		memory, err := m.begin()
		if err != nil {
			s.failed = true
			return err
		}
		s.memory = memory
		close(s.started)
	} else if s.configs > 0 {
		if err := m.claim(s.memory); err != nil {
			return err
		}
		s.next = m
	} else if err := m.apply(s.memory); err != nil {
		return err
	}
	s.configs++
	return nil
}

// end is told when a configuration that was started lets go. If it was the old
// one, the settings of the new one come into force.
func (s *shared) end(m *Memory) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configs--
	next := s.next
	s.next = nil
	if next == nil || next == m {
		return nil
	}
	return next.apply(s.memory)
}

// Interface guards
var (
	_ downloadtoken.Store     = (*shared)(nil)
	_ downloadtoken.HeldStore = held{}
)
