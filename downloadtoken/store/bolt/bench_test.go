package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/storetest"
)

var start = time.Unix(1_800_000_000, 0)

var life = storetest.Life{Start: start}

func stopped(now time.Time) func() time.Time { return func() time.Time { return now } }

// numbered is a token of a few signers, whose key costs nothing to make.
func numbered(i int) rules.Presentation {
	var k rules.Key
	binary.LittleEndian.PutUint64(k[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(k[8:], uint64(i))
	return rules.Presentation{
		Key: k, Signer: rules.Signer{byte(i%4 + 1)}, Issued: start.Add(time.Second),
		Expires: start.Add(time.Minute + time.Duration(i)*time.Millisecond),
	}
}

func spendToken(e *engine, p rules.Presentation, now time.Time) error {
	u, err := e.Admit(context.Background(), store.Query{Presentation: p}, stopped(now))
	if err != nil {
		return err
	}
	defer u.Release()
	_, err = u.Commit(context.Background(), nil)
	return err
}

func opened(tb testing.TB, path string) *engine {
	tb.Helper()
	e, err := openEngine(path, start, zap.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { e.Close() })
	return e
}

// BenchmarkSpend spends tokens: latency and spends a second for some clients at a time,
// each of which goes on as soon as it is answered. The disk is the real one, and one
// that takes 2 ms to sync a transaction and no more, since real ones vary. "alone" is
// what it is held against: as many clients, and a transaction for each spend.
func BenchmarkSpend(b *testing.B) {
	disks := map[string]func(b *testing.B) *engine{
		"disk": func(b *testing.B) *engine { return opened(b, filepath.Join(b.TempDir(), "tokens.bolt")) },
		"2ms": func(b *testing.B) *engine {
			e := opened(b, filepath.Join(scratch(b), "tokens.bolt"))
			e.update = func(do func(*bbolt.Tx) error) error {
				return e.db.Update(func(tx *bbolt.Tx) error { time.Sleep(2 * time.Millisecond); return do(tx) })
			}
			return e
		},
	}
	for disk, open := range disks {
		for _, clients := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/together/%d", disk, clients), func(b *testing.B) {
				e := open(b)
				update, transactions := e.update, 0
				e.update = func(do func(*bbolt.Tx) error) error { transactions++; return update(do) }
				measure(b, clients, func(i int) error { return spendToken(e, numbered(i), start) })
				b.ReportMetric(float64(b.N)/float64(transactions), "spends/transaction")
			})
			b.Run(fmt.Sprintf("%s/alone/%d", disk, clients), func(b *testing.B) {
				e := open(b)
				measure(b, clients, func(i int) error {
					p := numbered(i)
					s := p.Showing()
					return e.update(func(tx *bbolt.Tx) error {
						_, err := (&spend{key: s.Key, row: row{expires: s.Expires, keep: s.Keep}}).put(tx)
						return err
					})
				})
			})
		}
	}
}

// BenchmarkLook asks about tokens that the file has.
func BenchmarkLook(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := filled(b, n)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i = (i + 7919) % n
				if _, err := e.Look(context.Background(), store.Query{Presentation: numbered(i)}, stopped(start)); !errors.Is(err, rules.ErrReplayed) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a file, and reports how large it is.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path := filled(b, n).db.Path()
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			copied := filepath.Join(b.TempDir(), "tokens.bolt")
			content, err := os.ReadFile(path)
			if err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(copied, content, 0o600); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				e, err := openEngine(copied, start, zap.NewNop())
				if err != nil {
					b.Fatal(err)
				}
				e.Close()
			}
			b.ReportMetric(float64(info.Size())/float64(n), "bytes/token")
		})
	}
}

// filled returns a store that has n tokens, as they come by a few at a time.
func filled(b *testing.B, n int) *engine {
	e := opened(b, filepath.Join(scratch(b), "tokens.bolt"))
	const aboard = 500
	for i := 0; i < n; i += aboard {
		e.mu.Lock()
		var spends []spend
		for j := range aboard {
			p := numbered(i + j)
			s := p.Showing()
			spends = append(spends, spend{key: s.Key, row: row{expires: s.Expires, keep: s.Keep, signer: e.signers.admit(s.Signer, "").number}})
		}
		batch := e.boardLocked(spends...)
		e.mu.Unlock()
		<-batch.done
		if batch.err != nil {
			b.Fatal(batch.err)
		}
	}
	return e
}

// measure runs b.N operations by some clients, and reports the median and the 99th
// percentile of how long one takes.
func measure(b *testing.B, clients int, do func(i int) error) {
	var next atomic.Int64
	took := make([]time.Duration, b.N)
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range clients {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				begun := time.Now()
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(begun)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "spends/s")
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "ms-99th")
}
