package main

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"
)

func init() {
	caddy.RegisterModule(naive{})
	httpcaddyfile.RegisterHandlerDirective("bench_naive", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		n := new(naive)
		return n, n.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("bench_naive", httpcaddyfile.Before, "file_server")
}

// naive is the handler that comes to mind first: golang-jwt and nothing else. It knows
// no scope, spends nothing, and leaves the token in the request.
type naive struct {
	Secret string `json:"secret"`
}

// CaddyModule returns the Caddy module information.
func (naive) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_naive", New: func() caddy.Module { return new(naive) }}
}

// UnmarshalCaddyfile reads `bench_naive <secret>`.
func (n *naive) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&n.Secret) {
		return d.ArgErr()
	}
	return nil
}

func (n *naive) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	key := func(*jwt.Token) (any, error) { return []byte(n.Secret), nil }
	_, err := jwt.ParseWithClaims(r.URL.Query().Get(parameter), &jwt.RegisteredClaims{}, key, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil {
		return caddyhttp.Error(http.StatusUnauthorized, err)
	}
	return next.ServeHTTP(w, r)
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler = (*naive)(nil)
	_ caddyfile.Unmarshaler       = (*naive)(nil)
)
