package main

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(oneWrite{})
	httpcaddyfile.RegisterHandlerDirective("bench_one_write", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		if h.NextArg() {
			return nil, h.ArgErr()
		}
		return oneWrite{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("bench_one_write", httpcaddyfile.Before, "file_server")
}

// oneWrite checks nothing, and hides ReadFrom from file_server. A small file then leaves
// in one write(2) with its header, where bare file_server makes two. download_token
// sends small files like that, too, and saves more by it than its check costs: beside
// bare alone, the check would look as if it cost less than nothing.
type oneWrite struct{}

// CaddyModule returns the Caddy module information.
func (oneWrite) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_one_write", New: func() caddy.Module { return new(oneWrite) }}
}

func (oneWrite) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
}

// Interface guard
var _ caddyhttp.MiddlewareHandler = oneWrite{}
