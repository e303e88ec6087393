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

// shared is a store in the pool. It counts as used by every configuration that
// acquired it and by every request that holds it. Until it is started it
// answers nothing: requests wait.
type shared struct {
	key     string
	started chan struct{}
	once    sync.Once

	// memory is set before started is closed.
	memory *memory
}

// startTimeout is how long a request waits for its store to be ready, which may
// begin to read its storage just when the first request arrives.
const startTimeout = 10 * time.Second

// acquire returns the store with that key, opening it if need be. The caller
// must call letGo, once.
func acquire(key string) (*shared, error) {
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &shared{key: key, started: make(chan struct{})}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*shared), nil
}

// letGo gives back what [acquire] or [shared.Hold] took.
func (s *shared) letGo() error {
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
	select {
	case <-s.started:
		return s.memory.stop()
	default:
		return nil
	}
}

// Interface guards
var (
	_ downloadtoken.Store     = (*shared)(nil)
	_ downloadtoken.HeldStore = held{}
)
