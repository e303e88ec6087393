//go:build unix

package redis

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// redisServer is a real server of the test, on a port of its own.
type redisServer struct {
	t    testing.TB
	args []string
	dir  string
	port string
	cmd  *exec.Cmd
}

// need looks for a program. Without it the test is skipped, or fails if
// DOWNLOAD_TOKEN_STRICT is set.
func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("DOWNLOAD_TOKEN_STRICT") != "" {
			t.Fatal(program + " is not installed")
		}
		t.Skip(program + " is not installed")
	}
}

// startServer starts a server that keeps nothing, unless args say so.
func startServer(t testing.TB, args ...string) *redisServer {
	t.Helper()
	need(t, "redis-server")
	s := &redisServer{t: t, args: args, dir: t.TempDir(), port: freePort(t)}
	t.Cleanup(s.kill)
	s.start()
	return s
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func (s *redisServer) socket() string { return filepath.Join(s.dir, "socket") }

func (s *redisServer) start() {
	s.t.Helper()
	args := append([]string{"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--unixsocket", s.socket(),
		"--save", "", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes", "--logfile", filepath.Join(s.dir, "log")}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if out, err := exec.Command("redis-cli", "-p", s.port, "ping").Output(); err == nil && string(out) == "PONG\n" {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("redis-server does not start: %s", log)
		}
	}
}

// kill ends the server as a power failure would.
func (s *redisServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *redisServer) option() rueidis.ClientOption {
	return rueidis.ClientOption{InitAddress: []string{"127.0.0.1:" + s.port}, ForceSingleClient: true, DisableCache: true}
}

// cli gives the server a command and returns what it answers.
func (s *redisServer) cli(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := s.ask(ctx, args...)
	if err != nil {
		s.t.Fatalf("%s: %v %s", args, err, out)
	}
	return out
}

func (s *redisServer) ask(ctx context.Context, args ...string) (answer string, err error) {
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-p", s.port}, args...)...).CombinedOutput()
	return string(out), err
}

// waitFor waits until a command says something. A server that is promoted may close the
// connection meanwhile.
func (s *redisServer) waitFor(command, arg, what string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		said, err := s.ask(ctx, command, arg)
		if err == nil && strings.Contains(said, what) {
			return
		}
		if ctx.Err() != nil {
			s.t.Fatalf("%s %s does not say %s: %v %s", command, arg, what, err, said)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// pause stops the server, which then takes what it is sent and answers nothing.
func (s *redisServer) pause(stop bool) {
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}
