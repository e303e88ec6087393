package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a process that serves the files.
type server struct {
	name    string
	addrs   map[mode]string
	cmd     *exec.Cmd
	stdin   io.Closer
	ask     io.Writer      // nil: it is not ours and does not count allocations
	answers *bufio.Scanner // to ask
	said    bytes.Buffer   // on stderr; read it when ended is closed
	ended   chan struct{}
}

// start runs the program. A Caddy of ours is ready when this returns.
func start(ctx context.Context, name, home string, addrs map[mode]string, program string, args ...string) (*server, error) {
	s := &server{name: name, addrs: addrs, ended: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, program, args...)
	s.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	s.cmd.Stderr = &s.said
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.stdin = in, stdin
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	in.Close()
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	if len(args) > 0 && args[0] == serveArg {
		s.ask, s.answers = stdin, bufio.NewScanner(out)
		if !s.answers.Scan() || s.answers.Text() != "ready" {
			s.stop()
			return nil, s.explain(fmt.Errorf("does not start"))
		}
	} else {
		out.Close()
	}
	return s, nil
}

// startCaddy starts this program again as a Caddy with the directives.
func (w *world) startCaddy(ctx context.Context, name, directives string) (*server, error) {
	home := filepath.Join(w.dir, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	addrs, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(config, []byte(w.caddyfile(home, directives, w.store(name, home), addrs)), 0o600); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, name, home, addrs, program, serveArg, config, addrs[plainHTTP], addrs[noIdle], addrs[tlsHTTP2])
}

// freeAddresses finds ports of loopback that are free now.
func freeAddresses() (map[mode]string, error) {
	addrs := make(map[mode]string)
	for _, m := range modes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs[m] = l.Addr().String()
	}
	return addrs, nil
}

// mallocs is how many objects the server has allocated so far; 0 if it does not say.
func (s *server) mallocs() (uint64, error) {
	if s.ask == nil {
		return 0, nil
	}
	if _, err := io.WriteString(s.ask, "mallocs\n"); err != nil {
		return 0, s.explain(err)
	}
	if !s.answers.Scan() {
		return 0, s.explain(fmt.Errorf("no number of allocations"))
	}
	return strconv.ParseUint(s.answers.Text(), 10, 64)
}

// explain adds to an error what the server said before it died, if it did.
func (s *server) explain(err error) error {
	select {
	case <-s.ended:
		return fmt.Errorf("%s: %w: %s: %s", s.name, err, s.cmd.ProcessState, strings.TrimSpace(s.said.String()))
	case <-time.After(time.Second):
		return fmt.Errorf("%s: %w", s.name, err)
	}
}

// stop ends the process, gently first. A server that is not ours does not look at stdin.
func (s *server) stop() {
	s.stdin.Close()
	if s.ask == nil {
		_ = s.cmd.Process.Signal(os.Interrupt)
	}
	select {
	case <-s.ended:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}
