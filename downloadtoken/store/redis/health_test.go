//go:build unix

package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// wantRefused waits until a Caddy refuses to answer for that reason.
func (f *fleet) wantRefused(reason error) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := f.use(f.mint(), 0)
		if errors.Is(err, rules.ErrUnavailable) && errors.Is(err, reason) {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("still: %v", err)
		}
	}
}

func (f *fleet) wantLogs(text string, n int) {
	f.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); f.logs.FilterMessageSnippet(text).Len() != n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%q was logged %d times, not %d", text, f.logs.FilterMessageSnippet(text).Len(), n)
		}
	}
}

// TestAway: a server that is not there costs nothing but the answer, and is noticed
// when it comes; each is said once.
func TestAway(t *testing.T) {
	s := startServer(t)
	s.kill()
	f := newFleet(t, 1, at(s))
	f.wantRefused(errDown)
	for range 1000 {
		if err := f.use(f.mint(), 0); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
	}
	f.wantLogs("cannot be used", 1)
	s.start()
	f.serves()
	f.wantLogs("in use again", 1)
	s.kill()
	f.wantRefused(errDown)
	f.wantLogs("cannot be used", 2)
}

// TestReplica: one that may be written to is not a second place to use tokens at, and the
// log says what to do.
func TestReplica(t *testing.T) {
	master, replica := startServer(t), startServer(t, "--replica-read-only", "no")
	replica.cli("REPLICAOF", "127.0.0.1", master.port)
	replica.waitFor("INFO", "replication", "master_link_status:up")
	f := newFleet(t, 1, at(master))
	f.serves()
	f.caddys = append(f.caddys, newFleet(t, 1, at(replica)).caddys...)
	p := f.mint()
	if err := f.use(p, 1); !errors.Is(err, errReplica) {
		t.Fatal(err)
	}
	astray := newFleet(t, 1, at(replica))
	astray.wantRefused(errReplica)
	astray.wantLogs("cannot be used", 1)
	if err := f.use(p, 0); err != nil {
		t.Fatal(err)
	}
	replica.cli("REPLICAOF", "NO", "ONE")
	astray.serves()
}

// TestHung: a server that takes what it is sent and answers nothing.
func TestHung(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, at(s))
	f.serves()
	p := f.mint()
	u, err := f.caddys[0].Admit(context.Background(), store.Query{Presentation: p.Presentation}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.pause(true)
	if _, err := u.Commit(context.Background(), nil); !errors.Is(err, rules.ErrUnavailable) {
		t.Fatal(err)
	}
	u.Release()
	f.wantRefused(errDown)
	s.pause(false)
	f.serves()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := f.use(p, 0)
		if err == nil {
			break // no byte of it was sent, so it was given back
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	f.audit()
}

// TestEviction: a server that may evict keys vouches for nothing, and what it has
// evicted meanwhile is lost.
func TestEviction(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, at(s))
	f.serves()
	s.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	f.wantRefused(errPolicy)
	f.wantLogs("cannot be used", 1)
	s.cli("CONFIG", "SET", "maxmemory", "1mb")
	for range 5 {
		s.cli("EVAL", "for i = 1, 2000 do redis.call('SET', 'other' .. i, string.rep('x', 1000)) end", "0")
	}
	old := f.mint()
	s.cli("CONFIG", "SET", "maxmemory", "0")
	s.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
	f.serves()
	if err := f.use(old, 0); !errors.Is(err, rules.ErrUnproven) {
		t.Fatalf("issued before keys were evicted: %v", err)
	}
	f.wantLogs("a new epoch begins", 2)
}

// TestFull: a server without memory refuses, and nothing is half done.
func TestFull(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 2, at(s))
	f.serves()
	stop := f.load()
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		s.cli("CONFIG", "SET", "maxmemory", "1")
		f.wantRefused(rules.ErrUnavailable)
		s.cli("CONFIG", "SET", "maxmemory", "0")
		f.serves()
	}
	stop()
	f.audit()
}

