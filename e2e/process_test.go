//go:build unix

package e2e

import (
	"bytes"
	endian "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a Caddy that runs as a program of its own, so that it can be
// killed. All that it keeps is in folders of the test.
type process struct {
	t       testing.TB
	program string
	dir     string // of Caddyfile and logs
	root    string // of the site's files
	storage string
	home    string // where the instance ID is
	url     string // of the site, without a slash at the end
	admin   string
	globals string
	body    string
	user    *syscall.Credential // nil: the same
	skew    *os.File            // nil: the clock is right

	reloaded atomic.Int64 // last time, in nanoseconds

	cmd   *exec.Cmd
	ended chan struct{} // closed when the program has ended
}

// newProcess prepares a Caddy whose site has the directives of body.
func newProcess(t testing.TB, files map[string]string, body string) *process {
	t.Helper()
	p := &process{t: t, program: caddyBinary(t), body: body}
	p.dir, p.root, p.storage, p.home = t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "storage"), t.TempDir()
	p.url, p.admin = "http://"+steadyAddress(t), steadyAddress(t)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		p.kill()
		// with GOFLAGS=-race, the program is built with the race detector, too
		if said := p.stderr(); strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic: ") {
			t.Errorf("the program says %s", said)
		}
	})
	return p
}

// newSkewedProcess is newProcess with a clock that the test sets, see setClock.
func newSkewedProcess(t testing.TB, files map[string]string, body string) *process {
	t.Helper()
	program, err := skewedBinary()
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, files, body)
	p.program = program
	p.skew, err = os.Create(filepath.Join(p.dir, "skew"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.skew.Close() })
	p.setClock(0)
	return p
}

// setClock says how far the program's clock is ahead, from now on.
func (p *process) setClock(ahead time.Duration) {
	if _, err := p.skew.WriteAt(endian.NativeEndian.AppendUint64(nil, uint64(ahead)), 0); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) caddyfile(body string) string {
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	storage file_system %q
	grace_period 3s
	%s
	log {
		output file %q {
			roll_disabled
		}
		format json
	}
}

