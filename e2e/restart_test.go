//go:build unix

package e2e

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// restartable is oneTime for clocks and tokens that the tests choose.
var restartable = strings.Replace(oneTime, "max_ttl 10m", "max_ttl 3h", 1)

var fileA = map[string]string{"a.txt": "content of a"}

// lasting mints a one-time token without iat that is valid for so long. After a
// crash it is known to be unused by its exp alone, so that tests of restarts
// need not wait.
func lasting(t testing.TB, d time.Duration) string {
	t.Helper()
	return mint(t, claims{"jti": rand.Text(), "iat": nil, "exp": time.Now().Add(d).Unix()})
}

// issuedAt mints a one-time token that was issued at that time, and is valid for
// an hour.
func issuedAt(t testing.TB, at time.Time) string {
	t.Helper()
	return mint(t, claims{"jti": rand.Text(), "iat": float64(at.UnixMicro()) / 1e6, "exp": at.Add(time.Hour).Unix()})
}

func TestCleanRestart(t *testing.T) {
	t.Parallel()
	p := newProcess(t, fileA, restartable)
	p.start()
	spent, unused, looked := once(t), once(t), once(t)
	p.get(spent).wantBody(t, "content of a")
	for range 3 {
		p.stop()
		p.start()
		p.wantRefused(spent, "replayed")
		late := once(t)
		p.get(late).wantBody(t, "content of a")
		p.wantRefused(late, "replayed")
	}
	p.get(unused).wantBody(t, "content of a") // from before three restarts
	p.get(looked).wantBody(t, "content of a")
	p.wantRefused(unused, "replayed")
	for _, line := range p.logged() {
		if strings.Contains(line.Msg, "did not end cleanly") {
			t.Errorf("logged: %s", line.Msg)
		}
	}
}

// TestReservedAtShutdown stops a server that has not sent the first byte yet.
func TestReservedAtShutdown(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		<-r.Context().Done()
	}))
	defer upstream.Close()
	p := newProcess(t, fileA, strings.Replace(restartable, "file_server",
		"reverse_proxy /slow "+upstream.Listener.Addr().String()+"\nfile_server", 1))
	p.start()
	unused, reserved := once(t), once(t)
	go func() {
		if resp, err := restless.Get(p.url + "/slow?download_token=" + reserved); err == nil {
			resp.Body.Close()
		}
	}()
	<-waiting
	p.terminate()
	eventually(t, func() bool { return exists(p.kept("snapshot")) })
	p.kill() // as systemd does after a while
	p.start()
	p.wantRefused(reserved, "replayed")
	p.get(unused).wantBody(t, "content of a")
}

func TestDownloadInFlightAtShutdown(t *testing.T) {
	t.Parallel()
	content := random(t, 32<<20) // more than the sockets take
	p := newProcess(t, map[string]string{"a.txt": content}, restartable)
	p.start()
	token, unused := once(t), once(t)
	resp, err := restless.Get(p.url + "/a.txt?download_token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p.terminate()
	eventually(t, func() bool { return exists(p.kept("snapshot")) })
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != content {
		t.Errorf("%d bytes, %v: the download was cut", len(body), err)
	}
	p.wait()
	p.start()
	p.wantRefused(token, "replayed")
	p.get(unused).want(t, http.StatusOK)
}

// TestResumeAcrossShutdown reads on while the server stops, and once more from
// the next one: what is sent after the snapshot was written counts, too.
func TestResumeAcrossShutdown(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	content := random(t, size)
	for name, end := range map[string]func(p *process){
		"stopped":                          (*process).wait,
		"killed because of another client": (*process).kill,
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(t, map[string]string{"a.txt": content},
				strings.Replace(restartable, "one_time", "one_time {\n\t\t\tresume 1h 1\n\t\t}", 1))
			p.start()
			token := once(t)
			begin := func(token string) *http.Response {
				resp, err := restless.Get(p.url + "/a.txt?download_token=" + token)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { resp.Body.Close() })
				return resp
			}
			resp, other := begin(token), begin(once(t))
			p.terminate()
			eventually(t, func() bool { return exists(p.kept("snapshot")) })
			read, err := io.Copy(io.Discard, resp.Body)
			if err != nil {
				t.Error(err)
			}
			if name == "stopped" {
				other.Body.Close()
			}
			end(p)
			p.start()
			for range 3 {
				again := begin(token)
				n, _ := io.Copy(io.Discard, again.Body)
				if again.StatusCode < 300 {
					read += n
				}
			}
			budget := rules.Terms{Size: size, Copies: 1}.Budget()
			t.Logf("%d bytes of %d", read, budget)
			if read > budget {
				t.Errorf("%d bytes were sent, the budget is %d", read, budget)
			}
		})
	}
}

