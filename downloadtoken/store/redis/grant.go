package redis

import (
	"context"
	"strconv"
	"sync"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// budgets are those that requests of this process draw on.
type budgets struct {
	mu   sync.Mutex
	open map[string]*budget // by instance of the grant
}

// budget is what this process has of the budget of a grant: a block that it has
// leased, which counts as sent if the process crashes.
type budget struct {
	e        *engine
	instance string
	key      string

	users int // guarded by budgets

	mu    sync.Mutex
	lease int64
	left  int64 // on the server, as far as is known
	first bool  // this process was the first to find it used up
}

// grant implements [store.Grant] for one use.
type grant struct {
	*budget
	terms rules.Terms
}

func (b *budgets) join(u *use, instance string, left int64, terms rules.Terms) *grant {
	b.mu.Lock()
	defer b.mu.Unlock()
	shared, ok := b.open[instance]
	if !ok {
		shared = &budget{e: u.e, instance: instance, key: u.e.keys.with([]rules.GrantKey{terms.Key})[0]}
		b.open[instance] = shared
	}
	shared.users++
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.left = left
	return &grant{shared, terms}
}

// leave ends a use. The last one takes what is left of the lease with it.
func (g *grant) leave() (left int64) {
	all := &g.e.budgets
	all.mu.Lock()
	defer all.mu.Unlock()
	if g.users--; g.users > 0 {
		return 0
	}
	delete(all.open, g.instance)
	g.mu.Lock()
	defer g.mu.Unlock()
	left, g.lease = g.lease, 0
	return left
}

// Terms implements [store.Grant].
func (g *grant) Terms() rules.Terms { return g.terms }

// How much a connection may draw at a time: what it stalls with is kept from others.
const (
	minDraw = 256 << 10
	maxDraw = 1 << 20
)

// Draw implements [store.Grant]. The server is asked when the lease is too small.
func (g *grant) Draw(ctx context.Context, n int64) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = max(0, min(n, max(minDraw, min(maxDraw, (g.lease+g.left)/64))))
	if g.lease < n {
		// A client that goes away is noticed where its bytes are written.
		r, err := g.e.ask(context.WithoutCancel(ctx), scriptLease, nil, g.e.clock(), []string{g.e.keys.epoch, g.key},
			g.instance, strconv.FormatInt(n-g.lease, 10), strconv.FormatInt(g.e.block, 10), micros(drawFor))
		if err == nil && r.word(0) != "ok" {
			err = rules.ErrUnavailable // the server has lost it
		}
		if err != nil {
			return 0, err
		}
		g.lease += r.number(1)
		g.left = r.number(2)
		g.first = g.first || r.number(3) == 1
	}
	n = min(n, g.lease)
	g.lease -= n
	return n, nil
}

// Return implements [store.Grant]. Where the server has nothing left, others may need
// it. What does not get there counts as sent.
func (g *grant) Return(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lease += n
	if g.left > 0 || g.lease == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if _, err := g.e.run(ctx, scriptReturn, []string{g.key}, []string{g.instance, strconv.FormatInt(g.lease, 10)}); err == nil {
		g.left = g.lease
	}
	g.lease = 0
}

// Left implements [store.Grant].
func (g *grant) Left() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lease + g.left
}

// Exhausted implements [store.Grant].
func (g *grant) Exhausted() (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first, g.first = g.first, false
	return first
}

var _ store.Grant = (*grant)(nil)
