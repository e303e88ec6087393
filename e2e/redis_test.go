//go:build unix

package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// redisServer is a real Redis server of a test.
type redisServer struct {
	t    testing.TB
	dir  string
	port string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB) *redisServer {
	t.Helper()
	tool(t, "redis-server")
	r := &redisServer{t: t, dir: t.TempDir(), port: steadyAddress(t)[len("127.0.0.1:"):]}
	t.Cleanup(r.kill)
	r.start()
	return r
}

func (r *redisServer) start() {
	r.t.Helper()
	r.cmd = exec.Command("redis-server", "--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "yes")
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if out, err := exec.Command("redis-cli", "-p", r.port, "ping").Output(); err == nil && string(out) == "PONG\n" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal("redis-server does not start")
		}
	}
}

func (r *redisServer) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

func (r *redisServer) cli(args ...string) {
	r.t.Helper()
	if out, err := exec.Command("redis-cli", append([]string{"-p", r.port}, args...)...).CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v %s", args, err, out)
	}
}

// startFleet starts Caddys that share a Redis server and have the same files.
func startFleet(t testing.TB, r *redisServer, size int, files map[string]string, body string) (fleet []*process) {
	t.Helper()
	for range size {
		p := newProcess(t, files, body)
		p.globals = "download_token {\n\t\tstore redis 127.0.0.1:" + r.port + " {\n\t\t\tskew 200ms\n\t\t}\n\t}"
		p.start()
		fleet = append(fleet, p)
	}
	for _, p := range fleet {
		fleetServes(t, p)
	}
	return fleet
}

// fleetServes waits until a Caddy honours new tokens, and returns how long.
func fleetServes(t testing.TB, p *process) time.Duration {
	t.Helper()
	begun := time.Now()
	for deadline := begun.Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status := p.answers(p.url + "/a.txt?download_token=" + fresh(t))
		if status == http.StatusOK {
			return time.Since(begun)
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %d", status)
		}
	}
}

// fresh is a new token that can be used once.
func fresh(t testing.TB) string {
	return mintHeader(t, secret, nil, claims{"jti": rand.Text()})
}

// TestRedisCrowd: 200 tokens, each shown 100 times at once to two Caddys, are worth
// 200 bodies.
func TestRedisCrowd(t *testing.T) {
	fleet := startFleet(t, startRedis(t), 2, map[string]string{"a.txt": "content"}, oneTime)
	pool := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 30 * time.Second}
	defer pool.CloseIdleConnections()
	bodies := 0
	for range 200 {
		token := fresh(t)
		var honoured atomic.Int32
		var crowd sync.WaitGroup
		for i := range 100 {
			crowd.Go(func() {
				resp, err := pool.Get(fleet[i%2].url + "/a.txt?download_token=" + token)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				switch {
				case err == nil && resp.StatusCode == http.StatusOK && string(body) == "content":
					honoured.Add(1)
				case resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusConflict:
					t.Errorf("%d %q %v", resp.StatusCode, body, err)
				}
			})
		}
		crowd.Wait()
		if honoured.Load() != 1 {
			t.Fatalf("honoured %d times", honoured.Load())
		}
		bodies++
	}
	if bodies != 200 {
		t.Fatal(bodies)
	}
}

// TestRedisResume: a download that is cut off at one Caddy is resumed at another, and
// aria2c completes one over a balancer that alternates.
func TestRedisResume(t *testing.T) {
	content := random(t, 8<<20)
	fleet := startFleet(t, startRedis(t), 2, map[string]string{"a.txt": "content", "f.bin": content}, resumable("1h"))
	for _, p := range fleet { // the entity tag is made of it
		past := time.Now().Add(-time.Hour).Truncate(time.Second)
		if err := os.Chtimes(filepath.Join(p.root, "f.bin"), past, past); err != nil {
			t.Fatal(err)
		}
	}
	token := fresh(t)
	resp, err := restless.Get(fleet[0].url + "/f.bin?download_token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 3_000_000)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	req, err := http.NewRequest(http.MethodGet, fleet[1].url+"/f.bin?download_token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-", len(first)))
	req.Header.Set("If-Range", resp.Header.Get("Etag"))
	resp, err = restless.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rest, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusPartialContent || string(first)+string(rest) != content {
		t.Fatalf("%d, %v: %d and %d bytes, not the file", resp.StatusCode, err, len(first), len(rest))
	}

	balancer := alternate(t, fleet)
	dir := t.TempDir()
	out, err := exec.Command(tool(t, "aria2c"), "-x8", "-s8", "-k1M", "--max-tries=1", "--no-conf", "-q", "-d", dir, "-o", "f.bin",
		balancer+"/f.bin?download_token="+fresh(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "f.bin")); err != nil || string(got) != content {
		t.Fatalf("%d bytes, %v: not the file", len(got), err)
	}
}

// alternate is a proxy that sends one request to each in turn.
func alternate(t testing.TB, fleet []*process) (address string) {
	t.Helper()
	var turn atomic.Int32
	address = steadyAddress(t)
	proxy := &http.Server{Addr: address, Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to, _ := url.Parse(fleet[int(turn.Add(1))%len(fleet)].url) // it is one
			r.SetURL(to)
		},
	}}
	served := make(chan struct{})
	go func() {
		_ = proxy.ListenAndServe()
		close(served)
	}()
	t.Cleanup(func() {
		proxy.Close()
		<-served
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if resp, err := restless.Get("http://" + address); err == nil {
			resp.Body.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatal("the balancer does not listen")
		}
	}
}

