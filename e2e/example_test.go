package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binary builds the example, a whole Caddy with the plugin, once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "download-token-e2e-")
	if err != nil {
		return "", err
	}
	builtIn.Store(&dir)
	path := filepath.Join(dir, "caddy")
	out, err := exec.Command("go", "build", "-o", path, "../example").CombinedOutput()
	if err != nil {
		err = &buildError{err, out}
	}
	return path, err
})

type buildError struct {
	error
	output []byte
}

func (e *buildError) Error() string { return e.error.Error() + "\n" + string(e.output) }

func TestMain(m *testing.M) {
	if config := os.Getenv(serveEnv); config != "" {
		if err := serve(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	sideBySide()
	home, err := os.MkdirTemp("", "download-token-home-")
	if err != nil {
		panic(err)
	}
	// Caddy keeps its instance ID there.
	_ = os.Setenv("XDG_DATA_HOME", home)
	_ = os.Setenv("XDG_CONFIG_HOME", home)
	if err := trustKeyOrigin(home); err != nil {
		panic(err)
	}
	if flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		go func() { _, _ = binary() }() // while the tests that do not need it run
	}
	code := m.Run()
	_ = os.RemoveAll(home)
	if dir := builtIn.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	os.Exit(code)
}

// sideBySide has more tests run in parallel than there are processors, unless
// -parallel says how many: those that can do so mostly wait, for other programs
// and for time to pass.
func sideBySide() {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
}

// builtIn is the folder of the binary, once there is one.
var builtIn atomic.Pointer[string]

// caddyBinary is the path of the built example.
func caddyBinary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// demonstration is a running `go run ./example`.
type demonstration struct {
	*exec.Cmd
	page       string // its address
	noted      bool   // that a port is in use
	home, temp string // its folders
}

// link has the page's server make a link of a kind.
func (d *demonstration) link(t *testing.T, kind, file string) string {
	t.Helper()
	resp, err := client.Post(d.page+"/links/"+kind+"?file="+file, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct{ Link string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || !strings.HasPrefix(made.Link, d.page) {
		t.Fatalf("%s: %q, %v", kind, made.Link, err)
	}
	return made.Link
}

func startDemonstration(t *testing.T) *demonstration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	d := &demonstration{Cmd: exec.CommandContext(ctx, caddyBinary(t)), home: t.TempDir(), temp: t.TempDir()}
	d.Env = append(os.Environ(), "HOME="+d.home, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=", "TMPDIR="+d.temp)
	stdout, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); d.page == "" && lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "http://localhost:") {
			d.page = line
		}
		d.noted = d.noted || strings.Contains(line, "is in use")
	}
	if d.page == "" {
		t.Fatal("no page")
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return d
}

// stop ends it as Ctrl+C does, and looks at what it leaves.
func (d *demonstration) stop(t *testing.T) {
	t.Helper()
	if err := d.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = d.Wait()
	if left, _ := filepath.Glob(filepath.Join(d.temp, "download-token-example-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if left, _ := filepath.Glob(filepath.Join(d.home, ".local/share/caddy/download_token")); len(left) > 0 {
		t.Errorf("kept where other Caddys keep theirs: %q", left)
	}
}

// click opens a link as a browser does, or presses the button of its page.
func click(t *testing.T, method, link string) int {
	t.Helper()
	req, err := http.NewRequest(method, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestDemonstrationsSideBySide starts two at once: the links of both work, and none
// goes to the other one.
func TestDemonstrationsSideBySide(t *testing.T) {
	caddyBinary(t)
	var both [2]*demonstration
	var started sync.WaitGroup
	for i := range both {
		started.Go(func() { both[i] = startDemonstration(t) })
	}
	started.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if !both[0].noted && !both[1].noted {
		t.Error("neither says that its port is not the usual one")
	}
	var timed []string
	for _, d := range both {
		once, asked := d.link(t, "once", "hello.txt"), d.link(t, "asked", "notes.txt")
		timed = append(timed, d.link(t, "timed", "notes.txt"))
		for _, step := range []struct {
			method, link string
			want         int
		}{
			{"GET", once, 200}, {"GET", once, 401},
			{"GET", asked, 200}, {"GET", asked, 200}, {"POST", asked, 200}, {"GET", asked, 401},
			{"GET", strings.Replace(timed[len(timed)-1], "/timed/", "/once/", 1), 403},
			{"GET", d.page + "/once/hello.txt", 401},
		} {
			if got := click(t, step.method, step.link); got != step.want {
				t.Errorf("%s %s: %d, want %d", step.method, strings.SplitN(step.link, "?", 2)[0], got, step.want)
			}
		}
	}
	for range 20 { // each by itself would be right half of the time
		for _, link := range timed {
			if got := click(t, "GET", link); got != 200 {
				t.Fatalf("%d", got)
			}
		}
	}
	for _, d := range both {
		d.stop(t)
	}
}

// TestDemonstrationNextToAnotherServer: what answers on port 8080 need not be ours,
// nor listen on 127.0.0.1.
func TestDemonstrationNextToAnotherServer(t *testing.T) {
	for _, address := range []string{"127.0.0.1:8080", "[::1]:8080", ":8080"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			switch {
			case err == nil:
				defer l.Close()
			case !errors.Is(err, syscall.EADDRINUSE): // which would do as well
				missing(t, address+" cannot be listened on")
			}
			d := startDemonstration(t)
			if !d.noted || d.page == "http://localhost:8080" {
				t.Errorf("serves beside %s", address)
			}
			if got := click(t, "GET", d.link(t, "once", "hello.txt")); got != 200 {
				t.Errorf("%d", got)
			}
			d.stop(t)
		})
	}
}

func TestExampleIsTheWholeCommandLine(t *testing.T) {
	path := caddyBinary(t)
	modules := run(t, "", path, "list-modules")
	for _, module := range []string{"http.handlers.download_token", "download_token", "download_token.stores.memory", "http.handlers.download_token.scopes.path_permissions", "http.handlers.file_server"} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(module) + `$`).MatchString(modules) {
			t.Errorf("module %s is missing", module)
		}
	}
}

