//go:build unix

package redis

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTLS: with TLS, certificates of both sides, and a user that may do no more than
// the documentation says.
func TestTLS(t *testing.T) {
	need(t, "openssl")
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
		"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v %s", err, out)
	}
	port := freePort(t)
	s := startServer(t, "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "yes")
	rules, err := os.ReadFile("../../../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(rules), "The user needs the commands that the scripts call: `")
	commands, text, ok2 := strings.Cut(text, "` on the keys")
	_, text, _ = strings.Cut(text, "and `")
	more, _, _ := strings.Cut(text, "`")
	if !ok || !ok2 {
		t.Fatal("the reference does not say which commands are needed")
	}
	s.cli(append([]string{"ACL", "SETUSER", "caddy", "on", ">planted-password", "~{fleet}:*"}, strings.Fields(commands+" "+more)...)...)
	for password, works := range map[string]bool{"planted-password": true, "planted-but-wrong": false} {
		f := newFleet(t, 1, func(m *Redis) {
			m.Addresses = []string{"127.0.0.1:" + port}
			m.TLS = &TLS{CA: certificate, Certificate: certificate, Key: key, ServerName: "localhost"}
			m.Username, m.Password = "caddy", password
		})
		if works {
			f.serves()
			f.serves()
			continue
		}
		f.wantRefused(errDown)
		for _, line := range f.logs.All() {
			if strings.Contains(fmt.Sprint(line.Message, line.ContextMap()), "planted") {
				t.Errorf("a password in the log: %v", line)
			}
		}
	}
}

// TestSentinel: the master is the one that the sentinels name.
func TestSentinel(t *testing.T) {
	master, replica := startServer(t), startServer(t)
	replica.cli("REPLICAOF", "127.0.0.1", master.port)
	replica.waitFor("INFO", "replication", "master_link_status:up")
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	port := freePort(t)
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 %s 1\nsentinel down-after-milliseconds mymaster 500\n", port, master.port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := exec.Command("redis-server", config, "--sentinel")
	if err := sentinel.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sentinel.Process.Kill(); _ = sentinel.Wait() })
	at := &redisServer{t: t, port: port}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, _ := exec.Command("redis-cli", "-p", port, "SENTINEL", "REPLICAS", "mymaster").Output()
		if strings.Contains(string(out), replica.port) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sentinel does not know the replica: %s", out)
		}
	}
	f := newFleet(t, 2, func(m *Redis) { m.Addresses, m.Sentinel = []string{"127.0.0.1:" + port}, "mymaster" })
	f.serves()
	stop := f.load()
	time.Sleep(300 * time.Millisecond)
	at.cli("SENTINEL", "FAILOVER", "mymaster")
	replica.waitFor("INFO", "replication", "role:master")
	master.kill()
	t.Logf("served again after %v", f.serves())
	stop()
	f.audit()
}

// TestCluster: a cluster of three, from which the slot of the store is moved.
func TestCluster(t *testing.T) {
	var nodes []*redisServer
	create := []string{"--cluster", "create"}
	for range 3 {
		n := startServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		nodes = append(nodes, n)
		create = append(create, "127.0.0.1:"+n.port)
	}
	if out, err := exec.Command("redis-cli", append(create, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, n := range nodes {
		n.waitFor("CLUSTER", "INFO", "cluster_state:ok")
	}
	f := newFleet(t, 2, func(m *Redis) {
		m.Cluster = true
		for _, n := range nodes {
			m.Addresses = append(m.Addresses, "127.0.0.1:"+n.port)
		}
	})
	f.serves()
	stop := f.load()
	time.Sleep(300 * time.Millisecond)
	slot := strings.TrimSpace(nodes[0].cli("CLUSTER", "KEYSLOT", "{fleet}:epoch"))
	from, to := 0, 0
	for i, n := range nodes {
		if strings.TrimSpace(n.cli("CLUSTER", "COUNTKEYSINSLOT", slot)) != "0" {
			from, to = i, (i+1)%3
		}
	}
	id := func(n *redisServer) string { return strings.TrimSpace(n.cli("CLUSTER", "MYID")) }
	nodes[to].cli("CLUSTER", "SETSLOT", slot, "IMPORTING", id(nodes[from]))
	nodes[from].cli("CLUSTER", "SETSLOT", slot, "MIGRATING", id(nodes[to]))
	moved := 0
	for {
		keys := strings.Fields(nodes[from].cli("CLUSTER", "GETKEYSINSLOT", slot, "100"))
		if len(keys) == 0 {
			break
		}
		moved += len(keys)
		nodes[from].cli(append([]string{"MIGRATE", "127.0.0.1", nodes[to].port, "", "0", "5000", "KEYS"}, keys...)...)
	}
	for _, n := range []*redisServer{nodes[to], nodes[from], nodes[3-from-to]} {
		n.cli("CLUSTER", "SETSLOT", slot, "NODE", id(nodes[to]))
	}
	t.Logf("%d keys moved from %d to %d; served again after %v", moved, from, to, f.serves())
	stop()
	f.audit()
}
