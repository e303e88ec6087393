package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// How many bytes a connection may draw at a time.
const (
	// maxChunk is the most while little is left. It bounds what a connection that
	// stalls keeps from the others.
	maxChunk = 256 << 10
	// maxShare is the most while much is left, 1/64 of which it may hold: every draw
	// costs a call of sendfile.
	maxShare = 1 << 20
)

// Grant implements [store.Grant]. All methods may be called by any number of
// goroutines.
//
// It is open until its window ends or its budget is used up. That every byte was
// sent does not close it: sent is not received, and only the client knows what has
// arrived.
type Grant struct {
	terms rules.Terms

	mu        sync.Mutex
	left      int64 // bytes, or whole answers if the size is not known
	requests  int
	users     int  // requests that have joined or are about to
	exhausted bool // a request was told so
	slots     chan struct{}
}

func newGrant(t rules.Terms) *Grant {
	return &Grant{terms: t, left: t.Budget(), slots: make(chan struct{}, store.MaxConnections)}
}

// Described is what [store.Store.Look] says of it; nil of none.
func (g *Grant) Described() *store.Open {
	if g == nil {
		return nil
	}
	return &store.Open{Left: g.Left(), Ends: g.terms.Ends}
}

// Terms implements [store.Grant].
func (g *Grant) Terms() rules.Terms { return g.terms }

// Join counts a request, and waits for a connection to be free. [rules.ErrBudget]:
// another request has used the grant up just now. The caller must not hold the lock
// of the store, and must Leave.
func (g *Grant) Join(ctx context.Context, now time.Time, p *Patience) error {
	if err := g.admit(now); err != nil {
		return err
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	err := rules.ErrInUse
	if p.left > 0 {
		select {
		case g.slots <- struct{}{}:
			return nil
		case <-p.out():
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", rules.ErrInUse, context.Cause(ctx))
		}
	}
	g.dismiss()
	return err
}

func (g *Grant) admit(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stateLocked(rules.StampOf(now)) != open {
		return rules.ErrBudget
	}
	g.requests++
	g.users++
	if g.terms.Size == 0 {
		g.left--
	}
	return nil
}

func (g *Grant) dismiss() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
}

// Leave frees the connection of a request that has joined.
func (g *Grant) Leave() {
	<-g.slots
	g.dismiss()
}

// state says whether a grant could serve a request.
type state uint8

const (
	closed    state = iota // there is none, or its window has ended
	exhausted              // its bytes or requests are used up
	open
)

func (g *Grant) state(now rules.Stamp) state {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stateLocked(now)
}

func (g *Grant) stateLocked(now rules.Stamp) state {
	switch {
	case now >= rules.StampOf(g.terms.Ends):
		return closed
	case g.left <= 0, g.requests >= store.MaxRequests:
		return exhausted
	}
	return open
}

// isIdle reports whether no request has joined.
func (g *Grant) isIdle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.users == 0
}

// isDone reports whether as much as a whole copy was sent and no request draws.
func (g *Grant) isDone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.users == 0 && (g.terms.Size == 0 || g.left <= g.terms.Budget()-g.terms.Size)
}

// Draw implements [store.Grant]. It takes no more than 256 KiB at a time, and of a
// large budget up to 1 MiB.
func (g *Grant) Draw(_ context.Context, n int64) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = max(0, min(n, g.left, max(maxChunk, min(maxShare, g.left/64))))
	g.left -= n
	return n, nil
}

// Return implements [store.Grant].
func (g *Grant) Return(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left += n
}

// Left implements [store.Grant].
func (g *Grant) Left() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.left
}

// Exhausted implements [store.Grant].
func (g *Grant) Exhausted() (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first = !g.exhausted
	g.exhausted = true
	return first
}

var _ store.Grant = (*Grant)(nil)
