package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// serveEnv names the file of the configuration that this program is to serve,
// instead of testing.
const serveEnv = "DOWNLOAD_TOKEN_E2E_SERVE"

// startApart is startWith, but the Caddy is a process of its own, so that the
// test can run beside others. It is this program once more: it has the faults
// that tests register, and the race detector. What a test changes in its own
// process, the server does not see.
func startApart(t testing.TB, files map[string]string, globals, body string) *server {
	t.Helper()
	s := prepare(t, files, globals)
	config := filepath.Join(s.dir, "config.json")
	write(t, config, string(s.adapt(body)))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+config, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "GORACE=exitcode=0")
	said, err := os.Create(filepath.Join(s.dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stderr = said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ends with %v: %s", err, contentOf(t, said.Name()))
		}
		for _, race := range racesIn(contentOf(t, said.Name())) {
			t.Error(race)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the server does not start: %q, %v", line, err)
	}
	return s
}

// racesIn are the reports of the race detector, but for the one that Caddy 2.11.9 has
// itself: the handshake of HTTP/3 emits an event for which the TLS app is copied, and
// nothing orders that after its start.
func racesIn(said string) (races []string) {
	for _, report := range strings.Split(said, "==================") {
		if strings.Contains(report, "DATA RACE") &&
			!(strings.Contains(report, "caddytls.(*TLS).CaddyModule()") && strings.Contains(report, "caddytls.(*TLS).Start()")) {
			races = append(races, report)
		}
	}
	return races
}

// serve is a Caddy with that configuration, until the standard input ends, as
// it also does if the test is killed.
func serve(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	if err := caddy.Load(text, true); err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return caddy.Stop()
}
