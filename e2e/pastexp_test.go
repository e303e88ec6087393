//go:build unix

package e2e

import (
	"crypto/rand"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	pastExpBytes = flag.Int64("pastexp.bytes", 20<<20, "size of the file of TestPastExp; in full 1073741824")
	pastExpTakes = flag.Duration("pastexp.takes", 8*time.Second, "how long it takes over the line, without the breaks; in full 60s")
	pastExpLasts = flag.Duration("pastexp.lasts", time.Second, "how long a connection lasts; in full 4s")
)

// weakLine is a proxy on loopback that lets so many bytes of answers through in a second,
// for each connection, and breaks off each one that lasts for so long.
func weakLine(t testing.TB, url string, rate int64, lasts time.Duration) (line string, broken *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	broken = new(atomic.Int64)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
				if err != nil {
					return
				}
				defer server.Close()
				_ = server.(*net.TCPConn).SetReadBuffer(64 << 10) // what a break loses
				go func() { _, _ = io.Copy(server, client) }()
				began, sent := time.Now(), int64(0)
				for time.Since(began) < lasts {
					n, err := io.CopyN(client, server, max(rate/100, 1))
					if sent += n; err != nil {
						return
					}
					time.Sleep(time.Until(began.Add(time.Duration(float64(sent) / float64(rate) * float64(time.Second)))))
				}
				broken.Add(1)
			}()
		}
	}()
	return "http://" + l.Addr().String(), broken
}

// patientPrograms go on with a download that was broken off until there is nothing more
// to get; $1 is the link, $2 the Host. curl 7 with --retry begins anew each time.
var patientPrograms = map[string]string{
	"curl":   `until curl -sf -C - --retry 3 -H "$2" -o out "$1"; do [ $? -ne 22 ] || exit 22; done`,
	"wget":   `exec wget -q -c --tries=0 --waitretry=1 --header="$2" -O out "$1"`,
	"aria2c": `exec aria2c -q --no-conf --max-tries=0 --retry-wait=1 --header="$2" -o out "$1"`,
}

// TestPastExp: over a line that is slow and breaks off again and again, a download that
// lasts for longer than its token is completed with past_exp, and refused without. The
// token opens nothing else from exp on.
func TestPastExp(t *testing.T) {
	t.Parallel()
	const life = 5 * time.Second
	// Each break loses what is in the buffers on the way, of a small file a large part.
	const window = "1h random"
	for _, option := range []string{window, window + " {\n\t\t\t\tpast_exp\n\t\t\t}"} {
		past := option != window
		name := map[bool]string{true: "past_exp", false: "without"}[past]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startApart(t, map[string]string{"other.bin": "other"}, "", resumable(option))
			content := filepath.Join(s.root, "f.bin")
			f, err := os.Create(content)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(f, rand.Reader, *pastExpBytes); err != nil || f.Close() != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for program, script := range patientPrograms {
				all.Go(func() {
					t.Run(program, func(t *testing.T) {
						tool(t, program)
						line, broken := weakLine(t, s.url, *pastExpBytes*int64(time.Second)/int64(*pastExpTakes), *pastExpLasts)
						exp := time.Now().Add(life)
						query := "?download_token=" + mint(t, claims{"jti": rand.Text(), "exp": exp.Unix() + 1})
						cmd := exec.Command("sh", "-c", script, "sh", line+"/f.bin"+query, "Host: "+strings.TrimPrefix(s.url, "http://"))
						cmd.Dir = t.TempDir()
						began := time.Now()
						output, failed := cmd.CombinedOutput()
						took := time.Since(began).Round(100 * time.Millisecond)
						out, _ := os.Stat(filepath.Join(cmd.Dir, "out"))
						if out == nil {
							t.Fatalf("%v %s", failed, output)
						}
						t.Logf("%v, %d of %d bytes, %d breaks, %v", took, out.Size(), *pastExpBytes, broken.Load(), failed)
						if broken.Load() == 0 || past && (broken.Load() < 3 || took < 3*life/2) {
							t.Error("the line was too good")
						}
						if past {
							if diff, err := exec.Command("cmp", content, filepath.Join(cmd.Dir, "out")).CombinedOutput(); failed != nil || err != nil {
								t.Errorf("%v %s, %v %s", failed, output, err, diff)
							}
						} else if failed == nil || program != "aria2c" && out.Size() == *pastExpBytes { // that one sets the size first
							t.Errorf("it was completed after exp: %v, %d bytes", failed, out.Size())
						}
						status := map[bool]int{true: http.StatusPartialContent, false: http.StatusUnauthorized}[past]
						s.get("/f.bin"+query, "Range", "bytes=5-9").want(t, status)
						for _, target := range []string{"/other.bin", "/", "/none"} {
							wantProblem(t, s.get(target+query).want(t, http.StatusUnauthorized), "expired")
							s.do(http.MethodHead, target+query).want(t, http.StatusUnauthorized)
						}
					})
				})
			}
			all.Wait()
		})
	}
}