%s {
	root %q
	%s
}
`, p.admin, p.storage, p.globals, filepath.Join(p.dir, "log.json"), p.url, p.root, body)
}

func (p *process) config() string { return filepath.Join(p.dir, "Caddyfile") }

// command is the program with arguments, in the folders of the test.
func (p *process) command(args ...string) *exec.Cmd {
	if err := os.WriteFile(p.config(), []byte(p.caddyfile(p.body)), 0o644); err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.program, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.home, "XDG_DATA_HOME="+p.home, "XDG_CONFIG_HOME="+p.home)
	if p.skew != nil {
		cmd.Env = append(cmd.Env, "DOWNLOAD_TOKEN_SKEW="+p.skew.Name())
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	return cmd
}

// spawn starts the program and does not wait until it is ready.
func (p *process) spawn() {
	p.t.Helper()
	p.kill()
	stderr, err := os.OpenFile(filepath.Join(p.dir, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer stderr.Close()
	cmd := p.command("run", "--adapter", "caddyfile", "--config", p.config())
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
}

// start starts the program and waits until the site answers.
func (p *process) start() {
	p.t.Helper()
	p.spawn()
	if err := p.ready(); err != nil {
		p.t.Fatal(err)
	}
}

// ready waits until the site answers and the whole configuration is started.
func (p *process) ready() error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		select {
		case <-p.ended:
			return fmt.Errorf("the program ended: %.2000s %s", p.log(), p.stderr())
		case <-time.After(5 * time.Millisecond):
		}
		if p.answers(p.url+"/") == http.StatusUnauthorized && p.answers("http://"+p.admin+"/download_token/stores") == http.StatusOK {
			return nil
		}
	}
	return errors.New("the site does not answer")
}

// cleaned waits until Caddy has cleaned its storage, as it does soon after its first
// start.
func (p *process) cleaned() {
	p.t.Helper()
	eventually(p.t, func() bool {
		locks, err := filepath.Glob(filepath.Join(p.storage, "locks", "*"))
		_, cleaned := os.Stat(filepath.Join(p.storage, "last_clean.json"))
		return err == nil && len(locks) == 0 && cleaned == nil
	})
}

// answers is the status of the answer, 0 if there is none.
func (p *process) answers(url string) int {
	resp, err := restless.Get(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// fails starts a program that has to end by itself, and returns what it says.
func (p *process) fails() string {
	p.t.Helper()
	before := len(p.log())
	p.spawn()
	if p.ready() == nil {
		p.t.Fatal("it started")
	}
	return string(p.log()[before:])
}

// kill ends the program as a power failure would. One that has ended is left
// alone.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		p.cmd = nil
	}
}

// terminate asks the program to stop.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the program cleanly.
func (p *process) stop() {
	p.t.Helper()
	p.terminate()
	p.wait()
}

// wait waits until the program has ended, which it was asked to.
func (p *process) wait() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.cmd = nil
	case <-time.After(20 * time.Second):
		p.t.Fatal("it does not stop")
	}
}

// load posts a new configuration to the admin API.
func (p *process) load(body string) error {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.admin+"/load", strings.NewReader(p.caddyfile(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // load even if unchanged
	resp, err := p.do(req)                             // the admin endpoint closes its listener, too
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	p.reloaded.Store(time.Now().UnixNano())
	return nil
}

// do sends a request, again if it was in the queue of the listener that a reload closes.
func (p *process) do(req *http.Request) (*http.Response, error) {
	resp, err := restless.Do(req)
	for err != nil && req.Context().Err() == nil && time.Since(time.Unix(0, p.reloaded.Load())) < 3*time.Second {
		if req.GetBody != nil {
			req.Body, _ = req.GetBody()
		}
		resp, err = restless.Do(req)
	}
	return resp, err
}

// get downloads a.txt with a token.
func (p *process) get(token string) answer {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodGet, p.url+"/a.txt?download_token="+token, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{resp, string(body)}
}

// wantRefused fails the test if the token is honoured, or refused for another
// reason.
func (p *process) wantRefused(token, reason string) {
	p.t.Helper()
	before := p.count(reason)
	if a := p.get(token); a.StatusCode != http.StatusUnauthorized {
		p.t.Fatalf("status %d, body %q", a.StatusCode, a.body)
	}
	if p.count(reason) != before+1 {
		p.t.Fatalf("not refused as %s but as %s", reason, p.logged()[len(p.logged())-1].Reason)
	}
}

// count is how many requests were refused for the reason.
func (p *process) count(reason string) (n int) {
	for _, line := range p.logged() {
		if line.Reason == reason {
			n++
		}
	}
	return n
}

// logLine is what this plugin logs.
type logLine struct {
	Level, Logger, Msg, Reason, Fingerprint string
	TS                                      float64
}

func (l logLine) time() time.Time { return time.UnixMicro(int64(l.TS * 1e6)) }

// log is everything logged so far, in all runs.
func (p *process) log() []byte {
	p.t.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, "log.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	return content
}

// logged is what this plugin logged so far.
func (p *process) logged() (lines []logLine) {
	p.t.Helper()
	for text := range bytes.Lines(p.log()) {
		var line logLine
		// a line that a kill cut short is not one
		if json.Unmarshal(text, &line) == nil && strings.Contains(line.Logger, "download_token") {
			lines = append(lines, line)
		}
	}
	return lines
}

func (p *process) stderr() string {
	content, _ := os.ReadFile(filepath.Join(p.dir, "stderr"))
	return string(content)
}

// kept is the path of what the store keeps under that name.
func (p *process) kept(name string) string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.storage, "download_token", "*", "default"))
	if err != nil || len(found) != 1 {
		p.t.Fatalf("%q, %v", found, err)
	}
	return filepath.Join(found[0], name)
}

// restless is a client that opens a connection for every request, as each may
// be for another process.
var restless = &http.Client{
	CheckRedirect: client.CheckRedirect,
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	Timeout:       30 * time.Second,
}

// tree describes everything in folders: names, contents, times.
func tree(t testing.TB, dirs ...string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %v %v", path, info.Mode(), info.ModTime())
			if info.Mode().IsRegular() {
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, " %x", content)
			}
			b.WriteByte('\n')
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// skewedBinary is the example with another clock in this plugin: the system's,
// and what a file holds on top of it. Programs for such things (libfaketime)
// stand between a program and libc, which Go does not ask for the time.
var skewedBinary = sync.OnceValues(func() (string, error) {
	plain, err := binary()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(plain)
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	replace := func(path, content string) error {
		if _, ok := overlay.Replace[path]; ok {
			return nil
		}
		copied := filepath.Join(dir, fmt.Sprintf("overlay%d.go", len(overlay.Replace)))
		overlay.Replace[path] = copied
		return os.WriteFile(copied, []byte(content), 0o600)
	}
	root, err := filepath.Abs(filepath.Join("..", "downloadtoken"))
	if err != nil {
		return "", err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte("time.Now")) {
			return err
		}
		_, name, _ := strings.Cut(string(content), "\npackage ")
		if rest, ok := strings.CutPrefix(string(content), "package "); ok {
			name = rest
		}
		name, _, _ = strings.Cut(name, "\n")
		skewed := strings.ReplaceAll(string(content), "time.Now", "skewedNow") + "\nvar _ = time.Second\n"
		return errors.Join(replace(path, skewed), replace(filepath.Join(filepath.Dir(path), "skewed.go"), "package "+name+skewedClock))
	})
	if err != nil {
		return "", err
	}
	encoded, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list, path := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "skewed")
	if err := os.WriteFile(list, encoded, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-overlay", list, "-o", path, "../example").CombinedOutput(); err != nil {
		return "", &buildError{err, out}
	}
	return path, nil
})

const skewedClock = `

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var skew = func() *int64 {
	f, err := os.Open(os.Getenv("DOWNLOAD_TOKEN_SKEW"))
	if err != nil {
		panic(err)
	}
	shared, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&shared[0]))
}()

func skewedNow() time.Time { return time.Now().Round(0).Add(time.Duration(atomic.LoadInt64(skew))) }
`
