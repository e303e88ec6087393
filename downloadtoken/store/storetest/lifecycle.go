package storetest

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// patience is how long the contract waits for what must happen at some time.
const patience = 20 * time.Second

// cleanStop: the next life knows all that this one knew.
func cleanStop(t *testing.T, d Disk) {
	stopper, ok := d.(Stopper)
	if !ok {
		t.Skip("its stores cannot be stopped cleanly")
	}
	s := begin(d, 20)
	some := fresh(3) // two of three uses are gone, one of them only reserved
	some.Uses = 3
	spend(t, s, fresh(1))
	reserve(t, s, fresh(2))
	spend(t, s, some)
	reserve(t, s, some)
	reserve(t, s, fresh(4)).Release()
	revoke(t, s, rules.Revocation{Nonce: named("nonce", 5)}, epoch)
	stopper.Stop(epoch)
	stopper.Stop(epoch)
	refuse(t, s, fresh(6), epoch, rules.ErrUnavailable)
	if _, err := s.Look(background, store.Query{Presentation: fresh(6)}, stopped(epoch)); !errors.Is(err, rules.ErrUnavailable) {
		t.Fatalf("look: a stopped store answered %v", err)
	}
	for _, start := range []time.Duration{0, -time.Hour, time.Minute} {
		s = d.Open(Life{Capacity: 20, Start: epoch.Add(start)})
		refuse(t, s, fresh(1), epoch, rules.ErrReplayed)
		refuse(t, s, fresh(2), epoch, rules.ErrReplayed)
		wantRevoked(t, s, revocable(5), epoch, true)
		stopper.Stop(epoch)
	}
	s = begin(d, 20)
	spend(t, s, some)
	refuse(t, s, some, epoch, rules.ErrReplayed)
	spend(t, s, fresh(4))
	spend(t, s, fresh(6)) // issued before the stop, and known to be unused
	if got := statsOf(t, s, epoch); got.Entries != 5 || got.Reserved != 0 {
		t.Fatalf("stats: %+v", got)
	}
	// What came after the last clean stop is not covered by it.
	s = begin(d, 20)
	refuse(t, s, fresh(4), epoch, rules.ErrReplayed, rules.ErrUnproven)
	refuse(t, s, fresh(6), epoch, rules.ErrReplayed, rules.ErrUnproven)
}

// cancelled calls every method with contexts that have ended or are about to. Each
// returns, nothing is honoured twice, no use is lost and no goroutine is left.
func cancelled(t *testing.T, d Disk) {
	const crowd = 60
	s := begin(d, 1000)
	waitedFor, committed, admitted, opened := resumed(0), 1000, 2000, resumed(3000)
	waitedFor.Patience = time.Hour
	holder := reserve(t, s, waitedFor.Presentation)
	g, err := admitQuery(t, s, opened, epoch).Commit(background, termsOf(opened, 1000))
	if err != nil || g == nil {
		t.Fatalf("commit: %v, %v", g, err)
	}
	var honoured [crowd]atomic.Bool
	var drawn atomic.Int64
	answered := func(what string, err error, also ...error) {
		for _, want := range append(also, nil, rules.ErrUnavailable) {
			if errors.Is(err, want) {
				return
			}
		}
		t.Errorf("%s with a context that has ended: %v", what, err)
	}
	before := runtime.NumGoroutine()
	together(crowd, func(i int) {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		if i%3 == 0 {
			cancel()
		} else {
			defer time.AfterFunc(time.Duration(i)*50*time.Microsecond, cancel).Stop()
		}
		if u, err := s.Admit(ctx, resumed(admitted+i), stopped(epoch)); err == nil {
			u.Release()
		} else {
			answered("Admit", err)
		}
		if u, err := s.Admit(background, resumed(committed+i), stopped(epoch)); err != nil {
			t.Errorf("admit: %v", err)
		} else {
			_, err = u.Commit(ctx, nil)
			answered("Commit", err)
			honoured[i].Store(err == nil)
			u.Release()
		}
		n, err := g.Draw(ctx, 10)
		answered("Draw", err)
		drawn.Add(n)
		answered("Revoked", s.Revoked(ctx, revocable(i).Revocable, epoch), rules.ErrRevoked)
		answered("Revoke", s.Revoke(ctx, rules.Revocation{Nonce: named("nonce", i)}, epoch))
		_, err = s.Revocations(ctx, epoch)
		answered("Revocations", err)
		_, err = s.Stats(ctx, epoch)
		answered("Stats", err)
		_, err = s.Look(ctx, waitedFor, stopped(epoch))
		answered("Look", err, rules.ErrInUse)
		if _, err := s.Admit(ctx, waitedFor, stopped(epoch)); err == nil {
			t.Error("Admit gave out a use that somebody has")
		} else {
			answered("Admit", err, rules.ErrInUse)
		}
	})
	holder.Release()
	commit(t, admitQuery(t, s, resumed(0), epoch))
	for i := range crowd {
		commit(t, admitQuery(t, s, resumed(admitted+i), epoch))
		q := resumed(committed + i)
		switch u, err := s.Admit(background, q, stopped(epoch)); {
		case err == nil && honoured[i].Load():
			t.Errorf("token %d was honoured, and is admitted", i)
		case err == nil:
			u.Release()
		case !errors.Is(err, rules.ErrReplayed):
			t.Errorf("token %d: %v", i, err)
		}
	}
	if n := draw(t, g, 1<<20) + drawn.Load(); n > g.Terms().Budget() {
		t.Errorf("%d of %d bytes were drawn", n, g.Terms().Budget())
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before+crowd/2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}
