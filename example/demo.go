package main

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

//go:embed Caddyfile page.html site
var files embed.FS

// demonstrate runs the demonstration until the process is stopped.
func demonstrate(out io.Writer) error {
	port, held, err := takePort()
	if err != nil {
		return err
	}
	defer held.Close()
	dir, err := os.MkdirTemp("", "download-token-example-")
	if err != nil {
		return err
	}
	caddy.OnExit(func(context.Context) { _ = os.RemoveAll(dir) })
	config, err := files.ReadFile("Caddyfile")
	if err != nil {
		return err
	}
	site := filepath.Join(dir, "site")
	if err := lay(site, config); err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	for name, value := range map[string]string{
		"EXAMPLE_PORT":   port,
		"EXAMPLE_SITE":   site,
		"EXAMPLE_LOG":    fmt.Sprintf("file %q", filepath.ToSlash(filepath.Join(site, "log.json"))),
		"EXAMPLE_SECRET": "base64:" + base64.StdEncoding.EncodeToString(secret),
		// of its own: two processes must never keep their marks in one place
		"EXAMPLE_STORAGE": filepath.ToSlash(filepath.Join(dir, "storage")),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}

	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(config, map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	caddy.TrapSignals()
	if err := caddy.Load(adapted, false); err != nil {
		return fmt.Errorf("%w (has something else taken port %s?)", err, port)
	}
	if port != firstPort {
		fmt.Fprintf(out, "\nPort %s is in use, so this demonstration has another one.", firstPort)
	}
	fmt.Fprintf(out, `
Serving until you press Ctrl+C. Open this page, and make links of each kind to try:
  http://localhost:%[1]s

Or make one here that works once:
  curl -X POST "http://localhost:%[1]s/links/once?file=hello.txt"

`, port)
	select {}
}

// lay writes what is served: the page, the Caddyfile of which it shows lines, and the
// files, once for each kind of link.
func lay(site string, config []byte) error {
	content, err := fs.Sub(files, "site")
	if err != nil {
		return err
	}
	for _, kind := range []string{"once", "resumable", "asked", "timed"} {
		if err := os.CopyFS(filepath.Join(site, kind), content); err != nil {
			return err
		}
	}
	page, err := files.ReadFile("page.html")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(site, "caddyfile.txt"), config, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(site, "index.html"), page, 0o600)
}
