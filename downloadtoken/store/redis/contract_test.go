//go:build unix

package redis

import (
	"context"
	"flag"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/storetest"
)

// TestContract holds the store to the contract, on a real server. What goes between
// them is cut here; TestConnections does it to real connections.
func TestContract(t *testing.T) {
	fewerWorlds(t)
	s := startServer(t)
	l := newLink(s.option(), 10*time.Second)
	if err := l.connect(); err != nil {
		t.Fatal(err)
	}
	close(l.tried)
	t.Cleanup(l.close)
	storetest.Run(t, func(t testing.TB) storetest.Disk { return newDisk(t, l) })
}

// fewerWorlds: a world takes many round trips here, so fewer will do, unless the flag
// says how many.
func fewerWorlds(t *testing.T) {
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "rapid.checks" })
	if !chosen {
		if err := flag.Set("rapid.checks", "10"); err != nil {
			t.Fatal(err)
		}
	}
}

// disk is a server as the contract sees it.
type disk struct {
	t           testing.TB
	link        *link
	broken, cut atomic.Bool
	settling    sync.Mutex
	last        atomic.Pointer[engine]

	now atomic.Int64 // the clock as it was last told, in microseconds
}

func newDisk(t testing.TB, l *link) *disk {
	d := &disk{t: t, link: l}
	d.Lose()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	go func() { // does what the monitor does
		for range time.Tick(5 * time.Millisecond) {
			select {
			case <-ended:
				return
			default:
			}
			d.settle()
		}
	}()
	return d
}

func (d *disk) do(command ...string) rueidis.RedisResult {
	client := *d.link.client.Load()
	r := client.Do(context.Background(), client.B().Arbitrary(command...).Build())
	if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
		d.t.Fatal(command, err)
	}
	return r
}

func (d *disk) Lose() { d.do("FLUSHDB") }

// KeepsThroughCrashes implements [storetest.Keeper].
func (d *disk) KeepsThroughCrashes() {}

func (d *disk) Break(broken bool) { d.broken.Store(broken) }

func (d *disk) Cut(cut bool) {
	d.cut.Store(cut)
	d.settle()
}

func (d *disk) settle() {
	d.settling.Lock()
	defer d.settling.Unlock()
	if e := d.last.Load(); e != nil {
		e.late.settle(context.Background(), e)
	}
}

// Open is a process after a crash of the one before. To the contract a crash ends
// the grants that were open; on a server they go on, see TestGrantsOutliveAProcess.
func (d *disk) Open(l storetest.Life) store.Store {
	if last := d.last.Load(); last != nil && !last.sealed.Load() {
		d.do("HDEL", last.keys.processes, last.process) // its lease is over
		d.closeGrants(func([]string) bool { return true })
	}
	e := newEngine("test", 0, zap.NewNop())
	e.isTest, e.spare, e.block = true, time.Hour, 0
	e.clock = func() time.Time { return time.UnixMicro(d.now.Load()) }
	d.now.Store(l.Start.UnixMicro())
	e.run = d.link.run
	if _, err := e.learn(context.Background(), l.Start, nil); err != nil {
		d.t.Fatal(err)
	}
	e.run = func(ctx context.Context, s *script, keys, args []string) (reply, error) {
		if s == scriptEpoch && d.last.Load() != e {
			return nil, rules.ErrUnavailable // it is dead, and can do no more than what was on its way
		}
		return d.run(ctx, s, keys, args)
	}
	e.ready = d.link.ready
	d.link.suspect = e.suspect
	d.last.Store(e)
	return e
}

// run delays, fails, and while it is cut off loses the question or the answer.
func (d *disk) run(ctx context.Context, s *script, keys, args []string) (reply, error) {
	if s == scriptAdmit {
		now, _ := strconv.ParseInt(args[2], 10, 64)
		d.now.Store(now)
	}
	cut := d.cut.Load()
	writes := s == scriptAdmit && args[5] != "1" || s == scriptCommit || s == scriptRevoke
	if cut && rand.N(2) == 0 || d.broken.Load() && writes {
		return nil, rules.ErrUnavailable
	}
	r, err := d.link.run(ctx, s, keys, args)
	if cut {
		return nil, rules.ErrUnavailable
	}
	return r, err
}

func (d *disk) Stop(time.Time) {
	if err := d.last.Load().seal(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	d.closeGrants(func(fields []string) bool {
		for _, field := range fields {
			if strings.HasPrefix(field, "j") {
				return true
			}
		}
		return false
	})
}

// closeGrants forgets the grants of which that holds.
func (d *disk) closeGrants(are func(fields []string) bool) {
	names, err := d.do("KEYS", "{test}:g:*").AsStrSlice()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range names {
		fields, err := d.do("HKEYS", name).AsStrSlice()
		if err != nil {
			d.t.Fatal(err)
		}
		if are(fields) {
			d.do("DEL", name)
		}
	}
}
