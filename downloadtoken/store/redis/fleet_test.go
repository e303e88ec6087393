//go:build unix

package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// fleet is several Caddys, as far as the store goes, and a crowd that uses them.
type fleet struct {
	t      testing.TB
	caddys []*monitor
	logs   *observer.ObservedLogs

	mu     sync.Mutex
	tokens []*shown
	worked atomic.Int64 // uses so far
}

// shown is a token, and how often it was honoured.
type shown struct {
	rules.Presentation
	honoured atomic.Int32
}

// testSkew is short, so that new tokens are honoured soon after a loss.
const testSkew = 200 * time.Millisecond

func newFleet(t testing.TB, size int, change func(*Redis)) *fleet {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	f := &fleet{t: t, logs: logs}
	for range size {
		m := &Redis{Prefix: "fleet", Timeout: caddy.Duration(DefaultTimeout), Skew: caddy.Duration(testSkew), logger: zap.New(core)}
		change(m)
		if err := errors.Join(m.check(), m.prepare()); err != nil {
			t.Fatal(err)
		}
		opened := newMonitor(m)
		t.Cleanup(func() { _ = opened.Stop() })
		f.caddys = append(f.caddys, opened)
	}
	return f
}

func at(s *redisServer) func(*Redis) {
	return func(m *Redis) { m.Addresses = []string{"127.0.0.1:" + s.port} }
}

// mint issues a token.
func (f *fleet) mint() *shown {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	s := rules.Signer{1}
	p := &shown{Presentation: rules.Presentation{
		Key: rules.NewKey(s, "", fmt.Sprint(len(f.tokens)), ""), Signer: s, Issued: now, Expires: now.Add(10 * time.Minute), Policy: "p",
	}}
	f.tokens = append(f.tokens, p)
	return p
}

// use shows a token to one of them, as a download would.
func (f *fleet) use(p *shown, via int) error {
	ctx := context.Background()
	q := store.Query{Presentation: p.Presentation}
	u, err := f.caddys[via].Admit(ctx, q, time.Now)
	if err != nil {
		return err
	}
	defer u.Release()
	if _, err := u.Commit(ctx, nil); err != nil {
		return err
	}
	p.honoured.Add(1)
	f.worked.Add(1)
	return nil
}

// load has a crowd show new and old tokens until it is stopped.
func (f *fleet) load() (stop func()) {
	end := make(chan struct{})
	var crowd sync.WaitGroup
	for c := range 6 {
		crowd.Go(func() {
			var last *shown
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				if last == nil || i%3 == 0 {
					last = f.mint()
				} else if i%5 == 0 {
					f.mu.Lock()
					last = f.tokens[rand.N(len(f.tokens))]
					f.mu.Unlock()
				}
				if errors.Is(f.use(last, (c+i)%len(f.caddys)), rules.ErrUnavailable) {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return func() { close(end); crowd.Wait() }
}

// audit shows every token once more, everywhere, and wants none honoured twice.
func (f *fleet) audit() {
	f.t.Helper()
	twice, once := 0, 0
	for _, p := range f.tokens {
		for via := range f.caddys {
			if p.honoured.Load() > 0 {
				_ = f.use(p, via)
			}
		}
		switch n := p.honoured.Load(); {
		case n > 1:
			twice++
		case n == 1:
			once++
		}
	}
	if twice > 0 || once == 0 {
		f.t.Fatalf("of %d tokens %d were honoured twice, %d once", len(f.tokens), twice, once)
	}
	f.t.Logf("of %d tokens, %d were honoured once, none twice", len(f.tokens), once)
}

// serves waits until every Caddy honours a new token.
func (f *fleet) serves() time.Duration {
	f.t.Helper()
	begun := time.Now()
	for via := range f.caddys {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			err := f.use(f.mint(), via)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				f.t.Fatalf("Caddy %d still answers: %v", via, err)
			}
		}
	}
	return time.Since(begun)
}

// TestLoss does to a server what happens to servers, while two Caddys use it.
func TestLoss(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		happen func(*testing.T, *redisServer)
	}{
		{"connections killed", nil, func(_ *testing.T, s *redisServer) {
			for range 20 {
				s.cli("CLIENT", "KILL", "TYPE", "normal")
				time.Sleep(10 * time.Millisecond)
			}
		}},
		{"scripts flushed", nil, func(_ *testing.T, s *redisServer) {
			for range 20 {
				s.cli("SCRIPT", "FLUSH")
				time.Sleep(10 * time.Millisecond)
			}
		}},
		{"asleep", nil, func(_ *testing.T, s *redisServer) { s.cli("DEBUG", "SLEEP", "1.5") }},
		{"flushed", nil, func(_ *testing.T, s *redisServer) { s.cli("FLUSHALL") }},
		{"restarted without persistence", nil, func(_ *testing.T, s *redisServer) { s.kill(); s.start() }},
		{"power cut with everysec", []string{"--appendonly", "yes", "--appendfsync", "everysec"}, func(t *testing.T, s *redisServer) {
			s.kill()
			truncateAOF(t, s)
			s.start()
		}},
		{"old dump", []string{"--dbfilename", "dump.rdb"}, func(_ *testing.T, s *redisServer) {
			s.cli("SAVE")
			time.Sleep(200 * time.Millisecond) // more is spent
			s.kill()
			s.start()
		}},
		{"replica of an old copy", nil, func(t *testing.T, s *redisServer) {
			s.cli("SAVE")
			old := startServer(t)
			dump, err := os.ReadFile(filepath.Join(s.dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			old.kill()
			if err := os.WriteFile(filepath.Join(old.dir, "dump.rdb"), dump, 0o600); err != nil {
				t.Fatal(err)
			}
			old.start()
			time.Sleep(200 * time.Millisecond) // more is spent
			s.cli("REPLICAOF", "127.0.0.1", old.port)
			s.waitFor("INFO", "replication", "master_link_status:up")
			s.cli("REPLICAOF", "NO", "ONE")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startServer(t, c.args...)
			f := newFleet(t, 2, at(s))
			f.serves()
			stop := f.load()
			time.Sleep(300 * time.Millisecond)
			c.happen(t, s)
			t.Logf("served again after %v", f.serves())
			time.Sleep(200 * time.Millisecond)
			stop()
			f.audit()
		})
	}
}

// truncateAOF cuts off the end of what a server has written, as if it had not
// reached the disk.
func truncateAOF(t *testing.T, s *redisServer) {
	files, err := filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[0], info.Size()*2/3); err != nil {
		t.Fatal(err)
	}
}
