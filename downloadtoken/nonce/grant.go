package nonce

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// The limits of one grant.
const (
	// MaxConnections is how many requests may draw on a grant at a time;
	// others wait.
	MaxConnections = 16
	// MaxRequests is how many requests a grant serves in all. Real clients need
	// a few hundred; without a limit, requests for nothing would be free.
	MaxRequests = 10_000
	// MaxChunk is the most that a connection may draw at a time while little is
	// left. It bounds what a connection that stalls keeps from the others.
	MaxChunk = 256 << 10
	// maxShare is the most that it may draw while much is left, 1/64 of which it
	// may hold: every draw costs a call of sendfile.
	maxShare = 1 << 20
)

// GrantKey is what a grant is found by.
type GrantKey [32]byte

// NewGrantKey pins a grant to a use of a token, to a path, to a client, and to
// one press of a button; an empty client or press is any.
func NewGrantKey(token Key, path, client, press string) GrantKey {
	b := append(make([]byte, 0, 256), token[:]...)
	for _, field := range [...]string{path, client} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
		b = append(b, field...)
	}
	return sha256.Sum256(append(b, press...))
}

// Terms are what a grant is for.
type Terms struct {
	Key    GrantKey  // what it will be found by
	ETag   string    // strong entity tag of the file
	Size   int64     // of the file, in bytes; 0 if it is not known, then whole answers are counted
	Copies int       // how often the file may be sent in all; less than 1 means 1
	Begins time.Time // when it was opened
	Ends   time.Time // when its window ends
}

// Budget is the number of bytes that a grant for these terms sends in all:
// Copies times the file, and a little more for what clients ask for twice.
func (t Terms) Budget() int64 {
	return int64(max(t.Copies, 1))*t.Size + min(1<<20, t.Size/4)
}

// Grant is an opened one-time download that may still be resumed. All methods
// may be called by any number of goroutines.
//
// It is open until its window ends or its budget is used up. That every byte was
// sent does not close it: sent is not received, and nobody but the client knows
// what has arrived.
type Grant struct {
	terms Terms

	mu        sync.Mutex
	left      int64 // bytes, or whole answers if the size is not known
	requests  int
	users     int  // requests that have joined or are about to
	exhausted bool // somebody was told so
	slots     chan struct{}
}

func newGrant(t Terms) *Grant {
	g := &Grant{terms: t, left: t.Budget(), slots: make(chan struct{}, MaxConnections)}
	if t.Size == 0 {
		g.left = int64(max(t.Copies, 1))
	}
	return g
}

// Terms are what the grant was opened with.
func (g *Grant) Terms() Terms { return g.terms }

// admit counts a request. ErrBudget: it was closed by another just now.
func (g *Grant) admit(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stateLocked(stampOf(now)) != grantOpen {
		return ErrBudget
	}
	g.requests++
	g.users++
	if g.terms.Size == 0 {
		g.left--
	}
	return nil
}

// connect waits for a connection to be free.
func (g *Grant) connect(ctx context.Context, p *patience) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	err := ErrInUse
	if p.left > 0 {
		select {
		case g.slots <- struct{}{}:
			return nil
		case <-p.out():
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", ErrInUse, context.Cause(ctx))
		}
	}
	g.dismiss()
	return err
}

func (g *Grant) dismiss() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
}

// leave frees the connection of a request that has joined.
func (g *Grant) leave() {
	<-g.slots
	g.dismiss()
}

// idle reports whether no request has joined.
func (g *Grant) idle() bool {
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

func (g *Grant) state(now stamp) grantState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stateLocked(now)
}

func (g *Grant) stateLocked(now stamp) grantState {
	switch {
	case now >= stampOf(g.terms.Ends):
		return grantClosed
	case g.left <= 0, g.requests >= MaxRequests:
		return grantExhausted
	}
	return grantOpen
}

// IsOpen reports whether the window has not ended at now.
func (g *Grant) IsOpen(now time.Time) bool { return stampOf(now) < stampOf(g.terms.Ends) }

// Draw takes at most n bytes, and no more than [MaxChunk] (of a large budget,
// four times that), out of the budget before they are written. 0: it is used up.
func (g *Grant) Draw(n int64) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = max(0, min(n, g.left, max(MaxChunk, min(maxShare, g.left/64))))
	g.left -= n
	return n
}

// Return gives back what was drawn and never handed to whoever writes. What was
// handed over counts as sent, whatever its writer says of it: frames of HTTP/2
// may be out although the stream was reset.
func (g *Grant) Return(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left += n
}

// Left is the number of bytes that may still be sent.
func (g *Grant) Left() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.left
}

// Exhausted notes that a request ran out of bytes, and reports whether it is the
// first one.
func (g *Grant) Exhausted() (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first = !g.exhausted
	g.exhausted = true
	return first
}
