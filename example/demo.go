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
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/golang-jwt/jwt/v5"
)

//go:embed Caddyfile site
var files embed.FS

// demonstrate runs the demonstration until the process is stopped.
func demonstrate(out io.Writer) error {
	site, err := os.MkdirTemp("", "download-token-example-")
	if err != nil {
		return err
	}
	caddy.OnExit(func(context.Context) { _ = os.RemoveAll(site) })
	content, err := fs.Sub(files, "site")
	if err != nil {
		return err
	}
	if err := os.CopyFS(site, content); err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	for name, value := range map[string]string{
		"EXAMPLE_SITE":   site,
		"EXAMPLE_SECRET": "base64:" + base64.StdEncoding.EncodeToString(secret),
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
		return fmt.Errorf("%w (is something else using port 8080?)", err)
	}
	if err := printLinks(out, secret); err != nil {
		return err
	}
	select {}
}

// printLinks mints a token for each link, as an application would.
func printLinks(out io.Writer, secret []byte) error {
	now := time.Now()
	link := func(path string, ttl time.Duration, claims jwt.MapClaims) (string, error) {
		claims["iat"] = float64(now.UnixMilli()) / 1000
		claims["exp"] = now.Add(ttl).Unix()
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
		return "http://localhost:8080" + path + "?download_token=" + token, err
	}
	once, err := link("/once/hello.txt", 10*time.Minute, jwt.MapClaims{"scope": "file:hello.txt", "jti": rand.Text()})
	if err != nil {
		return err
	}
	another, err := link("/once/picture.svg", 10*time.Minute, jwt.MapClaims{"scope": "file:picture.svg", "jti": rand.Text()})
	if err != nil {
		return err
	}
	shared, err := link("/shared/notes.txt", time.Hour, jwt.MapClaims{"scope": "folder:shared"})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `
Serving http://localhost:8080 until you press Ctrl+C.

A one-time link. It works once, then it is refused:
  %s

Another one:
  %s

A link that works for an hour, as often as you like:
  %s

Without a token, everything is refused:
  http://localhost:8080/shared/notes.txt

`, once, another, shared)
	return err
}