// TestClock: a Caddy with a wrong clock honours nothing.
func TestClock(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, at(s))
	f.serves()
	for _, wrong := range []time.Duration{time.Second, -time.Second} {
		p := f.mint()
		_, err := f.caddys[0].Admit(context.Background(), store.Query{Presentation: p.Presentation}, func() time.Time { return time.Now().Add(wrong) })
		if !errors.Is(err, rules.ErrUnavailable) {
			t.Fatalf("%v: %v", wrong, err)
		}
	}
}

// TestClocksApart: before nothing is honoured any more, it is said once.
func TestClocksApart(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	e := newEngine("x", time.Second, zap.New(core))
	for _, step := range []struct {
		ahead, took time.Duration
		lines       int
	}{
		{400 * time.Millisecond, 0, 0},
		{-600 * time.Millisecond, 0, 1},
		{-700 * time.Millisecond, 0, 1},
		{0, 0, 1},
		{600 * time.Millisecond, 400 * time.Millisecond, 1}, // may be 400
		{600 * time.Millisecond, 100 * time.Millisecond, 2},
	} {
		e.compareClocks(step.ahead, step.took)
		if logs.Len() != step.lines {
			t.Errorf("%v: %d lines, want %d", step, logs.Len(), step.lines)
		}
	}
}

// TestStats: what operators see of the server.
func TestStats(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, at(s))
	f.serves()
	stats, err := f.caddys[0].Stats(context.Background(), time.Now())
	if err != nil || stats.Epoch.IsZero() || time.Since(stats.Epoch).Abs() > time.Minute || stats.ClockAhead.Abs() > 5*time.Second {
		t.Errorf("%+v, %v", stats, err)
	}
}