// TestValidateWritesNothing runs `caddy validate` where everything that it
// could write to is empty, and stays so.
func TestValidateWritesNothing(t *testing.T) {
	path := caddyBinary(t)
	home, work := t.TempDir(), t.TempDir()
	for name, env := range map[string][]string{
		"chris":   {"CHRIS_SECRET=" + djangoSecret, "CHRIS_FILES=" + work},
		"dataset": {"DATASET_SECRET=" + secret, "DATASET_FILES=" + work},
	} {
		config, err := filepath.Abs(filepath.Join("..", "example", name, "Caddyfile"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, "validate", "--config", config)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), append(env, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for _, dir := range []string{home, work} {
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
			if d != nil && !d.IsDir() {
				t.Errorf("written: %s", path)
			}
			return nil
		})
	}
}

// TestRealClients downloads with the programs that people use.
func TestRealClients(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, oneTime)
	t.Run("curl", func(t *testing.T) {
		s.t = t
		link := s.url + "/a.txt?download_token=" + once(t)
		if got := run(t, "", tool(t, "curl"), "-sf", link); got != "content of a" {
			t.Errorf("%q", got)
		}
		out, err := exec.Command(tool(t, "curl"), "-sf", link).CombinedOutput()
		if err == nil {
			t.Errorf("a second time: %q", out)
		}
	})
	t.Run("wget", func(t *testing.T) {
		s.t = t
		link := s.url + "/a.txt?download_token=" + once(t)
		if got := run(t, "", tool(t, "wget"), "-qO-", link); got != "content of a" {
			t.Errorf("%q", got)
		}
	})
}
