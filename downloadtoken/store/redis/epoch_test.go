//go:build unix

package redis

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// TestReservationEndsWithItsEpoch: a commit whose answer is lost is repeated, and the server
// has been replaced by an older state of itself meanwhile, in which it was not done. Others
// have used the grant that it opened, so there must not be another.
func TestReservationEndsWithItsEpoch(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, at(s))
	f.serves()
	l := newLink(s.option(), 10*time.Second)
	if err := l.connect(); err != nil {
		t.Fatal(err)
	}
	close(l.tried)
	t.Cleanup(l.close)
	ctx := context.Background()
	e := newEngine("fleet", DefaultSkew, zap.NewNop())
	e.run, e.ready, l.suspect = l.run, l.ready, e.suspect
	p := f.mint()
	q := store.Query{Presentation: p.Presentation, Grants: []rules.GrantKey{rules.NewGrantKey(p.Key, "/a", "client", "")}}
	u, err := e.Admit(ctx, q, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.cli("SAVE")

	now := time.Now()
	terms := rules.Terms{Key: q.Grants[0], ETag: `"e"`, Size: 1 << 20, Copies: 2, Begins: now, Ends: now.Add(time.Minute)}
	var drawn int64
	drain := func(g store.Grant) {
		for n := int64(1); n > 0; drawn += n {
			if n, err = g.Draw(ctx, 100<<10); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.run = func(ctx context.Context, script *script, keys, args []string) (reply, error) {
		r, err := l.run(ctx, script, keys, args)
		if script != scriptCommit || drawn > 0 {
			return r, err
		}
		joined, err := f.caddys[0].Admit(ctx, q, time.Now)
		if err != nil || joined.Grant() == nil {
			t.Fatal(joined, err)
		}
		drain(joined.Grant())
		s.kill()
		s.start()
		f.serves() // a new epoch has begun
		for r, err = nil, errDown; err != nil; r, err = l.run(ctx, script, keys, args) {
			l.down.Store(false)
		}
		return r, nil
	}
	g, err := u.Commit(ctx, &terms)
	if err == nil {
		drain(g)
	}
	if drawn > terms.Budget() {
		t.Errorf("drew %d bytes of %d", drawn, terms.Budget())
	}
	if !errors.Is(err, rules.ErrUnproven) {
		t.Errorf("a reservation of an earlier epoch: %v", err)
	}
	u.Release()
}
