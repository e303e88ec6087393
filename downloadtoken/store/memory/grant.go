package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// How much a connection may draw at a time.
const (
	// maxChunk is the most that a connection may draw at a time while little is
	// left. It bounds what a connection that stalls keeps from the others.
	maxChunk = 256 << 10
	// maxShare is the most that it may draw while much is left, 1/64 of which it
	// may hold: every draw costs a call of sendfile.
	maxShare = 1 << 20
)

// grant implements [store.Grant]. All methods may be called by any number of
// goroutines.
//
// It is open until its window ends or its budget is used up. That every byte was
// sent does not close it: sent is not received, and only the client knows what has
// arrived.
type grant struct {
	terms rules.Terms

	mu        sync.Mutex
	left      int64 // bytes, or whole answers if the size is not known
	requests  int
	users     int  // requests that have joined or are about to
	exhausted bool // a request was told so
	slots     chan struct{}
}

func newGrant(t rules.Terms) *grant {
	return &grant{terms: t, left: t.Budget(), slots: make(chan struct{}, store.MaxConnections)}
}

// Terms are what the grant was opened with.
func (g *grant) Terms() rules.Terms { return g.terms }

// admit counts a request. ErrBudget: it was closed by another just now.
func (g *grant) admit(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stateLocked(rules.StampOf(now)) != grantOpen {
		return rules.ErrBudget
	}
	g.requests++
	g.users++
	if g.terms.Size == 0 {
		g.left--
	}
	return nil
}

// connect waits for a connection to be free.
func (g *grant) connect(ctx context.Context, p *patience) error {
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

func (g *grant) dismiss() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
}

// leave frees the connection of a request that has joined.
func (g *grant) leave() {
	<-g.slots
	g.dismiss()
}

// idle reports whether no request has joined.
func (g *grant) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.users == 0
}

// grantState says whether a grant could serve a request.
type grantState uint8

const (
	grantClosed    grantState = iota // there is none, or its window has ended
	grantExhausted                   // its bytes or requests are used up
	grantOpen
)

func (g *grant) state(now rules.Stamp) grantState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stateLocked(now)
}

func (g *grant) stateLocked(now rules.Stamp) grantState {
	switch {
	case now >= rules.StampOf(g.terms.Ends):
		return grantClosed
	case g.left <= 0, g.requests >= store.MaxRequests:
		return grantExhausted
	}
	return grantOpen
}

// Draw takes at most n bytes, and no more than [maxChunk] (of a large budget,
// four times that), out of the budget before they are written. 0: it is used up.
func (g *grant) Draw(_ context.Context, n int64) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = max(0, min(n, g.left, max(maxChunk, min(maxShare, g.left/64))))
	g.left -= n
	return n, nil
}

// Return gives back what was drawn and never handed to a writer. What was
// handed over counts as sent, whatever its writer says of it: frames of HTTP/2
// may be out although the stream was reset.
func (g *grant) Return(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left += n
}

// Left is the number of bytes that may still be sent.
func (g *grant) Left() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.left
}

// Exhausted notes that a request ran out of bytes, and reports whether it is the
// first one.
func (g *grant) Exhausted() (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first = !g.exhausted
	g.exhausted = true
	return first
}