func TestCrash(t *testing.T) {
	t.Parallel()
	t.Run("tokens with iat", func(t *testing.T) {
		p := newSkewedProcess(t, fileA, restartable)
		p.start()
		p.setClock(time.Minute) // so that there are times after the start that have passed
		last := time.Now().Add(30 * time.Second)
		spent := []string{issuedAt(t, last.Add(-20*time.Second)), issuedAt(t, last.Add(-time.Second)), issuedAt(t, last)}
		for _, token := range spent {
			p.get(token).wantBody(t, "content of a")
		}
		p.kill()
		p.start()
		for _, token := range spent {
			p.wantRefused(token, "unproven")
		}
		p.wantRefused(issuedAt(t, last.Add(-10*time.Second)), "unproven")
		p.wantRefused(issuedAt(t, last), "unproven")
		after := issuedAt(t, last.Add(rules.MarkStep+time.Millisecond))
		p.get(after).wantBody(t, "content of a")
		p.wantRefused(after, "replayed")
		p.kill()
		p.start()
		p.wantRefused(after, "unproven")
		p.get(issuedAt(t, last.Add(3*rules.MarkStep))).wantBody(t, "content of a")
	})
	t.Run("tokens without iat", func(t *testing.T) {
		p := newSkewedProcess(t, fileA, restartable)
		p.start()
		p.setClock(time.Hour) // so that max_ttl after the start leaves no doubt
		spent := lasting(t, 3*time.Hour+30*time.Minute)
		p.wantRefused(lasting(t, 2*time.Hour), "unproven")
		p.get(spent).wantBody(t, "content of a")
		p.kill()
		p.start()
		p.wantRefused(spent, "unproven")
		p.wantRefused(lasting(t, 3*time.Hour), "unproven")
		p.get(lasting(t, 3*time.Hour+30*time.Minute+2*rules.MarkStep)).wantBody(t, "content of a")
	})
}

func TestRevocationsSurviveAKill(t *testing.T) {
	t.Parallel()
	p := newProcess(t, fileA, restartable)
	for range 5 {
		p.start()
		token := once(t)
		p.revoke(`{"token":"` + token + `"}`)
		p.kill()
		p.start()
		p.wantRefused(token, "revoked")
	}
}

// revoke takes tokens back; it is in force when it returns.
func (p *process) revoke(body string) {
	p.t.Helper()
	resp, err := restless.Post("http://"+p.admin+"/download_token/revoke", "application/json", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.t.Fatal(resp.Status)
	}
}

// TestOtherCommandsTouchNothing runs commands that read a configuration where a
// server is running, was killed, or has stopped.
func TestOtherCommandsTouchNothing(t *testing.T) {
	t.Parallel()
	p := newProcess(t, fileA, restartable)
	untouched := func(when string) {
		t.Helper()
		before := tree(t, p.storage, p.home)
		for _, command := range []string{"validate", "adapt"} {
			for _, body := range []string{restartable, strings.Replace(restartable, "one_time", "one_time {\nuses 7\n}", 1)} {
				p.body = body
				if out, err := p.command(command, "--adapter", "caddyfile", "--config", p.config()).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", command, err, out)
				}
			}
		}
		p.body = restartable
		if after := tree(t, p.storage, p.home); after != before {
			t.Errorf("%s: changed from\n%s\nto\n%s", when, before, after)
		}
	}
	p.start()
	p.cleaned()
	spent, unused := once(t), once(t)
	p.get(spent).want(t, http.StatusOK)
	untouched("beside a server")
	p.wantRefused(spent, "replayed")
	p.stop()
	untouched("after a clean stop")
	p.start()
	p.wantRefused(spent, "replayed")
	p.get(unused).want(t, http.StatusOK)
	p.kill()
	untouched("after a crash")
	p.start()
	p.wantRefused(spent, "unproven")
	p.wantRefused(unused, "unproven")
}

