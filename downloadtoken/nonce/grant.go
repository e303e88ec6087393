package nonce

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// The limits of one grant.
const (
	// MaxConnections is how many requests may draw on a grant at a time;
	// others wait.
	MaxConnections = 16
	// ConnectionWait is for how long.
	ConnectionWait = 2 * time.Second
	// MaxRequests is how many requests a grant serves in all. Real clients need
	// a few hundred; without a limit, requests for nothing would be free.
	MaxRequests = 10_000
	// Afterglow is how long a grant stays open once every byte of the file was
	// sent: a client that lost the end of it learns so within seconds.
	Afterglow = time.Minute
	// MaxChunk is the most that a connection may draw at a time while little is
	// left. It bounds what a connection that stalls keeps from the others.
	MaxChunk = 256 << 10
	// maxShare is the most that it may draw while much is left, 1/64 of which it
	// may hold: every draw costs a call of sendfile.
	maxShare = 1 << 20
)

// GrantKey is what a grant is found by.
type GrantKey [32]byte

// NewGrantKey pins a grant to a use of a token, to a path, and to a client; an
// empty client is any.
func NewGrantKey(token Key, path, client string) GrantKey {
	b := append(make([]byte, 0, 256), token[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(path)))
	b = append(b, path...)
	return sha256.Sum256(append(b, client...))
}

// Terms are what a grant is for.
type Terms struct {
	ETag   string    // strong entity tag of the file
	Size   int64     // of the file, in bytes, at least 1
	Copies int       // how often the file may be sent in all; less than 1 means 1
	Ends   time.Time // when the window ends
}

// Budget is the number of bytes that a grant for these terms sends in all:
// Copies times the file, and a little more for what clients ask for twice.
func (t Terms) Budget() int64 {
	return int64(max(t.Copies, 1))*t.Size + min(1<<20, t.Size/4)
}

// Grant is an opened one-time download that may still be resumed. All methods
// may be called by any number of goroutines.
type Grant struct {
	terms Terms

	mu       sync.Mutex
	ends     stamp
	left     int64
	requests int
	users    int  // requests that have joined or are about to
	sealed   bool // no request joins any more
	sent     spans
	complete bool
	slots    chan struct{} // one for each connection
}

func newGrant(t Terms) *Grant {
	return &Grant{terms: t, ends: stampOf(t.Ends), left: t.Budget(), slots: make(chan struct{}, MaxConnections)}
}

// Terms are what the grant was opened with.
func (g *Grant) Terms() Terms { return g.terms }

// Join counts a request and waits for a connection to be free, up to
// [ConnectionWait]. [ErrInUse]: none was. [ErrReplayed]: the window has ended or
// the budget or the requests are used up. The caller must Leave.
func (g *Grant) Join(ctx context.Context, now time.Time) error {
	if err := g.admit(now); err != nil {
		return err
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(ConnectionWait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	g.dismiss()
	return ErrInUse
}

func (g *Grant) admit(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sealed {
		return ErrUnavailable
	}
	if !g.isOpenLocked(stampOf(now)) {
		return ErrReplayed
	}
	g.requests++
	g.users++
	return nil
}

func (g *Grant) dismiss() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
}

// seal lets no further request join, and reports whether none is there.
func (g *Grant) seal() (idle bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sealed = true
	return g.users == 0
}

// IsOpen reports whether a request at now could be served.
func (g *Grant) IsOpen(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isOpenLocked(stampOf(now))
}

func (g *Grant) isOpenLocked(now stamp) bool {
	return now < g.ends && g.left > 0 && g.requests < MaxRequests
}

// Leave frees the connection of a request that has joined.
func (g *Grant) Leave() {
	<-g.slots
	g.dismiss()
}

// Draw takes at most n bytes, and no more than [MaxChunk] (of a large budget,
// four times that), out of the budget before they are written. 0: it is used up.
func (g *Grant) Draw(n int64) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = max(0, min(n, g.left, max(MaxChunk, min(maxShare, g.left/64))))
	g.left -= n
	return n
}

// Wrote settles a draw: of the drawn bytes, written were sent, from offset of
// the file on; the rest is given back.
func (g *Grant) Wrote(drawn, offset, written int64, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left += drawn - written
	if g.complete || written <= 0 {
		return
	}
	g.sent.add(offset, offset+written)
	if g.sent.cover(g.terms.Size) {
		g.complete = true
		g.sent = nil
		g.ends = min(g.ends, stampOf(now).plus(Afterglow))
	}
}

// spans are the parts of a file that were sent, sorted and apart.
type spans []span

type span struct{ from, to int64 }

// maxSpans bounds what is remembered of a client that asks for crumbs. Beyond
// it, completeness is no longer noticed early, and the window just ends.
const maxSpans = 4096

func (s *spans) add(from, to int64) {
	all := *s
	i, _ := slices.BinarySearchFunc(all, from, func(x span, from int64) int {
		if x.to < from {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(all) && all[j].from <= to; j++ {
		from, to = min(from, all[j].from), max(to, all[j].to)
	}
	if i == j && len(all) >= maxSpans {
		return
	}
	*s = slices.Replace(all, i, j, span{from, to})
}

func (s spans) cover(size int64) bool {
	return len(s) == 1 && s[0].from <= 0 && s[0].to >= size
}

// maxGrants is how many grants are open at a time. Beyond it, downloads are
// served all the same, but cannot be resumed.
const maxGrants = 100_000

// Grants are the open grants of a store. The zero value is empty and ready for
// use.
type Grants struct {
	mu     sync.Mutex
	all    map[GrantKey]*Grant
	sealed bool // nothing is found or opened any more
}

// Find returns the grant if there is one that is open at now.
func (s *Grants) Find(k GrantKey, now time.Time) (*Grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return nil, false
	}
	g, ok := s.all[k]
	if ok && !g.IsOpen(now) {
		delete(s.all, k)
		return nil, false
	}
	return g, ok
}

// Open opens a grant for the use of a token that has just been committed, and
// joins it. It returns nil if there is no room, or nothing to resume.
func (s *Grants) Open(k GrantKey, t Terms, now time.Time) *Grant {
	g := newGrant(t)
	if t.ETag == "" || t.Size < 1 || g.admit(now) != nil {
		return nil
	}
	g.slots <- struct{}{}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return nil
	}
	if s.all == nil {
		s.all = make(map[GrantKey]*Grant)
	}
	// A few for each one that comes: what is closed does not pile up, and nobody
	// pays for all of it.
	s.forgetClosedLocked(now, 16)
	if len(s.all) >= maxGrants {
		return nil
	}
	s.all[k] = g
	return g
}

// Len is the number of grants that are open at now.
func (s *Grants) Len(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetClosedLocked(now, len(s.all))
	return len(s.all)
}

// forgetClosedLocked looks at some grants, no matter which.
func (s *Grants) forgetClosedLocked(now time.Time, some int) {
	for k, g := range s.all {
		if some--; some < 0 {
			return
		}
		if !g.IsOpen(now) {
			delete(s.all, k)
		}
	}
}
