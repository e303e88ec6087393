package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// forFile are terms for a file of that size, under a key of their own.
func forFile(name string, size int64) rules.Terms {
	return rules.Terms{Key: grantKey(name), ETag: `"e"`, Size: size, Copies: 2, Begins: start, Ends: start.Add(time.Hour)}
}

func grantKey(name string) rules.GrantKey { return rules.NewGrantKey(rules.Key{1}, name, "client", "") }

// resumed asks about a token whose download can be resumed.
func resumed(n int, names ...string) store.Query {
	q := store.Query{Presentation: shown(rules.Signer{1}, n, 60), Patience: 2 * time.Second}
	for _, name := range names {
		q.Grants = append(q.Grants, grantKey(name))
	}
	return q
}

func mustAdmit(t testing.TB, m *engine, q store.Query, now time.Time) store.Use {
	t.Helper()
	u, err := m.Admit(ctx, q, stopped(now))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// mustOpen spends a token and opens a grant.
func mustOpen(t testing.TB, m *engine, q store.Query, terms rules.Terms) store.Use {
	t.Helper()
	u := mustAdmit(t, m, q, start)
	if g, err := u.Commit(ctx, &terms); err != nil || g == nil || g != u.Grant() {
		t.Fatalf("%v, %v", g, err)
	}
	return u
}

// draw takes bytes out of a budget, which cannot fail here.
func draw(g store.Grant, n int64) int64 {
	got, _ := g.Draw(ctx, n)
	return got
}

func mustNotAdmit(t testing.TB, m *engine, q store.Query, now time.Time, want error) {
	t.Helper()
	u, err := m.Admit(ctx, q, stopped(now))
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
	if u != nil {
		t.Fatal("a use and an error")
	}
	if _, looked := m.Look(ctx, q, stopped(now)); !errors.Is(looked, want) {
		t.Fatalf("looked: %v, want %v", looked, want)
	}
}

func TestBudgetOfTerms(t *testing.T) {
	for _, tt := range []struct{ size, copies, want int64 }{
		{1, 1, 1}, {100, 1, 125}, {100, 2, 225}, {10 << 20, 2, 21 << 20}, {4 << 20, 1, 5 << 20}, {100, 0, 125},
	} {
		if got := (rules.Terms{Size: tt.size, Copies: int(tt.copies)}).Budget(); got != tt.want {
			t.Errorf("size %d, copies %d: %d, want %d", tt.size, tt.copies, got, tt.want)
		}
	}
}

func TestGrantKeysAreApart(t *testing.T) {
	seen := map[rules.GrantKey]string{}
	for name, k := range map[string]rules.GrantKey{
		"": rules.NewGrantKey(rules.Key{1}, "/a", "client", "p"), "token": rules.NewGrantKey(rules.Key{2}, "/a", "client", "p"),
		"path": rules.NewGrantKey(rules.Key{1}, "/b", "client", "p"), "client": rules.NewGrantKey(rules.Key{1}, "/a", "other", "p"),
		"press": rules.NewGrantKey(rules.Key{1}, "/a", "client", ""), "shifted": rules.NewGrantKey(rules.Key{1}, "/ac", "lient", "p"),
		"shifted press": rules.NewGrantKey(rules.Key{1}, "/a", "clientp", ""),
	} {
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q are one", name, other)
		}
		seen[k] = name
	}
}

func TestGrantEnds(t *testing.T) {
	m := open(10)
	q := resumed(1, "/a")
	u := mustOpen(t, m, q, forFile("/a", 100))
	draw(u.Grant(), 100) // all of it was sent: that does not close the grant
	for _, now := range []time.Time{start, start.Add(10 * time.Minute), start.Add(time.Hour - 1)} {
		joined := mustAdmit(t, m, q, now)
		if joined.Grant() != u.Grant() {
			t.Fatal("another grant")
		}
		if _, err := joined.Commit(ctx, nil); !errors.Is(err, rules.ErrUnproven) {
			t.Errorf("what was joined was committed: %v", err)
		}
		joined.Release()
		if open, err := m.Look(ctx, q, stopped(now)); open == nil || err != nil {
			t.Errorf("looked: %v %v", open, err)
		}
	}
	mustNotAdmit(t, m, resumed(1, "/b"), start, rules.ErrReplayed)
	mustNotAdmit(t, m, resumed(1), start, rules.ErrReplayed)
	mustNotAdmit(t, m, q, start.Add(time.Hour), rules.ErrReplayed)
	mustNotAdmit(t, m, q, start, rules.ErrReplayed) // forgotten, the clock set back
}

