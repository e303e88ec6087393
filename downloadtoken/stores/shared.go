package stores

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

// pool holds the open stores of the process by type and name, so that they
// outlive the configuration that opened them: a new configuration acquires a
// store before the old one lets go of it.
var pool = caddy.NewUsagePool()

// shared is a store in the pool. It counts as used by every configuration that
// acquired it and by every request that holds it.
type shared struct {
	nonce.Store
	key string
}

// acquire returns the store with that key, opening it if need be. The caller
// must call letGo, once.
func acquire(key string, open func() nonce.Store) (*shared, error) {
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &shared{Store: open(), key: key}, nil
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
func (s *shared) Hold() (func(), error) {
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
	return func() { _ = s.letGo() }, nil
}

// Destruct closes the store when nobody uses it any more.
func (s *shared) Destruct() error {
	return nil
}

// Interface guard
var _ downloadtoken.Store = (*shared)(nil)
