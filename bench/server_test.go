package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func newTestWorld(t *testing.T) *world {
	t.Helper()
	onLinux(t)
	w, err := newWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	return w
}

// TestPortTaken: two servers at one address would share the requests.
func TestPortTaken(t *testing.T) {
	onLinux(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t.Context(), "second", t.TempDir(), nil, program, serveArg, "Caddyfile", l.Addr().String())
	if err == nil {
		s.stop()
		t.Fatal("it starts")
	}
	if !strings.Contains(err.Error(), "port is taken") {
		t.Error(err)
	}
}

// TestDirectiveIsWrong: what Caddy has against the configuration is not lost.
func TestDirectiveIsWrong(t *testing.T) {
	w := newTestWorld(t)
	if s, err := w.startCaddy(t.Context(), "wrong", "no_such_directive\n"); err == nil {
		s.stop()
		t.Error("it starts")
	} else if !strings.Contains(err.Error(), "no_such_directive") {
		t.Error(err)
	}
}

// TestServerDies: the error says so, and of which server.
func TestServerDies(t *testing.T) {
	w := newTestWorld(t)
	g := group{size: kib, mode: plainHTTP, requests: 10}
	c := cases[0]
	if err := w.writeFile(g); err != nil {
		t.Fatal(err)
	}
	if err := w.need(t.Context(), c.server); err != nil {
		t.Fatal(err)
	}
	o := &options{connections: 2}
	if _, err := w.round(t.Context(), o, g, &c, false); err != nil {
		t.Fatal(err)
	}
	if err := w.servers[bare].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-w.servers[bare].ended
	_, err := w.round(t.Context(), o, g, &c, false)
	if err == nil || !strings.Contains(err.Error(), "bare: ") || !strings.Contains(err.Error(), "killed") {
		t.Error(err)
	}
}

// TestMeasuresItsCase: a case whose tokens are not what it says ends the run.
func TestMeasuresItsCase(t *testing.T) {
	w := newTestWorld(t)
	g := group{size: kib, mode: plainHTTP, requests: 4}
	if err := w.writeFile(g); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HS256", "one-time"} {
		if err := w.need(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		c    testCase
	}{
		{"a one-time token for all", testCase{server: "one-time", absent: 401, targets: seen("HS256")}},
		{"forged, not served", testCase{server: "HS256", absent: 401, targets: forged}},
		{"expired, not forged", testCase{server: "HS256", refused: `"invalid"`, targets: expired}},
		{"served, not refused", testCase{server: "HS256", refused: `"expired"`, targets: fresh("HS256")}},
		{"not used before", testCase{server: "one-time", refused: `"used"`, targets: fresh("HS256")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := w.round(t.Context(), &options{connections: 1}, g, &test.c, false); err == nil {
				t.Error("it has figures")
			}
		})
	}
}

// TestUnknownServer: a case whose server has no site is not measured as a bare one.
func TestUnknownServer(t *testing.T) {
	w := newTestWorld(t)
	if err := w.need(t.Context(), "no-such-site"); err == nil {
		t.Error("it starts")
	}
}

// TestOneWrite: file_server has nothing but Write.
func TestOneWrite(t *testing.T) {
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		if _, ok := w.(io.ReaderFrom); ok {
			t.Error("ReadFrom is there")
		}
		return nil
	})
	full := struct {
		http.ResponseWriter
		io.ReaderFrom
	}{}
	if err := (oneWrite{}).ServeHTTP(full, nil, next); err != nil {
		t.Error(err)
	}
}
