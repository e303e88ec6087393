package memory

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// filled returns a store that holds n live entries of a few signers.
func filled(tb testing.TB, n, capacity int) *engine {
	tb.Helper()
	m := open(capacity)
	for i := range n {
		if err := m.spend(numbered(i), start); err != nil {
			tb.Fatal(err)
		}
	}
	return m
}

// numbered is a token whose key costs nothing to make, so that the store is
// measured and not SHA-256.
func numbered(i int) rules.Presentation {
	var k rules.Key
	binary.LittleEndian.PutUint64(k[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(k[8:], uint64(i))
	return rules.Presentation{Key: k, Signer: rules.Signer{byte(i % 4)}, Issued: at(1), Expires: at(60 + i>>8)}
}

func BenchmarkNewKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		rules.NewKey(rules.Signer{1}, "https://issuer.example", "0d9a7c1e-6b5f-4b1e-9a53-4b8f5f0a9a11", "")
	}
}

func BenchmarkReserveCommit(b *testing.B) {
	for _, c := range []struct {
		name           string
		live, capacity int
	}{
		{"empty", 0, 1 << 30},
		{"1M live", 1_000_000, 1 << 30},
		{"1M full, evicting", 1_000_000, 1_000_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := filled(b, c.live, c.capacity)
			b.ReportAllocs()
			for i := c.live; b.Loop(); i++ {
				r, err := m.Admit(ctx, store.Query{Presentation: numbered(i)}, stopped(start))
				if err != nil {
					b.Fatal(err)
				}
				if err := commit(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReserveRelease(b *testing.B) {
	m := filled(b, 1_000_000, 1<<30)
	p := numbered(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		r, err := m.Admit(ctx, store.Query{Presentation: p}, stopped(start))
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}

func BenchmarkReplay(b *testing.B) {
	m := filled(b, 1_000_000, 1<<30)
	p := numbered(500_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Admit(ctx, store.Query{Presentation: p}, stopped(start)); err == nil {
			b.Fatal("honoured twice")
		}
	}
}

func BenchmarkReserveParallel(b *testing.B) {
	m := filled(b, 0, 1_000_000)
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := m.Admit(ctx, store.Query{Presentation: numbered(int(next.Add(1)))}, stopped(start))
			if err != nil {
				b.Error(err)
				return
			}
			if err := commit(r); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkMillion reports what a million entries weigh, and what they cost the
// garbage collector each time it runs.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := filled(b, n, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
		runtime.GC()
	}
	var end runtime.MemStats
	runtime.ReadMemStats(&end)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/entry")
	b.ReportMetric(float64(end.PauseTotalNs-after.PauseTotalNs)/float64(end.NumGC-after.NumGC), "ns-pause/gc")
	runtime.KeepAlive(m)
}