// TestRevocationsOutliveTheServer: what one Caddy took back is so at the other at
// once, and stays so when the server has lost its data.
func TestRevocationsOutliveTheServer(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 2, at(s))
	f.serves()
	ctx := context.Background()
	of := func(subject string) func() rules.Revocable {
		return func() rules.Revocable { return rules.Revocable{Subjects: []string{subject}} }
	}
	taken, other := of("a"), of("b")
	if err := f.caddys[0].Revoke(ctx, rules.Revocation{Subject: "a"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	want := func() {
		t.Helper()
		for _, c := range f.caddys {
			if err := c.Revoked(ctx, taken, time.Now()); !errors.Is(err, rules.ErrRevoked) {
				t.Fatal(err)
			}
			if err := c.Revoked(ctx, other, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	want()
	s.cli("FLUSHALL")
	want()
}

// TestGrantsOutliveAProcess: what a process that is gone had leased counts as sent,
// and another Caddy goes on.
func TestGrantsOutliveAProcess(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 2, at(s))
	f.serves()
	ctx := context.Background()
	p := f.mint()
	q := store.Query{Presentation: p.Presentation, Grants: []rules.GrantKey{rules.NewGrantKey(p.Key, "/a", "client", "")}}
	u, err := f.caddys[0].Admit(ctx, q, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	terms := rules.Terms{Key: q.Grants[0], ETag: `"e"`, Size: 1 << 20, Copies: 2, Begins: now, Ends: now.Add(time.Minute)}
	g, err := u.Commit(ctx, &terms)
	if err != nil || g == nil {
		t.Fatal(g, err)
	}
	var drawn int64
	for range 4 {
		n, err := g.Draw(ctx, 100<<10)
		if err != nil {
			t.Fatal(err)
		}
		drawn += n
	}
	// The first is killed: nothing is given back.
	v, err := f.caddys[1].Admit(ctx, q, time.Now)
	if err != nil || v.Grant() == nil {
		t.Fatal(v, err)
	}
	got := v.Grant().Terms()
	if d := got.Ends.Sub(terms.Ends).Abs(); d > time.Second || got.ETag != terms.ETag || got.Size != terms.Size || got.Copies != terms.Copies {
		t.Fatalf("terms: %+v, not %+v", got, terms)
	}
	for n := int64(1); n > 0; drawn += n {
		if n, err = v.Grant().Draw(ctx, 100<<10); err != nil {
			t.Fatal(err)
		}
	}
	if budget := terms.Budget(); drawn > budget || drawn < budget-budget/8 {
		t.Fatalf("drew %d of %d", drawn, budget)
	}
	if !v.Grant().Exhausted() || v.Grant().Exhausted() {
		t.Fatal("the end of the budget is not told once")
	}
	g.Return(1) // as the first has not been killed after all
	v.Release()
	u.Release()
}

// TestGrantsOutliveTheirWindow: nothing joins a grant after its window, but what downloads
// by it goes on, even when the next use has opened another.
func TestGrantsOutliveTheirWindow(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 2, at(s))
	f.serves()
	ctx := context.Background()
	p := f.mint()
	p.Uses = 2
	q := store.Query{Presentation: p.Presentation, Grants: []rules.GrantKey{rules.NewGrantKey(p.Key, "/a", "client", "")}}
	var budget int64
	open := func(via int, window time.Duration) (store.Use, store.Grant) {
		t.Helper()
		u, err := f.caddys[via].Admit(ctx, q, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		terms := rules.Terms{Key: q.Grants[0], ETag: `"e"`, Size: 1 << 20, Copies: 1, Begins: now, Ends: now.Add(window)}
		budget = terms.Budget()
		g, err := u.Commit(ctx, &terms)
		if err != nil || u.Grant() == nil {
			t.Fatal(g, err)
		}
		return u, g
	}
	draw := func(g store.Grant) (drawn int64) {
		t.Helper()
		for {
			n, err := g.Draw(ctx, 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			if drawn += n; n == 0 {
				return drawn
			}
		}
	}
	u, first := open(0, 50*time.Millisecond)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := first.Draw(gone, 1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50*time.Millisecond + 2*testSkew) // the server would have forgotten it
	v, second := open(1, time.Minute)
	if n := draw(first); n != budget-1 {
		t.Errorf("the first drew %d of %d", n, budget-1)
	}
	first.Return(10)
	u.Release()
	if n := draw(second); n != budget {
		t.Errorf("the second drew %d of %d", n, budget)
	}
	v.Release()
}

// TestClientGone: a client that goes away while the server is asked takes nothing with it.
func TestClientGone(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, func(m *Redis) {
		at(s)(m)
		m.Timeout = caddy.Duration(10 * time.Second)
		m.Skew = caddy.Duration(2 * time.Second)
	})
	f.serves()
	p := f.mint()
	q := store.Query{Presentation: p.Presentation}
	s.pause(true)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, func() { cancel(); s.pause(false) })
	u, err := f.caddys[0].Admit(ctx, q, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	u.Release()
	if _, err := f.caddys[0].Admit(ctx, q, time.Now); !errors.Is(err, errDown) {
		t.Errorf("gone before the server was asked: %v", err)
	}
	if u, err = f.caddys[0].Admit(context.Background(), q, time.Now); err != nil {
		t.Fatal(err)
	}
	u.Release()
	f.wantLogs("cannot be used", 0)
}

// TestWaiting: a crowd that waits for one token does not keep the server from others, and
// nobody waits for what is repeated for others.
func TestWaiting(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, func(m *Redis) {
		at(s)(m)
		// 500 take a busy machine longer than the defaults, and what waits looks like a clock that is behind.
		m.Timeout, m.Skew = caddy.Duration(10*time.Second), caddy.Duration(10*time.Second)
	})
	f.serves()
	c, ctx := f.caddys[0], context.Background()
	e := newEngine("fleet", 10*time.Second, zap.NewNop())
	e.ready = c.ready
	var asked atomic.Int32
	settling, end := make(chan struct{}), make(chan struct{})
	var settles atomic.Bool
	e.run = func(ctx context.Context, script *script, keys, args []string) (reply, error) {
		if script == scriptRelease {
			if settles.CompareAndSwap(false, true) { // the first takes as long as the crowd waits
				close(settling)
				<-end
			}
			return nil, errDown
		}
		asked.Add(1)
		return c.run(ctx, script, keys, args)
	}
	e.late.add(settlement{})
	go e.late.settle(ctx, e)
	<-settling
	p := f.mint()
	q := store.Query{Presentation: p.Presentation}
	if _, err := e.Admit(ctx, q, time.Now); err != nil {
		t.Fatal(err)
	}
	q.Patience = time.Second
	var crowd sync.WaitGroup
	for range 500 {
		crowd.Go(func() {
			if _, err := e.Admit(ctx, q, time.Now); !errors.Is(err, rules.ErrInUse) {
				t.Error(err)
			}
		})
	}
	crowd.Wait()
	close(end)
	if n := asked.Load(); n > 4000 {
		t.Errorf("asked %d times", n)
	}
}

// TestConnectionsEnd: new settings take new connections, and leave none behind.
func TestConnectionsEnd(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, at(s))
	f.serves()
	stop := f.load()
	m := &Redis{Prefix: "fleet", Timeout: caddy.Duration(50 * time.Millisecond), Skew: caddy.Duration(testSkew), logger: zap.NewNop()}
	at(s)(m)
	if err := m.prepare(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		f.caddys[0].apply(m)
		time.Sleep(time.Duration(i%4) * 10 * time.Millisecond)
	}
	f.serves()
	stop()
	f.caddys[0].apply(m)
	if err := f.caddys[0].Stop(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); strings.Count(s.cli("CLIENT", "LIST"), "id=") > 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still connected: %s", s.cli("CLIENT", "LIST"))
		}
	}
	f.audit()
}

