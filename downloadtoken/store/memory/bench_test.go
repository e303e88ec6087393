package memory

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

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
		{"10M live", 10_000_000, 1 << 30},
		{"10M full, evicting", 10_000_000, 10_000_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			if testing.Short() && c.live > many() {
				b.Skip("large")
			}
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

// BenchmarkAnyOrder has tokens expire in no order, over a day, to the microsecond.
func BenchmarkAnyOrder(b *testing.B) {
	m, random := open(1<<30), rand.New(rand.NewPCG(1, 2))
	shown := func(i int) rules.Presentation {
		p := numbered(i)
		p.Expires = at(60).Add(time.Duration(random.Int64N(int64(24 * time.Hour))))
		return p
	}
	const live = 1_000_000
	for i := range live {
		mustSpend(b, m, shown(i), start)
	}
	b.ReportAllocs()
	for i := live; b.Loop(); i++ {
		if err := m.spend(shown(i), start); err != nil {
			b.Fatal(err)
		}
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

// many is the size of a store of which is asked what it costs to be large.
func many() int {
	if testing.Short() {
		return 100_000
	}
	return 10_000_000
}

// BenchmarkMany reports what each of ten million entries weighs, and how long the
// garbage collector takes with them and without, in a process with as many other things
// as a server at rest has.
func BenchmarkMany(b *testing.B) {
	n := many()
	type other struct {
		next *other
		_    [56]byte
	}
	var list *other
	for range 200_000 {
		list = &other{next: list}
	}
	collect := func() time.Duration { // as fast as it can be, whatever else the machine does
		fastest := time.Duration(math.MaxInt64)
		for range 300 {
			began := time.Now()
			runtime.GC()
			fastest = min(fastest, time.Since(began))
		}
		return fastest
	}
	var before, after runtime.MemStats
	without := collect()
	runtime.ReadMemStats(&before)
	m := filled(b, n, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	with := collect()
	for b.Loop() {
		runtime.GC()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/entry")
	b.ReportMetric(float64(without), "ns-gc-without")
	b.ReportMetric(float64(with), "ns-gc-with")
	runtime.KeepAlive(m)
	runtime.KeepAlive(list)
}

// BenchmarkWorstStep fills a store with ten million entries and reports the longest
// time that any single Admit took. The machine has other things to do, which make
// some step slow in every run; growing a table makes the same step slow in all of
// them. So each step counts as long as in the fastest of three runs; what the first
// run measured by itself is reported as well.
func BenchmarkWorstStep(b *testing.B) {
	const runs = 3
	n := many()
	fastest := make([]time.Duration, n)
	var once time.Duration
	for b.Loop() {
		for run := range runs {
			m := open(n)
			for i := range n {
				began := time.Now()
				u, err := m.Admit(ctx, store.Query{Presentation: numbered(i)}, stopped(start))
				took := time.Since(began)
				if err != nil || commit(u) != nil {
					b.Fatal(err)
				}
				if run == 0 {
					once = max(once, took)
					fastest[i] = took
				}
				fastest[i] = min(fastest[i], took)
			}
			runtime.GC()
		}
	}
	b.ReportMetric(float64(slices.Max(fastest).Microseconds()), "us-worst")
	b.ReportMetric(float64(once.Microseconds()), "us-worst-of-one-run")
}
