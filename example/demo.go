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
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/golang-jwt/jwt/v5"
)

//go:embed Caddyfile site
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
	content, err := fs.Sub(files, "site")
	if err != nil {
		return err
	}
	site := filepath.Join(dir, "site")
	if err := os.CopyFS(site, content); err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	for name, value := range map[string]string{
		"EXAMPLE_PORT":   port,
		"EXAMPLE_SITE":   site,
		"EXAMPLE_SECRET": "base64:" + base64.StdEncoding.EncodeToString(secret),
		// of its own: two processes must never keep their marks in one place
		"EXAMPLE_STORAGE": filepath.ToSlash(filepath.Join(dir, "storage")),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}

	config, err := files.ReadFile("Caddyfile")
	if err != nil {
		return err
	}
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(config, map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	caddy.TrapSignals()
	if err := caddy.Load(adapted, false); err != nil {
		return fmt.Errorf("%w (has something else taken port %s?)", err, port)
	}
	if err := printLinks(out, port, secret); err != nil {
		return err
	}
	select {}
}

// printLinks mints a token for each link, as an application would.
func printLinks(out io.Writer, port string, secret []byte) error {
	site := "http://localhost:" + port
	now := time.Now()
	var failed error
	link := func(path string, ttl time.Duration, claims jwt.MapClaims) string {
		claims["iat"] = float64(now.UnixMilli()) / 1000
		claims["exp"] = now.Add(ttl).Unix()
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
		if err != nil {
			failed = err
		}
		return site + path + "?download_token=" + token
	}
	note := ""
	if port != firstPort {
		note = "\nPort " + firstPort + " is in use, so this demonstration has another one."
	}
	text := fmt.Sprintf(`%s
Serving %s until you press Ctrl+C.

A one-time link. It works once, then it is refused:
  %s

Another one:
  %s

A one-time link that asks people first. The page with the button uses nothing up:
  %s

A link that works for an hour, as often as you like:
  %s

Without a token, everything is refused:
  %s

`, note, site,
		link("/once/hello.txt", 10*time.Minute, jwt.MapClaims{"scope": "file:hello.txt", "jti": rand.Text()}),
		link("/once/picture.svg", 10*time.Minute, jwt.MapClaims{"scope": "file:picture.svg", "jti": rand.Text()}),
		link("/asked/letter.txt", 10*time.Minute, jwt.MapClaims{"scope": "asked:letter.txt", "jti": rand.Text()}),
		link("/shared/notes.txt", time.Hour, jwt.MapClaims{"scope": "folder:shared"}),
		site+"/shared/notes.txt")
	if failed != nil {
		return failed
	}
	_, err := io.WriteString(out, text)
	return err
}
