//go:build unix

package redis

import (
	"context"
	"errors"
	"flag"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

var promotions = flag.Int("promotions", 5, "how often TestPromotion promotes a replica")

// TestPromotion promotes the replica again and again, while two Caddys use the master
// and wait for one replica. A small proxy stands for what tells clients where the
// master is.
func TestPromotion(t *testing.T) {
	servers := []*redisServer{startServer(t), startServer(t)}
	var master atomic.Pointer[redisServer]
	master.Store(servers[0])
	address := forward(t, func() string { return "127.0.0.1:" + master.Load().port })
	servers[1].cli("REPLICAOF", "127.0.0.1", servers[0].port)
	servers[1].waitFor("INFO", "replication", "master_link_status:up")
	f := newFleet(t, 2, func(m *Redis) {
		m.Addresses = []string{address}
		m.WaitReplicas, m.WaitTimeout = 1, caddy.Duration(200*time.Millisecond)
	})
	f.serves()
	stop := f.load()
	for i := range *promotions {
		old, next := servers[i%2], servers[(i+1)%2]
		time.Sleep(150 * time.Millisecond)
		next.cli("REPLICAOF", "NO", "ONE") // the old one goes on, for a moment
		time.Sleep(20 * time.Millisecond)
		master.Store(next)
		old.cli("CLIENT", "KILL", "TYPE", "normal")
		old.kill()
		old.start()
		old.cli("REPLICAOF", "127.0.0.1", next.port)
		old.waitFor("INFO", "replication", "master_link_status:up")
		f.serves()
	}
	stop()
	f.audit()
}

// forward listens, and forwards connections to where they are to go just then.
func forward(t testing.TB, to func() string) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var pipes sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	pipes.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			target, err := net.Dial("tcp", to())
			if err != nil {
				from.Close()
				continue
			}
			mu.Lock()
			open = append(open, from, target)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{from, target}, {target, from}} {
				pipes.Go(func() {
					defer way[0].Close()
					defer way[1].Close()
					_, _ = way[0].(*net.TCPConn).WriteTo(way[1])
				})
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		pipes.Wait()
	})
	return l.Addr().String()
}

// TestPartition: a master that has lost its replicas goes on for one Caddy while a replica
// is promoted for another. Where replicas must confirm, nothing is honoured at the old
// one, whatever was issued when.
func TestPartition(t *testing.T) {
	old, promoted, third := startServer(t), startServer(t), startServer(t)
	for _, replica := range []*redisServer{promoted, third} {
		replica.cli("REPLICAOF", "127.0.0.1", old.port)
		replica.waitFor("INFO", "replication", "master_link_status:up")
	}
	waiting := func(s *redisServer) func(*Redis) {
		return func(m *Redis) {
			at(s)(m)
			m.WaitReplicas, m.WaitTimeout = 1, caddy.Duration(100*time.Millisecond)
		}
	}
	f := newFleet(t, 1, waiting(old))
	f.serves()
	before := f.mint()
	promoted.cli("REPLICAOF", "NO", "ONE")
	third.cli("REPLICAOF", "127.0.0.1", promoted.port)
	third.waitFor("INFO", "replication", "master_link_status:up")
	f.caddys = append(f.caddys, newFleet(t, 1, waiting(promoted)).caddys...)
	for deadline := time.Now().Add(20 * time.Second); f.use(f.mint(), 1) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new master does not serve")
		}
	}

	if err := f.use(before, 0); !errors.Is(err, errReplicas) {
		t.Errorf("at the old master: %v", err)
	}
	if err := f.use(before, 1); !errors.Is(err, rules.ErrUnproven) {
		t.Errorf("issued before, at the new master: %v", err)
	}
	u, err := f.caddys[0].Admit(context.Background(), store.Query{Presentation: f.mint().Presentation}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // again, it finds what it has done, and still has to wait for it
		if _, err := u.Commit(context.Background(), nil); !errors.Is(err, errReplicas) {
			t.Errorf("at the old master, repeated: %v", err)
		}
		f.caddys[0].link.Load().close() // another connection
		f.caddys[0].link.Load().connect()
	}
	u.Release()
	for range 20 {
		p := f.mint()
		if err := f.use(p, 0); !errors.Is(err, rules.ErrUnavailable) {
			t.Errorf("at the old master: %v", err)
		}
		if err := f.use(p, 1); err != nil {
			t.Errorf("at the new master: %v", err)
		}
	}
	f.audit()
}

// TestFirstReplica: a server takes a new name for its data then, as if it had been
// promoted, and none with the second.
func TestFirstReplica(t *testing.T) {
	master, first, second := startServer(t), startServer(t), startServer(t)
	f := newFleet(t, 1, at(master))
	f.serves()
	for i, replica := range []*redisServer{first, second} {
		old := f.mint()
		replica.cli("REPLICAOF", "127.0.0.1", master.port)
		replica.waitFor("INFO", "replication", "master_link_status:up")
		f.serves()
		if err := f.use(old, 0); errors.Is(err, rules.ErrUnproven) != (i == 0) {
			t.Errorf("replica %d: %v", i+1, err)
		}
	}
	f.wantLogs("a new epoch begins", 2)
}
