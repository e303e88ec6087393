package memory

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// TestSealWhileOthersSettle: what is in flight goes on while a snapshot is taken, and
// the snapshot gives back nothing that was honoured.
func TestSealWhileOthersSettle(t *testing.T) {
	const spent, flying = 20_000, 2000
	m := filled(t, spent, spent+flying)
	var uses []store.Use
	for i := range flying {
		u, err := m.Admit(ctx, store.Query{Presentation: numbered(spent + i)}, stopped(start))
		if err != nil {
			t.Fatal(err)
		}
		uses = append(uses, u)
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		for i, u := range uses {
			if i%2 == 0 {
				u.Release()
			} else if err := commit(u); err != nil {
				t.Error(err)
			}
			if _, err := m.Admit(ctx, store.Query{Presentation: numbered(spent + flying + i)}, stopped(start)); err != nil && !errors.Is(err, rules.ErrUnavailable) {
				t.Error(err)
			}
			m.SetCapacity(spent-i, start)
		}
	}()
	first := m.Seal(start)
	<-settled
	second := m.Seal(start)
	if err := m.ledger.check(); err != nil {
		t.Fatal(err)
	}
	for n, snapshot := range [][]byte{first, second} {
		next := newEngine(options{Capacity: 2 * spent, Start: start})
		if err := next.Restore(snapshot, start); err != nil {
			t.Fatal(err)
		}
		given := 0
		for i := range spent + flying {
			switch err := next.spend(numbered(i), start); {
			case err == nil && (i < spent || i%2 == 1):
				t.Fatalf("snapshot %d: token %d was honoured twice", n, i)
			case err == nil:
				given++
			}
		}
		if n == 1 && given == 0 {
			t.Error("nothing that was given back can be used")
		}
	}
}

// TestSnapshotSize: it is allocated once.
func TestSnapshotSize(t *testing.T) {
	m, _ := used(t)
	if b := m.Seal(sealedAt); len(b) != cap(b) && cap(b)-len(b) > 64 {
		t.Errorf("%d bytes in %d", len(b), cap(b))
	}
}

// TestStatsAfterACrowd: what expired together is counted right before it is forgotten.
func TestStatsAfterACrowd(t *testing.T) {
	m := open(0)
	const n = 3000
	expires := func(i int) (seconds int) { return 60 + i%100 }
	leeway := func(i int) (seconds int) { return i % 3 * 3600 }
	for i := range n {
		p := numbered(i)
		p.Expires, p.Leeway = at(expires(i)), time.Duration(leeway(i))*time.Second
		if err := m.spend(p, start); err != nil {
			t.Fatal(err)
		}
	}
	for _, now := range []int{0, 60, 61, 110, 170, 3600 + 100, 7200 + 100, 7200 + 170} {
		want := 0
		for i := range n {
			if now <= expires(i)+leeway(i) {
				want++
			}
		}
		got := stats(m, at(now))
		if got.Entries != want {
			t.Errorf("after %d s: %d entries, want %d", now, got.Entries, want)
		}
		if got.EvictedExpired+got.EvictedLive != 0 {
			t.Errorf("asking forgot: %+v", got)
		}
	}
}
