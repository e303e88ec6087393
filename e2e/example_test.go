package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	code := m.Run()
	_ = os.RemoveAll(home)
	if dir := builtIn.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	os.Exit(code)
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

func TestExampleWithoutArguments(t *testing.T) {
	path := caddyBinary(t)
	if l, err := net.Listen("tcp", "127.0.0.1:8080"); err != nil {
		missing(t, "port 8080 is in use")
	} else {
		l.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_DATA_HOME=", "XDG_CONFIG_HOME=")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var links []string
	for lines := bufio.NewScanner(stdout); len(links) < 4 && lines.Scan(); {
		if link := strings.TrimSpace(lines.Text()); strings.HasPrefix(link, "http://localhost:8080/") {
			links = append(links, link)
		}
	}
	if len(links) != 4 {
		t.Fatalf("links %q", links)
	}
	click := func(link string) int {
		t.Helper()
		resp, err := client.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	for _, step := range []struct {
		link string
		want int
	}{
		{links[0], 200}, {links[0], 401}, {links[1], 200}, {links[1], 401},
		{links[2], 200}, {links[2], 200}, {links[3], 401},
		{strings.Replace(links[2], "/shared/notes.txt", "/once/hello.txt", 1), 401},
	} {
		if got := click(step.link); got != step.want {
			t.Errorf("%s: %d, want %d", strings.SplitN(step.link, "?", 2)[0], got, step.want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	_ = cmd.Wait()
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "download-token-example-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestExampleIsTheWholeCommandLine(t *testing.T) {
	path := caddyBinary(t)
	modules := run(t, "", path, "list-modules")
	for _, module := range []string{"http.handlers.download_token", "download_token", "download_token.stores.memory", "http.handlers.file_server"} {
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
