package local

import (
	"context"
	"sync"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// maxWaiting is how many requests may wait for others in a store at a time. One
// more is told at once that the token is in use.
const maxWaiting = 10_000

// Crowd is the requests that wait until another has decided about a token: to spend
// it, to open a grant with it, or to give it back. The zero value is ready for use.
type Crowd struct {
	changed map[rules.Key]chan struct{} // closed when something has changed for the token
	waiting int
}

// Wait unlocks the store, waits for a change, and returns with the lock held, for the
// caller to look once more. It fails with [rules.ErrInUse] when patience or ctx ends
// first.
func (c *Crowd) Wait(ctx context.Context, lock sync.Locker, k rules.Key, p *Patience) error {
	if p.left <= 0 || c.waiting >= maxWaiting {
		return rules.ErrInUse
	}
	changed, ok := c.changed[k]
	if !ok {
		if c.changed == nil {
			c.changed = make(map[rules.Key]chan struct{})
		}
		changed = make(chan struct{})
		c.changed[k] = changed
	}
	c.waiting++
	lock.Unlock()
	err := p.wait(ctx, changed)
	lock.Lock()
	c.waiting--
	return err
}

// Waiting counts the requests that wait.
func (c *Crowd) Waiting() int { return c.waiting }

// Wake has the requests that wait for the token look again.
func (c *Crowd) Wake(k rules.Key) {
	if changed, ok := c.changed[k]; ok {
		close(changed)
		delete(c.changed, k)
	}
}

// WakeAll has all requests that wait look again.
func (c *Crowd) WakeAll() {
	for k := range c.changed {
		c.Wake(k)
	}
}