func TestGrantIsExhausted(t *testing.T) {
	m := open(10)
	q := resumed(1, "/a")
	u := mustOpen(t, m, q, forFile("/a", 100))
	if n := draw(u.Grant(), 1000); n != 225 {
		t.Fatalf("drew %d", n)
	}
	mustNotAdmit(t, m, q, start, rules.ErrBudget)
	u.Grant().Return(1)
	mustAdmit(t, m, q, start).Release()
	for range store.MaxRequests {
		if u, err := m.Admit(ctx, q, stopped(start)); err == nil {
			u.Release()
		}
	}
	mustNotAdmit(t, m, q, start, rules.ErrBudget)
	q.Uses = 2
	if again := mustAdmit(t, m, q, start); again.Grant() != nil {
		t.Error("joined")
	}
}

// TestWholeAnswers: where the size is not known, answers are counted.
func TestWholeAnswers(t *testing.T) {
	m := open(10)
	q := resumed(1, "/a")
	terms := forFile("/a", 0)
	terms.ETag = ""
	mustOpen(t, m, q, terms).Release()
	mustAdmit(t, m, q, start).Release()
	mustNotAdmit(t, m, q, start, rules.ErrBudget)
}

func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(10)
		q := resumed(1, "/a")
		first := mustOpen(t, m, q, forFile("/a", 100))
		for range store.MaxConnections - 1 {
			mustAdmit(t, m, q, start)
		}
		began := time.Now()
		mustNotAdmit1(t, m, q)
		if waited := time.Since(began); waited != q.Patience {
			t.Errorf("waited %v", waited)
		}
		go func() {
			time.Sleep(time.Second)
			first.Release()
			first.Release() // frees nothing more
		}()
		mustAdmit(t, m, q, start)
		mustNotAdmit1(t, m, q)
	})
}

// mustNotAdmit1 wants rules.ErrInUse, of Admit only: Look does not need a connection.
func mustNotAdmit1(t testing.TB, m *engine, q store.Query) {
	t.Helper()
	if _, err := m.Admit(ctx, q, stopped(start)); !errors.Is(err, rules.ErrInUse) {
		t.Fatal(err)
	}
}

// TestWhoComesWhileAGrantIsBeingOpenedJoinsIt, however many come.
func TestWhoComesWhileAGrantIsBeingOpenedJoinsIt(t *testing.T) {
	for name, q := range map[string]store.Query{
		"once": resumed(1, "/a"),
		"with a use left": func() store.Query {
			q := resumed(1, "/a")
			q.Uses = 2
			return q
		}(),
		"by either key": resumed(1, "/b", "/a"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(10)
				u := mustAdmit(t, m, q, start)
				var crowd sync.WaitGroup
				for i := range 9 {
					crowd.Go(func() {
						if i == 8 {
							if open, err := m.Look(ctx, q, stopped(start)); open == nil || err != nil {
								t.Errorf("looked: %v %v", open, err)
							}
							return
						}
						if joined, err := m.Admit(ctx, q, stopped(start)); err != nil || joined.Grant() == nil || joined.Grant() != u.Grant() {
							t.Errorf("%v", err)
						}
					})
				}
				synctest.Wait()
				terms := forFile("/a", 100)
				if _, err := u.Commit(ctx, &terms); err != nil {
					t.Fatal(err)
				}
				crowd.Wait()
				if waiting, opening, _ := residue(m); waiting+opening != 0 {
					t.Errorf("%d wait, %d openings", waiting, opening)
				}
			})
		})
	}
}

