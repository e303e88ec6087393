package storetest

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

func cutter(t *testing.T, d Disk) Cutter {
	t.Helper()
	c, ok := d.(Cutter)
	if !ok {
		t.Skip("its stores cannot be cut off from their storage")
	}
	return c
}

// cutOff: a store that cannot read answers nothing, and nothing passes.
func cutOff(t *testing.T, d Disk) {
	c := cutter(t, d)
	s := begin(d, 100)
	open, free := resumed(0), revocable(1)
	g, err := admitQuery(t, s, open, epoch).Commit(background, termsOf(open, 1000))
	if err != nil || g == nil {
		t.Fatalf("commit: %v, %v", g, err)
	}
	u := reserve(t, s, fresh(2))
	revoke(t, s, rules.Revocation{Nonce: named("nonce", 3)}, epoch)
	wantRevoked(t, s, free, epoch, false)
	wantRevoked(t, s, revocable(3), epoch, true)
	for range 10 {
		c.Cut(true)
		for what, ask := range map[string]func() error{
			"Admit":               func() error { _, err := s.Admit(background, free, stopped(epoch)); return err },
			"Admit, to join":      func() error { _, err := s.Admit(background, open, stopped(epoch)); return err },
			"Look":                func() error { _, err := s.Look(background, free, stopped(epoch)); return err },
			"Look, to join":       func() error { _, err := s.Look(background, open, stopped(epoch)); return err },
			"Revoked":             func() error { return s.Revoked(background, free.Revocable, epoch) },
			"Revoked, if it was":  func() error { return s.Revoked(background, revocable(3).Revocable, epoch) },
			"Revoke":              func() error { return s.Revoke(background, rules.Revocation{Nonce: "new"}, epoch) },
			"Revocations":         func() error { _, err := s.Revocations(background, epoch); return err },
			"Stats":               func() error { _, err := s.Stats(background, epoch); return err },
			"Draw":                func() error { _, err := g.Draw(background, 1); return err },
			"Commit":              func() error { return commitUse(u) },
			"Commit with a grant": func() error { _, err := u.Commit(background, termsOf(open, 1)); return err },
		} {
			if err := ask(); !errors.Is(err, rules.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		c.Cut(false)
		wantRevoked(t, s, revocable(4), epoch, false)
		wantRevoked(t, s, revocable(3), epoch, true)
		if n := draw(t, g, 1); n != 1 {
			t.Fatalf("drew %d", n)
		}
	}
	u.Release()
	spend(t, s, fresh(5))
}

// cutOffAtRandom cuts the store off and connects it again while a crowd spends,
// downloads and takes back; then it crashes. What was honoured is not honoured
// again, what was taken back stays so, and no budget is overdrawn.
func cutOffAtRandom(t *testing.T, d Disk) {
	const tokens = 60
	c := cutter(t, d)
	s := begin(d, 2*tokens)
	var honoured, taken [tokens]atomic.Int32
	var drawn [tokens]atomic.Int64
	query := func(n int) store.Query {
		q := revocable(n)
		q.Grants = resumed(n).Grants
		return q
	}
	together(8, func(crowd int) {
		for i := range 300 {
			n := (i*7 + crowd*3) % tokens
			if i%5 == 0 {
				c.Cut((i/5+crowd)%2 == 0)
			}
			if n%4 == 0 && i > 200 && s.Revoke(background, rules.Revocation{Nonce: named("nonce", n)}, epoch) == nil {
				taken[n].Store(1)
			}
			wasTaken := taken[n].Load() == 1
			u, err := s.Admit(background, query(n), stopped(epoch))
			if err != nil {
				continue
			}
			if wasTaken {
				t.Errorf("token %d was admitted after it was taken back", n)
			}
			if u.Grant() == nil {
				if g, err := u.Commit(background, termsOf(query(n), 1000)); err == nil {
					honoured[n].Add(1)
				} else if g != nil {
					t.Errorf("token %d: a grant and %v", n, err)
				}
			}
			if g := u.Grant(); g != nil {
				bytes, _ := g.Draw(background, 100)
				drawn[n].Add(bytes)
			}
			u.Release()
		}
	})
	c.Cut(false)
	spent := 0
	for n := range tokens {
		if got := honoured[n].Load(); got > 1 {
			t.Errorf("token %d was honoured %d times", n, got)
		} else if got == 1 {
			spent++
			refuse(t, s, fresh(n), epoch, rules.ErrReplayed)
		}
		if got, budget := drawn[n].Load(), termsOf(query(n), 1000).Budget(); got > budget {
			t.Errorf("token %d: %d of %d bytes were drawn", n, got, budget)
		}
	}
	if spent == 0 {
		t.Error("nothing was honoured")
	}
	s = begin(d, 2*tokens)
	for n := range tokens {
		if honoured[n].Load() > 0 {
			refuse(t, s, fresh(n), epoch, rules.ErrReplayed, rules.ErrUnproven)
		}
		if taken[n].Load() > 0 {
			wantRevoked(t, s, revocable(n), epoch, true)
		}
	}
}
