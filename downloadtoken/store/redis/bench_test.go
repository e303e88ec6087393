//go:build unix

package redis

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// BenchmarkSpend is Admit, Commit and Release over a socket, by so many clients; and beside
// it what redis-benchmark reports for SET NX PX by as many, in the same run.
func BenchmarkSpend(b *testing.B) {
	for _, clients := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			s := startServer(b)
			f := newFleet(b, 1, func(m *Redis) { m.Addresses, m.Skew = []string{"unix/" + s.socket()}, caddy.Duration(DefaultSkew) })
			f.serves()
			plain := s.setsPerSecond(clients)
			b.ReportAllocs()
			b.ResetTimer()
			spends(b, f.caddys[0], clients)
			b.StopTimer()
			rate := float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "spends/s")
			b.ReportMetric(plain, "sets/s")
			b.ReportMetric(rate/plain, "spends/set")
		})
	}
}

var shownTokens atomic.Int64 // in all runs

func spends(b *testing.B, m *monitor, clients int) {
	ctx := context.Background()
	var next atomic.Int64
	var crowd sync.WaitGroup
	signer := rules.Signer{1}
	for range clients {
		crowd.Go(func() {
			for {
				if next.Add(1) > int64(b.N) {
					return
				}
				now := time.Now()
				q := store.Query{Presentation: rules.Presentation{
					Key: rules.NewKey(signer, "", fmt.Sprint("token ", shownTokens.Add(1)), ""), Signer: signer, Issued: now, Expires: now.Add(time.Minute), Policy: "p",
				}}
				u, err := m.Admit(ctx, q, time.Now)
				if err == nil {
					_, err = u.Commit(ctx, nil)
				}
				if err != nil {
					b.Error(err)
					return
				}
				u.Release()
			}
		})
	}
	crowd.Wait()
}

var perSecond = regexp.MustCompile(`([\d.]+) requests per second`)

// setsPerSecond asks redis-benchmark.
func (s *redisServer) setsPerSecond(clients int) float64 {
	s.t.Helper()
	n := 10_000 + 2000*clients
	out, err := exec.Command("redis-benchmark", "-s", s.socket(), "-c", strconv.Itoa(clients), "-n", strconv.Itoa(n), "-q", "-r", "1000000000",
		"SET", "key:__rand_int__", "1", "NX", "PX", "60000").CombinedOutput()
	found := perSecond.FindAllSubmatch(out, -1)
	if err != nil || len(found) == 0 {
		s.t.Fatalf("%v %s", err, out)
	}
	rate, _ := strconv.ParseFloat(string(found[len(found)-1][1]), 64)
	return rate
}

// BenchmarkDown is what a request costs while the server is away.
func BenchmarkDown(b *testing.B) {
	s := startServer(b)
	s.kill()
	f := newFleet(b, 1, at(s))
	f.wantRefused(errDown)
	p := f.mint()
	b.ReportAllocs()
	for b.Loop() {
		_ = f.use(p, 0)
	}
}

// BenchmarkBytes is what a used token takes on the server.
func BenchmarkBytes(b *testing.B) {
	s := startServer(b)
	f := newFleet(b, 1, at(s))
	f.serves()
	used := func() float64 {
		n, _ := strconv.ParseFloat(regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(s.cli("INFO", "memory"))[1], 64)
		return n
	}
	before := used()
	spends(b, f.caddys[0], 8)
	b.ReportMetric((used()-before)/float64(b.N), "B/token")
}