// TestDamagedStorage damages what a server that stopped cleanly has left.
func TestDamagedStorage(t *testing.T) {
	t.Parallel()
	p := newSkewedProcess(t, fileA, restartable)
	p.start()
	p.get(once(t)).want(t, http.StatusOK)
	spent, unused := once(t), once(t)
	p.get(spent).want(t, http.StatusOK)
	p.revoke(`{"sub":"somebody"}`)
	p.stop()
	saved := make(map[string][]byte)
	for _, name := range []string{"marks", "snapshot", "revocations"} {
		saved[name] = keptAs(t, p.kept(name))
	}
	foreign := newProcess(t, fileA, restartable)
	foreign.start()
	foreign.get(once(t)).want(t, http.StatusOK)
	foreign.revoke(`{"sub":"somebody else"}`)
	foreign.stop()

	flipped := func(part float64) func(string, []byte) []byte {
		return func(_ string, b []byte) []byte {
			b = bytes.Clone(b)
			b[int(part*float64(len(b)-1))] ^= 0x10
			return b
		}
	}
	for damage, do := range map[string]func(name string, b []byte) []byte{
		"empty":             func(string, []byte) []byte { return nil },
		"cut short":         func(_ string, b []byte) []byte { return b[:len(b)-1] },
		"half":              func(_ string, b []byte) []byte { return b[:len(b)/2] },
		"too long":          func(_ string, b []byte) []byte { return append(bytes.Clone(b), 0) },
		"zeros":             func(_ string, b []byte) []byte { return make([]byte, len(b)) },
		"first byte":        flipped(0),
		"in the middle":     flipped(0.5),
		"last byte":         flipped(1),
		"another server's":  func(name string, _ []byte) []byte { return keptAs(t, foreign.kept(name)) },
		"the other of both": func(name string, _ []byte) []byte { return saved[map[string]string{"marks": "snapshot"}[name]] },
	} {
		for name := range saved {
			if name == "revocations" && (damage == "another server's" || damage == "the other of both") {
				continue // they are not bound to a server
			}
			t.Run(name+", "+damage, func(t *testing.T) {
				p.t = t
				for other, b := range saved {
					if other == name {
						b = do(name, b)
					}
					put(t, p.kept(other), b)
				}
				if name == "revocations" {
					if said := p.fails(); !strings.Contains(said, "revocations: ") || !strings.Contains(said, "backup") {
						t.Errorf("it says %s", said)
					}
					for other, b := range saved {
						if other != name && !bytes.Equal(keptAs(t, p.kept(other)), b) {
							t.Errorf("%s was changed by a start that failed", other)
						}
					}
					return
				}
				p.start()
				p.wantRefused(spent, "unproven")
				p.wantRefused(unused, "unproven")
				p.setClock(time.Minute)
				p.get(issuedAt(t, time.Now().Add(30*time.Second))).want(t, http.StatusOK)
				p.setClock(0)
				p.kill()
			})
		}
	}
	p.t = t
	t.Run("nothing", func(t *testing.T) {
		p.t = t
		for name, b := range saved {
			put(t, p.kept(name), b)
		}
		p.start()
		p.wantRefused(spent, "replayed")
		p.get(unused).want(t, http.StatusOK)
	})
	p.t = t
}