// TestSettings: what is wrong with the surroundings is said at load, which connects
// to nothing.
func TestSettings(t *testing.T) {
	for name, m := range map[string]*Redis{
		"evaluated placeholder": {Addresses: []string{"localhost"}, Password: "{env.THERE_IS_NO_SUCH_VARIABLE}"},
		"from 1 to 65535":       {Addresses: []string{"localhost:redis"}},
		"without sentinel":      {Addresses: []string{"a", "b"}, Database: 1},
		"no such file":          {Addresses: []string{"localhost"}, TLS: &TLS{CA: "/there/is/no/such/file"}},
		"tls: certificate":      {Addresses: []string{"localhost"}, TLS: &TLS{Certificate: "/there/is/no/such/file"}},
	} {
		if err := errors.Join(m.check(), m.prepare()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRemedies: the log says once what to write instead.
func TestRemedies(t *testing.T) {
	s, locked := startServer(t), startServer(t)
	locked.cli("CONFIG", "SET", "requirepass", "planted-password")
	for remedy, change := range map[string]func(*Redis){
		"write password":                at(locked),
		"check the user":                func(m *Redis) { at(locked)(m); m.Password = "planted-but-wrong" },
		"write one address":             func(m *Redis) { m.Addresses = []string{"127.0.0.1:" + s.port, "127.0.0.1:" + locked.port} },
		"the addresses of the sentinel": func(m *Redis) { at(s)(m); m.Sentinel = "mymaster" },
		"choose a database":             func(m *Redis) { at(s)(m); m.Database = 99 },
		"fewer replicas":                func(m *Redis) { at(s)(m); m.WaitReplicas, m.WaitTimeout = 1, caddy.Duration(10*time.Millisecond) },
	} {
		f := newFleet(t, 1, change)
		f.wantLogs("cannot be used", 1)
		if line := fmt.Sprint(f.logs.FilterMessageSnippet("cannot be used").All()[0].ContextMap()); !strings.Contains(line, remedy) || strings.Contains(line, "planted") {
			t.Errorf("%s: %s", remedy, line)
		}
	}
}

// TestOld: a server that lacks what the scripts need is not asked to run them.
func TestOld(t *testing.T) {
	s := startServer(t)
	f := newFleet(t, 1, at(s))
	f.serves()
	e := f.caddys[0].engine
	run := e.run
	old := newEngine("old", testSkew, zap.NewNop())
	old.run = func(ctx context.Context, s *script, keys, args []string) (reply, error) {
		return run(ctx, s, keys, append(args[:len(args)-1:len(args)-1], "100000")) // of a server to come
	}
	if _, err := old.learn(context.Background(), time.Now(), nil); err == nil || !strings.Contains(err.Error(), "6.2 or later") {
		t.Error(err)
	}
	if s.cli("EXISTS", old.keys.epoch) != "0\n" {
		t.Error("it was written to")
	}
}