// TestPastExpAcrossRestarts: a reload and a clean restart keep a grant past exp open, with
// every store, and a crash or a revocation end it. Without past_exp it is over at once.
func TestPastExpAcrossRestarts(t *testing.T) {
	t.Parallel()
	with := resumable("1h random {\n\t\t\t\tpast_exp\n\t\t\t}")
	for name, globals := range map[string]func(t *testing.T, p *process) string{
		"memory": func(*testing.T, *process) string { return "" },
		"bolt":   func(_ *testing.T, p *process) string { return inFile(filepath.Join(p.home, "tokens.bolt")) },
		"redis": func(t *testing.T, _ *process) string {
			return "download_token {\n\t\tstore redis 127.0.0.1:" + startRedis(t).port + " {\n\t\t\tskew 200ms\n\t\t}\n\t}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, map[string]string{"a.txt": "content of a", "b.txt": "b"}, with)
			p.globals = globals(t, p)
			p.start()
			fleetServes(t, p)
			status := func(file, token string) int {
				return p.answers(p.url + "/" + file + "?download_token=" + token)
			}
			exp := time.Now().Add(4 * time.Second)
			soon := func(user string) string {
				return mint(t, claims{"jti": rand.Text(), "sub": user, "exp": exp.Unix()})
			}
			open, taken, unused := soon("an ear"), soon("a nose"), soon("an ear")
			for _, token := range []string{open, taken} {
				p.get(token).wantBody(t, "content of a")
			}
			time.Sleep(time.Until(exp))
			goesOn := func(after string) {
				t.Helper()
				p.get(open).wantBody(t, "content of a")
				for _, token := range []string{open, unused} {
					if got := status("b.txt", token); got != http.StatusUnauthorized {
						t.Fatalf("after %s, a token that has expired: %d", after, got)
					}
				}
			}
			goesOn("exp")
			p.revoke(`{"sub":"a nose","for":"1s"}`)
			p.wantRefused(taken, "expired")
			if err := p.load("header X-Changed yes\n" + with); err != nil {
				t.Fatal(err)
			}
			goesOn("a reload")
			if err := p.load(resumable("1h random")); err != nil {
				t.Fatal(err)
			}
			p.wantRefused(open, "expired")
			if err := p.load(with); err != nil {
				t.Fatal(err)
			}
			goesOn("another")
			p.stop()
			p.start()
			goesOn("a restart")
			p.wantRefused(unused, "expired")
			p.wantRefused(taken, "expired") // a second is over, but its grant is open
			p.kill()
			p.start()
			if name == "redis" {
				goesOn("a crash")
			} else {
				p.wantRefused(open, "expired")
			}
		})
	}
}

// TestPastExpOpensNothingNew: from exp on, only the grant goes on, with all that it is
// pinned to.
func TestPastExpOpensNothingNew(t *testing.T) {
	t.Parallel()
	const forwarded, here, there = "X-Forwarded-For", "203.0.113.7", "203.0.113.8"
	for name, tt := range map[string]struct {
		options   string // of one_time
		elsewhere int    // status from another address
	}{
		"once":     {"resume 1h random {\n\t\t\t\tpast_exp\n\t\t\t}", http.StatusUnauthorized},
		"uses":     {"uses 5\n\t\t\tresume 1h random {\n\t\t\t\tpast_exp\n\t\t\t}", http.StatusUnauthorized},
		"per path": {"uses 5\n\t\t\tper path\n\t\t\tresume 1h random {\n\t\t\t\tpast_exp\n\t\t\t}", http.StatusUnauthorized},
		"roam":     {"resume 1h random {\n\t\t\t\troam\n\t\t\t\tpast_exp\n\t\t\t}", http.StatusPartialContent},
		"short":    {"resume 9s random {\n\t\t\t\tpast_exp\n\t\t\t}", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startApart(t, map[string]string{"a.txt": "content of a", "b.txt": "content of b"},
				"servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}",
				strings.Replace(oneTime, "one_time", "one_time {\n\t\t\t"+tt.options+"\n\t\t}", 1))
			exp := time.Now().Add(4 * time.Second)
			query := "?download_token=" + mint(t, claims{"jti": rand.Text(), "exp": exp.Unix()})
			part := func(target, address string, header ...string) answer {
				t.Helper()
				return s.get(target+query, append(header, "Range", "bytes=0-3", forwarded, address)...)
			}
			part("/a.txt", here).want(t, http.StatusPartialContent)
			time.Sleep(time.Until(exp))
			part("/a.txt", here).want(t, http.StatusPartialContent)
			s.do(http.MethodHead, "/a.txt"+query, forwarded, here).want(t, http.StatusOK)
			part("/a.txt", here, "Early-Data", "1").want(t, http.StatusTooEarly)
			part("/a.txt", there).want(t, tt.elsewhere)
			for _, header := range [][]string{{}, {"Early-Data", "1"}, {"Sec-Purpose", "prefetch"}} {
				wantProblem(t, part("/b.txt", here, header...).want(t, http.StatusUnauthorized), "expired")
			}
			for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodPost} {
				s.do(method, "/b.txt"+query, forwarded, here).want(t, http.StatusUnauthorized)
			}
			for range 3 {
				part("/a.txt", here).want(t, http.StatusPartialContent)
			}
			if name == "short" {
				s.eventually(func() bool {
					return s.do(http.MethodHead, "/a.txt"+query, forwarded, here).StatusCode == http.StatusUnauthorized
				})
				wantProblem(t, part("/a.txt", here), "expired")
				return
			}
			s.put("a.txt", "another content of a")
			wantProblem(t, part("/a.txt", here).want(t, http.StatusUnauthorized), "used")
			s.put("b.txt", "another content of b")
			wantProblem(t, part("/b.txt", here).want(t, http.StatusUnauthorized), "expired")
		})
	}
}