// TestStaleSnapshot puts a snapshot back that was taken away.
func TestStaleSnapshot(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*process){"stopped": (*process).stop, "killed": (*process).kill} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(t, fileA, restartable)
			p.start()
			spent, later := once(t), once(t)
			p.get(spent).want(t, http.StatusOK)
			p.stop()
			stale := keptAs(t, p.kept("snapshot"))
			p.start()
			if exists(p.kept("snapshot")) {
				t.Error("the snapshot is still there")
			}
			p.get(later).want(t, http.StatusOK)
			end(p)
			put(t, p.kept("snapshot"), stale)
			p.start()
			p.wantRefused(spent, "unproven")
			p.wantRefused(later, "unproven")
		})
	}
}

// unprivileged has the program run as somebody to whom modes apply.
func (p *process) unprivileged() {
	p.t.Helper()
	if os.Getuid() == 0 {
		p.user = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	for _, dir := range []string{filepath.Dir(p.program), p.root, p.dir, p.home, filepath.Dir(p.storage)} {
		for up := dir; up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
			if err := os.Chmod(up, 0o755); err != nil {
				p.t.Fatal(err)
			}
		}
		if p.user != nil && dir != filepath.Dir(p.program) {
			if err := os.Chown(dir, int(p.user.Uid), int(p.user.Gid)); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

func TestReadOnlyStorage(t *testing.T) {
	t.Parallel()
	readOnly := func(t *testing.T, dirs ...string) {
		for _, dir := range dirs {
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
		}
	}
	warnings := func(p *process) (n int) {
		for _, line := range p.logged() {
			if strings.Contains(line.Msg, "storage cannot be written") {
				n++
			}
		}
		return n
	}
	for name, dirs := range map[string]func(p *process) []string{
		"storage":             func(p *process) []string { return []string{filepath.Dir(p.storage)} },
		"storage and its own": func(p *process) []string { return []string{filepath.Dir(p.storage), p.home} },
	} {
		t.Run(name+" at the first start", func(t *testing.T) {
			p := newProcess(t, fileA, restartable)
			p.unprivileged()
			readOnly(t, dirs(p)...)
			p.start()
			spent, unused := once(t), once(t)
			p.get(spent).wantBody(t, "content of a")
			p.wantRefused(spent, "replayed")
			if n := warnings(p); n != 1 {
				t.Errorf("%d warnings", n)
			}
			if err := p.load("header X-Reload yes\n" + restartable); err != nil {
				t.Fatal(err)
			}
			p.wantRefused(spent, "replayed")
			p.stop()
			p.start()
			p.wantRefused(spent, "unproven")
			p.wantRefused(unused, "unproven")
			p.get(once(t)).wantBody(t, "content of a")
			if n := warnings(p); n != 2 {
				t.Errorf("%d warnings after two starts", n)
			}
			resp, err := restless.Post("http://"+p.admin+"/download_token/revoke", "application/json", strings.NewReader(`{"sub":"x"}`))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a revocation that cannot be kept: %s", resp.Status)
			}
		})
	}
	for name, end := range map[string]func(*process){"stopped": (*process).stop, "killed": (*process).kill} {
		t.Run("with the marks of a server that was "+name, func(t *testing.T) {
			p := newProcess(t, fileA, restartable)
			p.unprivileged()
			p.start()
			p.get(once(t)).wantBody(t, "content of a")
			end(p)
			readOnly(t, filepath.Dir(p.kept("marks")))
			if said := p.fails(); !strings.Contains(said, "storage has the marks of an earlier run and cannot be written") {
				t.Errorf("it says %s", said)
			}
		})
	}
	t.Run("from one moment on", func(t *testing.T) {
		p := newProcess(t, fileA, restartable)
		p.unprivileged()
		p.start()
		now := time.Now()
		p.get(issuedAt(t, now)).wantBody(t, "content of a")
		readOnly(t, filepath.Dir(p.kept("marks")))
		covered := issuedAt(t, now)
		p.get(covered).wantBody(t, "content of a") // its mark is in storage
		p.wantRefused(lasting(t, 3*time.Hour-patience), "unproven")
		eventually(t, func() bool { // once tokens without iat are of after the start
			return p.get(lasting(t, 3*time.Hour)).StatusCode == http.StatusServiceUnavailable
		})
		if err := os.Chmod(filepath.Dir(p.kept("marks")), 0o700); err != nil {
			t.Fatal(err)
		}
		p.wantRefused(covered, "replayed")
	})
}

// TestStorageMovedByAReload changes the storage under a running server, and
// back, with and without a reload.
func TestStorageMovedByAReload(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*process){"stopped": (*process).stop, "killed": (*process).kill} {
		t.Run(name, func(t *testing.T) {
			p := newSkewedProcess(t, fileA, restartable)
			old, moved := p.storage, filepath.Join(t.TempDir(), "moved")
			p.start()
			p.setClock(time.Minute)
			clock := func(d time.Duration) time.Time { return time.Now().Add(time.Minute + d) }
			before, unused := issuedAt(t, clock(-50*time.Second)), issuedAt(t, clock(-time.Second))
			p.get(before).want(t, http.StatusOK)
			p.storage = moved
			if err := p.load(restartable); err != nil {
				t.Fatal(err)
			}
			p.wantRefused(before, "replayed")
			after := issuedAt(t, clock(-10*time.Second))
			p.get(after).want(t, http.StatusOK)
			end(p)

			p.start() // where it was
			p.get(before).want(t, http.StatusUnauthorized)
			p.get(after).want(t, http.StatusUnauthorized)
			if name == "stopped" {
				p.get(unused).want(t, http.StatusOK)
			}
			end(p)
			p.storage = old
			p.start() // with the configuration of before
			p.get(before).want(t, http.StatusUnauthorized)
			p.get(after).want(t, http.StatusUnauthorized)
			p.get(unused).want(t, http.StatusUnauthorized)
		})
	}
	t.Run("to one with an older snapshot", func(t *testing.T) {
		p := newProcess(t, fileA, restartable)
		other := filepath.Join(t.TempDir(), "other")
		here := p.storage
		p.storage = other
		p.start()
		p.stop()
		p.storage = here
		p.start()
		token := once(t)
		p.get(token).want(t, http.StatusOK)
		p.storage = other
		if err := p.load(restartable); err != nil {
			t.Fatal(err)
		}
		p.kill()
		p.start()
		p.get(token).want(t, http.StatusUnauthorized)
	})
}

// TestClockSetBack starts a server whose clock has gone back an hour.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*process){"stopped": (*process).stop, "killed": (*process).kill} {
		t.Run(name, func(t *testing.T) {
			p := newSkewedProcess(t, fileA, restartable)
			p.start()
			p.setClock(2 * time.Minute)
			p.get(issuedAt(t, time.Now().Add(time.Minute))).want(t, http.StatusOK)
			now := time.Now()
			spent, short := issuedAt(t, now.Add(time.Minute)), mint(t, claims{
				"jti": rand.Text(), "iat": float64(now.Add(30*time.Second).UnixMicro()) / 1e6, "exp": now.Add(3 * time.Minute).Unix()})
			p.get(spent).want(t, http.StatusOK)
			p.get(short).want(t, http.StatusOK)
			p.setClock(time.Hour) // short expires, and makes room
			p.get(issuedAt(t, now.Add(59*time.Minute))).want(t, http.StatusOK)
			p.get(short).want(t, http.StatusUnauthorized)
			p.setClock(2 * time.Minute)
			for _, token := range []string{spent, short} {
				p.get(token).want(t, http.StatusUnauthorized)
			}
			end(p)
			p.setClock(-time.Hour + 2*time.Minute)
			p.start()
			for _, ahead := range []time.Duration{-time.Hour, 2 * time.Minute, time.Minute + time.Second, time.Hour} {
				p.setClock(ahead)
				for _, token := range []string{spent, short} {
					p.get(token).want(t, http.StatusUnauthorized)
				}
			}
			p.setClock(2 * time.Hour)
			fresh := issuedAt(t, now.Add(2*time.Hour-time.Second))
			p.get(fresh).want(t, http.StatusOK)
			p.setClock(2*time.Hour - 500*time.Millisecond)
			p.wantRefused(fresh, "replayed")
		})
	}
}

func keptAs(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
