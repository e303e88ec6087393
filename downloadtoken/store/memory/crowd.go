package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// maxWaiting is how many requests may wait for others in a store at a time. One
// more is told at once that the token is in use.
const maxWaiting = 10_000

// crowd is the requests that wait until another one has decided about a token:
// to spend it, to open a grant with it, or to give it back. The zero value is
// ready for use; it is guarded by the lock of the store.
type crowd struct {
	changed map[rules.Key]chan struct{} // closed when something has changed for the token
	waiting int
}

// waitLocked waits for a change and returns, locked again, for the caller to
// look once more. It fails with ErrInUse when patience or ctx ends first.
func (m *engine) waitLocked(ctx context.Context, k rules.Key, p *patience) error {
	if p.left <= 0 || m.waiting >= maxWaiting {
		return rules.ErrInUse
	}
	changed, ok := m.changed[k]
	if !ok {
		if m.changed == nil {
			m.changed = make(map[rules.Key]chan struct{})
		}
		changed = make(chan struct{})
		m.changed[k] = changed
	}
	m.waiting++
	m.mu.Unlock()
	err := p.wait(ctx, changed)
	m.mu.Lock()
	m.waiting--
	return err
}

// wakeLocked lets the requests that wait for the token look again.
func (m *engine) wakeLocked(k rules.Key) {
	if changed, ok := m.changed[k]; ok {
		close(changed)
		delete(m.changed, k)
	}
}

// wakeAll lets all that wait look again.
func (m *engine) wakeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.changed {
		m.wakeLocked(k)
	}
}

// joinLocked joins an open grant, waiting for a connection if need be, and
// returns locked again.
func (m *engine) joinLocked(ctx context.Context, g *grant, q *store.Query, p *patience, clock func() time.Time) (store.Use, error) {
	if err := g.admit(clock()); err != nil {
		return nil, err
	}
	m.mu.Unlock()
	err := g.connect(ctx, p)
	m.mu.Lock()
	if err != nil {
		return nil, err
	}
	if err := m.askableLocked(q, clock()); err != nil { // it may have waited
		g.leave()
		return nil, err
	}
	return &use{m: m, grant: g}, nil
}

// patience is how long a request goes on waiting, however often it has to.
type patience struct {
	left  time.Duration
	timer *time.Timer
}

// wait returns when done is closed, or with ErrInUse.
func (p *patience) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-p.out():
		p.left = 0
		return rules.ErrInUse
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", rules.ErrInUse, context.Cause(ctx))
	}
}

// out is when patience ends.
func (p *patience) out() <-chan time.Time {
	if p.timer == nil {
		p.timer = time.NewTimer(p.left)
	}
	return p.timer.C
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