// TestRedisBudget: over two Caddys, one of which is killed in the middle, no more
// bytes come out than the budget allows.
func TestRedisBudget(t *testing.T) {
	const size = 4 << 20
	fleet := startFleet(t, startRedis(t), 2, map[string]string{"a.txt": "content", "f.bin": random(t, size)}, resumable("1h 3"))
	for _, p := range fleet {
		past := time.Now().Add(-time.Hour).Truncate(time.Second)
		if err := os.Chtimes(filepath.Join(p.root, "f.bin"), past, past); err != nil {
			t.Fatal(err)
		}
	}
	token := fresh(t)
	var got atomic.Int64
	var crowd sync.WaitGroup
	refused := make(chan struct{})
	var once sync.Once
	for c := range 8 {
		crowd.Go(func() {
			for i := 0; i < 200; i++ {
				select {
				case <-refused:
					return
				default:
				}
				resp, err := restless.Get(fleet[(c+i)%2].url + "/f.bin?download_token=" + token)
				if err != nil {
					continue // that one is killed
				}
				if resp.StatusCode == http.StatusUnauthorized {
					once.Do(func() { close(refused) })
				}
				if resp.StatusCode == http.StatusOK {
					n, _ := io.CopyN(io.Discard, resp.Body, size/3)
					got.Add(n)
					if got.Load() > size && c == 0 && fleet[0].cmd != nil {
						fleet[0].kill()
					}
				}
				resp.Body.Close()
			}
		})
	}
	crowd.Wait()
	select {
	case <-refused:
	default:
		t.Error("the budget never ended")
	}
	if budget := int64(3*size + size/4); got.Load() > budget || got.Load() < size {
		t.Fatalf("%d bytes came out of %d", got.Load(), budget)
	}
	t.Logf("%d bytes of %d", got.Load(), 3*size+size/4)
}

// TestRedisKilled: while the server is away, requests are answered with 503, and
// nothing passes; when it is back, new tokens are honoured at once. What was
// flushed or lost is never honoured again.
func TestRedisKilled(t *testing.T) {
	r := startRedis(t)
	fleet := startFleet(t, r, 2, map[string]string{"a.txt": "content"}, oneTime)
	var spent []string
	honour := func() {
		t.Helper()
		for i := range 20 {
			token := fresh(t)
			if a := fleet[i%2].get(token); a.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			spent = append(spent, token)
		}
	}
	none := func() {
		t.Helper()
		for i, token := range spent {
			if a := fleet[(i+1)%2].get(token); a.StatusCode != http.StatusUnauthorized {
				t.Fatalf("a used token: %d", a.StatusCode)
			}
		}
	}
	honour()
	none()
	r.kill()
	for i := range 20 {
		a := fleet[i%2].get(fresh(t))
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Fatalf("%d %v", a.StatusCode, a.Header)
		}
		if a := fleet[i%2].get(spent[i]); a.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("a used token: %d", a.StatusCode)
		}
	}
	r.start()
	for _, p := range fleet {
		t.Logf("served again after %v", fleetServes(t, p))
	}
	none()
	honour()
	r.cli("FLUSHALL")
	none()
	for _, p := range fleet {
		fleetServes(t, p)
	}
	honour()
	none()
	if log := string(fleet[0].log()); strings.Count(log, "cannot be used") != 1 || strings.Count(log, "in use again") != 1 {
		t.Errorf("%d times away, %d times back", strings.Count(log, "cannot be used"), strings.Count(log, "in use again"))
	}
}
