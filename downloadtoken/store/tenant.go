package store

import "errors"

// Tenant is what one configuration has of a store in a [Pool]. A [Module] embeds it, and
// has Start, Stopping and Cleanup from it; its Open calls Join. The zero value is ready for
// use.
type Tenant[S Opened] struct {
	shared   *Shared[S]
	settings Settings[S]
	running  bool // started, and not let go
}

// Join acquires the store of that name. Nothing outside the process is touched before
// Start.
func (t *Tenant[S]) Join(p *Pool[S], name string, settings Settings[S]) Handle {
	t.shared, t.settings = p.Acquire(name), settings
	return t.shared
}

// Start implements [Module].
func (t *Tenant[S]) Start() error {
	err := t.shared.Start(t.settings)
	t.running = err == nil
	return err
}

// Stopping implements [Module].
func (t *Tenant[S]) Stopping() error { return t.shared.Stop() }

// Cleanup lets go of the store, and does nothing the second time; the last one to let go
// closes it.
func (t *Tenant[S]) Cleanup() error {
	if t.shared == nil {
		return nil
	}
	shared := t.shared
	t.shared = nil
	var err error
	if t.running {
		err = shared.End(t.settings)
	}
	return errors.Join(err, shared.Close())
}
