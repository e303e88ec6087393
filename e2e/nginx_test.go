package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nginx starts one in front of a server, with what it does by default: it takes
// in whole answers, into memory and files, as fast as they come.
func nginx(t testing.TB, upstream string) (url string) {
	t.Helper()
	address := freeAddress(t)
	nginxSite(t, t.TempDir(), address, fmt.Sprintf(`access_log off;
server {
	listen %s;
	location / {
		proxy_pass %s;
	}
}
`, address, upstream))
	return "http://" + address
}

// nginxSite starts an nginx with this in its http block, in a folder, and waits until it
// listens on the address.
func nginxSite(t testing.TB, dir, address, site string) {
	t.Helper()
	var paths strings.Builder
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "\t%s_temp_path %s;\n", name, filepath.Join(dir, name))
	}
	config := filepath.Join(dir, "nginx.conf")
	write(t, config, fmt.Sprintf(`daemon off;
master_process off;
pid %s;
error_log stderr;
events {}
http {
%s%s}
`, filepath.Join(dir, "pid"), paths.String(), site))
	output := new(strings.Builder)
	cmd := exec.Command(tool(t, "nginx"), "-p", dir, "-c", config)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for range 1500 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nginx does not listen: %s", output)
}
