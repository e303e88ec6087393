package pathlock_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-download-token/caddy-download-token/internal/pathlock"
)

// TestWhoWaitsForWhom tries a lock while another one is held.
func TestWhoWaitsForWhom(t *testing.T) {
	for _, tt := range []struct {
		held, wanted           string
		heldShared, wantShared bool
		want                   bool
	}{
		{held: "r/a", wanted: "r/a", want: false},
		{held: "r/a", wanted: "r/b", want: true},
		{held: "r/a", wanted: "r/ab", want: true},
		{held: "r/a", wanted: "r/a/b", want: false},
		{held: "r/a/b", wanted: "r/a", want: false},
		{held: "r/a/b", wanted: "r/a/c", want: true},
		{held: "r/a", wanted: "s/a", want: true},
		{held: "r/a", wanted: "r/A", want: false},
		{held: "/", wanted: "/a", want: true}, // the name of a root has no slash at its end
		{held: "r", wanted: "r/a/b/c", want: false},
		{held: "r/a", heldShared: true, wanted: "r/a", want: false},
		{held: "r/a", heldShared: true, wanted: "r/a", wantShared: true, want: true},
		{held: "r/a", heldShared: true, wanted: "r/a/b", want: true},
		{held: "r/a", heldShared: true, wanted: "r", want: false},
		{held: "r/a", wanted: "r/a", wantShared: true, want: false},
		{held: "r/a", wanted: "r", wantShared: true, want: true},
		{held: "r/a", wanted: "r/a/b", wantShared: true, want: false},
	} {
		var locks pathlock.Locks
		lock := func(path string, shared bool) (func(), bool) {
			if shared {
				return locks.Shared(t.Context(), 0, path)
			}
			return locks.Exclusive(t.Context(), 0, path)
		}
		release, ok := lock(tt.held, tt.heldShared)
		if !ok {
			t.Fatal("nothing is held")
		}
		second, ok := lock(tt.wanted, tt.wantShared)
		if ok != tt.want {
			t.Errorf("%+v: %t", tt, ok)
		}
		if ok {
			second()
			second() // does nothing
		}
		release()
		if release, ok = lock(tt.wanted, tt.wantShared); !ok {
			t.Errorf("%+v: not free again", tt)
		}
		release()
	}
}

// TestAllOrNothing: what waits for one of its paths does not hold the others, and waits no
// longer than it may.
func TestAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locks pathlock.Locks
		begun := time.Now()
		release, _ := locks.Exclusive(t.Context(), 0, "r/b")
		if _, ok := locks.Exclusive(t.Context(), time.Second, "r/a", "r/b"); ok || time.Since(begun) != time.Second {
			t.Fatalf("locked twice, or waited for %v", time.Since(begun))
		}
		other, ok := locks.Exclusive(t.Context(), 0, "r/a")
		if !ok {
			t.Fatal("what was not given is held")
		}
		other()
		done := make(chan bool)
		go func() {
			release, ok := locks.Exclusive(context.Background(), time.Minute, "r/a", "r/b")
			if ok {
				release()
			}
			done <- ok
		}()
		synctest.Wait() // for it to wait
		release()
		if !<-done {
			t.Error("what waited was not let in")
		}
		ctx, cancel := context.WithCancel(t.Context())
		release, _ = locks.Exclusive(ctx, 0, "r/a")
		defer release()
		cancel()
		begun = time.Now()
		if _, ok := locks.Exclusive(ctx, time.Minute, "r/a"); ok || time.Since(begun) > 0 {
			t.Errorf("locked for a client that has gone, or waited for %v", time.Since(begun))
		}
	})
}

// TestNoTwoAtOnce: whatever is locked exclusively is nobody else's.
func TestNoTwoAtOnce(t *testing.T) {
	var locks pathlock.Locks
	var wg sync.WaitGroup
	counts := make([]int, 3) // by the race detector, too
	for range 8 {
		wg.Go(func() {
			for range 300 {
				n, m := rand.IntN(3), rand.IntN(3)
				release, ok := locks.Exclusive(context.Background(), time.Minute, fmt.Sprint("r/", n), fmt.Sprint("r/", m))
				if !ok {
					t.Error("not let in")
					return
				}
				counts[n]++
				counts[m]--
				release()
			}
		})
	}
	wg.Wait()
	if counts[0]+counts[1]+counts[2] != 0 {
		t.Error(counts)
	}
}
