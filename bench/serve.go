package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-download-token/caddy-download-token"
)

// The first argument of a child says what it is; no flag looks like it.
const (
	serveArg = "-child-serve" // then a Caddyfile and the addresses in it
	aloneArg = "-child-alone" // then a folder and the options
)

// child does what a process is for that this program started. done is false in the
// process that a person started.
func child(args []string) (done bool, err error) {
	switch {
	case len(args) > 1 && args[0] == serveArg:
		return true, serve(args[1], args[2:], os.Stdin, os.Stdout)
	case len(args) > 1 && args[0] == aloneArg:
		return true, serveAlone(args[1], args[2:], os.Stdout)
	}
	return false, nil
}

// serve is a Caddy until in ends, as it does when the parent dies. It says when it is
// ready, and answers each line with the number of allocations so far.
func serve(caddyfile string, addrs []string, in io.Reader, out io.Writer) error {
	for _, addr := range addrs {
		if err := unused(addr); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(caddyfile)
	if err != nil {
		return err
	}
	if err := load(text); err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	lines := bufio.NewScanner(in)
	var stats runtime.MemStats
	for lines.Scan() {
		runtime.ReadMemStats(&stats)
		fmt.Fprintln(out, stats.Mallocs)
	}
	return caddy.Stop()
}

func load(text []byte) error {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
	if err != nil {
		return err
	}
	return caddy.Load(adapted, true)
}

// unused makes sure of what Caddy does not: its listeners share a port with any other
// Caddy of the same user (SO_REUSEPORT), and each would get half of the requests.
func unused(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("port is taken: %w", err)
	}
	return l.Close()
}
