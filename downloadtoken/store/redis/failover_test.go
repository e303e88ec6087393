//go:build unix

package redis

import (
	"flag"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
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
