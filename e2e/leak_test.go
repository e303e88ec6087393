package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"
)

// faults are all kinds that end by themselves or when the client goes.
var faults = []string{
	"error", "panic", "header, then error", "header, then panic", "announced body", "read error", "empty write", "nothing",
	"early hints", "byte, then panic", "flush, then error", "hijack", "slow", "wait for the client to go",
	"200", "204", "206", "304", "404", "500",
}

// leaky has everything that starts goroutines or holds something for a request.
func leaky(n int, jwks string) string {
	return fmt.Sprintf(`header X-Reload %d
	download_token {
		key HS256 %q
		jwks %s {
			refresh 10s
		}
		scope any
		max_ttl 10m
		one_time {
			resume 1h
		}
	}
	fault by-request
	file_server`, n, secret, jwks)
}

// TestNoLeaks makes 1,000 requests of all kinds and 20 reloads, and stops: no
// goroutine is left.
func TestNoLeaks(t *testing.T) {
	o, key := keyOrigin(), newECKey(t, "one")
	o.publishes(key)
	before := goleak.IgnoreCurrent()
	s := start(t, map[string]string{"a.txt": "a", "b.bin": random(t, 1<<20)}, leaky(0, o.URL+"/leaks"))
	var last string
	outcomes := make(map[int]int)
	for i := range 1000 {
		if i%50 == 25 {
			if err := s.reload(leaky(i, fmt.Sprint(o.URL, "/leaks", i%100))); err != nil {
				t.Fatal(err)
			}
		}
		path, token := "/a.txt", once(t)
		var header []string
		switch i % 10 {
		case 0:
			token = key.mint(t, claims{"jti": rand.Text()})
		case 1:
			token = newECKey(t, rand.Text()).mint(t, claims{"jti": rand.Text()}) // its key is looked for
		case 2:
			token = last
		case 3:
			token = mint(t, claims{"jti": rand.Text(), "exp": time.Now().Unix() - 10})
		case 4:
			path = "/missing"
		case 5, 6:
			path, header = "/b.bin", []string{"Range", fmt.Sprintf("bytes=%d-", i)}
		case 7, 8:
			header = []string{"Fault", faults[i/10%len(faults)]}
		}
		last = token
		outcomes[s.broken(path+"?download_token="+token, header...)]++
	}
	t.Log("outcomes:", outcomes)
	s.noneReserved()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	o.CloseClientConnections()
	if err := goleak.Find(before,
		// Caddy keeps its admin API, and its log files an idle goroutine each.
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2.replaceLocalAdminServer.func2"),
		goleak.IgnoreTopFunction("github.com/DeRuina/timberjack.(*Logger).millRun"),
	); err != nil {
		t.Error(err)
	}
}

// broken sends a request whose answer may break off, or that is left before it
// is answered, and returns the status, 0 without one.
func (s *server) broken(target string, header ...string) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if strings.HasPrefix(header0(header), "wait") {
		time.AfterFunc(20*time.Millisecond, cancel)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// header0 is the value of the first field.
func header0(header []string) string {
	if len(header) < 2 {
		return ""
	}
	return header[1]
}

// reserved asks the admin API how many nonces are reserved.
func (s *server) reserved() int {
	s.t.Helper()
	resp, err := restlessly().Get("http://" + s.admin + "/download_token/stores")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var stores map[string]struct{ Reserved int }
	if err := json.NewDecoder(resp.Body).Decode(&stores); err != nil {
		s.t.Fatal(err)
	}
	sum := 0
	for _, store := range stores {
		sum += store.Reserved
	}
	return sum
}

// restlessly is a client that keeps no connection.
func restlessly() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
}

// noneReserved waits until no nonce is reserved.
func (s *server) noneReserved() {
	s.t.Helper()
	s.eventually(func() bool { return s.reserved() == 0 })
}

// TestNothingStaysReserved aborts requests in every way.
func TestNothingStaysReserved(t *testing.T) {
	for name, option := range map[string]string{
		"response": "one_time", "request": "one_time {\n\t\t\tspend request\n\t\t}", "resume": "one_time {\n\t\t\tresume 1h\n\t\t}",
		"uses": "one_time {\n\t\t\tuses 3\n\t\t}",
	} {
		t.Run(name, func(t *testing.T) {
			config := strings.Replace(withFault, "one_time", option, 1)
			s := start(t, map[string]string{"a.txt": "a"}, config)
			for _, kind := range faults {
				t.Run(kind, func(t *testing.T) {
					s.t = t
					token := once(t)
					for range 2 {
						s.broken("/a.txt?download_token="+token, "Fault", kind)
					}
					s.noneReserved()
				})
			}
			s.t = t
			t.Run("client gone", func(t *testing.T) {
				s.t = t
				for _, kind := range []string{"wait for the client to go", "slow", ""} {
					conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(conn, "GET /a.txt?download_token=%s HTTP/1.1\r\nHost: x\r\nFault: %s\r\n\r\n", once(t), kind)
					conn.Close()
				}
				time.Sleep(10 * time.Millisecond) // so that they have come in
				s.noneReserved()
			})
			t.Run("held during reloads", func(t *testing.T) {
				s.t = t
				done := make(chan int)
				go func() { done <- s.broken("/a.txt?download_token="+once(t), "Fault", "slow") }()
				for i := range 3 {
					if err := s.reload(fmt.Sprintf("header X-Reload %d\n%s", i, config)); err != nil {
						t.Fatal(err)
					}
				}
				<-done
				s.noneReserved()
			})
		})
	}
}