// TestWaiting: whoever waits for a reservation gets what is left of it.
func TestWaiting(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(store.Use)
		want error
	}{
		"given back":                   {func(u store.Use) { u.Release() }, nil},
		"spent":                        {func(u store.Use) { _ = commit(u); u.Release() }, rules.ErrReplayed},
		"spent, and nothing to join":   {func(u store.Use) { _, _ = u.Commit(ctx, &rules.Terms{}); u.Release() }, rules.ErrReplayed},
		"held for longer than we wait": {func(store.Use) {}, rules.ErrInUse},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(10)
				q := resumed(1, "/a")
				u := mustAdmit(t, m, q, start)
				go func() {
					time.Sleep(time.Second)
					tt.end(u)
				}()
				next, err := m.Admit(ctx, q, stopped(start))
				if !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if err == nil {
					mustNotAdmit1(t, m, q)
					next.Release()
				}
			})
		})
	}
	t.Run("the client goes away", func(t *testing.T) {
		m := open(10)
		mustAdmit(t, m, resumed(1), start)
		why := errors.New("gone")
		gone, cancel := context.WithCancelCause(ctx)
		cancel(why)
		if _, err := m.Admit(gone, resumed(1), stopped(start)); !errors.Is(err, rules.ErrInUse) || !errors.Is(err, why) {
			t.Error(err)
		}
	})
}

// TestSpentBeforeItsGrant: with spend request, the token is spent first and the
// grant opened later; whoever comes between waits.
func TestSpentBeforeItsGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(10)
		q := resumed(1, "/a")
		u := mustAdmit(t, m, q, start)
		if err := commit(u); err != nil {
			t.Fatal(err)
		}
		if err := commit(u); !errors.Is(err, rules.ErrUnproven) {
			t.Errorf("committed twice: %v", err)
		}
		joined := make(chan store.Use)
		go func() {
			u, err := m.Admit(ctx, q, stopped(start))
			if err != nil {
				t.Error(err)
			}
			joined <- u
		}()
		synctest.Wait()
		terms := forFile("/a", 100)
		if g, err := u.Commit(ctx, &terms); err != nil || g == nil {
			t.Fatal(err)
		}
		if other := <-joined; other == nil || other.Grant() != u.Grant() {
			t.Error("not joined")
		}
		if _, err := u.Commit(ctx, &terms); !errors.Is(err, rules.ErrUnproven) {
			t.Errorf("opened twice: %v", err)
		}
	})
}

func TestGrantsSurviveACleanRestart(t *testing.T) {
	m := open(10)
	q := resumed(1, "/a")
	u := mustOpen(t, m, q, forFile("/a", 1000))
	g := u.Grant()
	draw(g, 300)
	restart := func() *engine {
		next := open(10)
		if err := next.Restore(m.Seal(start), start); err != nil {
			t.Fatal(err)
		}
		return next
	}
	mustNotAdmit(t, restart(), q, start, rules.ErrReplayed) // a connection draws on it
	mustNotAdmit(t, m, q, start, rules.ErrUnavailable)
	u.Release()
	restored := mustAdmit(t, restart(), q, start).Grant()
	if restored == nil || restored.Left() != g.Left() || restored.Terms() != g.Terms() {
		t.Errorf("%+v, want %+v", restored, g)
	}
}

func BenchmarkJoin(b *testing.B) {
	m := open(1 << 20)
	var q store.Query
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%(store.MaxRequests-1) == 0 { // the grant has served as many as it may
			q = resumed(n, "/a")
			q.Grants = []rules.GrantKey{grantKey(fmt.Sprint(n))}
			mustOpen(b, m, q, forFile(fmt.Sprint(n), 1<<40))
		}
		mustAdmit(b, m, q, start).Release()
	}
}

// residue is what is left of requests in a store that has none.
func residue(m *engine) (waiting, opening, joined int) {
	opening, joined = m.grants.Busy()
	return m.crowd.Waiting(), opening, joined
}
