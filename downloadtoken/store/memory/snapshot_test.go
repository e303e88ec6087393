package memory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/local"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

var sealedAt = time.Unix(1_800_000_000, 0)

// used is a store with spent, reserved and unused tokens of two signers.
func used(t testing.TB) (*engine, []rules.Presentation) {
	t.Helper()
	m := newEngine(options{Start: sealedAt.Add(-time.Hour)})
	var shown []rules.Presentation
	for i := range 10 {
		s := rules.Signer{byte(i % 2)}
		p := rules.Presentation{
			Key: rules.NewKey(s, "", fmt.Sprint(i), ""), Signer: s, Policy: "per token",
			Expires: sealedAt.Add(time.Duration(i+1) * time.Minute), Issued: sealedAt.Add(-time.Minute),
		}
		r, err := m.Admit(context.Background(), store.Query{Presentation: p}, stopped(sealedAt))
		if err != nil {
			t.Fatal(err)
		}
		if i%3 != 0 {
			if err := commit(r); err != nil {
				t.Fatal(err)
			}
		}
		shown = append(shown, p)
	}
	return m, shown
}

func TestSnapshotKnowsEverything(t *testing.T) {
	m, shown := used(t)
	snapshot := m.Seal(sealedAt)
	if _, err := m.Admit(context.Background(), store.Query{Presentation: shown[0]}, stopped(sealedAt)); !errors.Is(err, rules.ErrUnavailable) {
		t.Errorf("a sealed store answered %v", err)
	}
	if _, err := m.Look(context.Background(), store.Query{Presentation: shown[0]}, stopped(sealedAt)); !errors.Is(err, rules.ErrUnavailable) {
		t.Errorf("a sealed store looked and said %v", err)
	}
	next := newEngine(options{Start: sealedAt.Add(time.Second)})
	if err := next.Restore(snapshot, sealedAt); err != nil {
		t.Fatal(err)
	}
	for i, p := range shown {
		if _, err := next.Admit(context.Background(), store.Query{Presentation: p}, stopped(sealedAt)); !errors.Is(err, rules.ErrReplayed) {
			t.Errorf("token %d: %v", i, err)
		}
	}
	fresh := shown[0]
	fresh.Key = rules.NewKey(fresh.Signer, "", "issued before the restart, never used", "")
	if _, err := next.Admit(context.Background(), store.Query{Presentation: fresh}, stopped(sealedAt)); err != nil {
		t.Errorf("an unused token that the snapshot vouches for: %v", err)
	}
	fresh.Issued = sealedAt.Add(-2 * time.Hour)
	fresh.Key = rules.NewKey(fresh.Signer, "", "issued before the first start", "")
	if _, err := next.Admit(context.Background(), store.Query{Presentation: fresh}, stopped(sealedAt)); !errors.Is(err, rules.ErrUnproven) {
		t.Errorf("a token from before the first start: %v", err)
	}
}

func TestDamagedSnapshotsAreNotRestored(t *testing.T) {
	m, shown := used(t)
	snapshot := m.Seal(sealedAt)
	damaged := [][]byte{nil, snapshot[:len(snapshot)-1], append([]byte("x"), snapshot...), append(snapshot, 0)}
	for i := 0; i < len(snapshot); i += 7 {
		d := append([]byte(nil), snapshot...)
		d[i] ^= 1
		damaged = append(damaged, d)
	}
	for i, d := range damaged {
		next := newEngine(options{Start: sealedAt.Add(time.Second)})
		if err := next.Restore(d, sealedAt); err == nil {
			t.Fatalf("damaged snapshot %d was restored", i)
		}
		if _, err := next.Admit(context.Background(), store.Query{Presentation: shown[1]}, stopped(sealedAt)); !errors.Is(err, rules.ErrUnproven) {
			t.Fatalf("damaged snapshot %d: %v", i, err)
		}
	}
}

func TestSnapshotIntoASmallerStore(t *testing.T) {
	m, shown := used(t)
	next := newEngine(options{Start: sealedAt, Capacity: 2})
	if err := next.Restore(m.Seal(sealedAt), sealedAt); err != nil {
		t.Fatal(err)
	}
	for i, p := range shown {
		if _, err := next.Admit(context.Background(), store.Query{Presentation: p}, stopped(sealedAt)); err == nil {
			t.Errorf("token %d was honoured again", i)
		}
	}
}

// FuzzSnapshot: whatever the bytes, Restore neither panics nor half succeeds.
func FuzzSnapshot(f *testing.F) {
	m, _ := used(f)
	snapshot := m.Seal(sealedAt)
	f.Add(snapshot)
	f.Add(snapshot[:60])
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newLedger()
		if _, err := decodeSnapshot(resum(b), &l, new(local.Grants)); err != nil {
			return
		}
		if err := l.check(); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkSeal also reports the longest time that a request waited for its answer
// meanwhile, in the quietest of all runs.
func BenchmarkSeal(b *testing.B) {
	const n = 1_000_000
	m := filled(b, n, n)
	quietest := time.Duration(math.MaxInt64)
	var size int
	for b.Loop() {
		stop, longest := make(chan struct{}), make(chan time.Duration)
		go func() {
			worst := time.Duration(0)
			for {
				select {
				case <-stop:
					longest <- worst
					return
				default:
				}
				began := time.Now()
				_, _ = m.Look(ctx, store.Query{Presentation: numbered(0)}, stopped(start))
				worst = max(worst, time.Since(began))
			}
		}()
		size = len(m.Seal(start))
		close(stop)
		quietest = min(quietest, <-longest)
	}
	b.ReportMetric(float64(size)/n, "B/entry")
	b.ReportMetric(float64(quietest.Microseconds()), "us-longest-wait")
}

// resum gives b the checksum that it would need, so that the fuzzer gets past
// it.
func resum(b []byte) []byte {
	if len(b) < sha256.Size {
		return b
	}
	body := b[:len(b)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(append([]byte(nil), body...), sum[:]...)
}
