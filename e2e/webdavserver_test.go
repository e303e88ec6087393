package e2e

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/webdav"
)

func init() {
	caddy.RegisterModule(new(webdavServer))
	httpcaddyfile.RegisterHandlerDirective("test_webdav", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		w := new(webdavServer)
		return w, w.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("test_webdav", httpcaddyfile.Before, "file_server")
}

// webdavServer is the WebDAV server of the Go project, for the files of the site:
// test_webdav [<prefix>]. It knows no If-None-Match, and overwrites whatever is there.
type webdavServer struct {
	Prefix string `json:"prefix,omitempty"`

	locks webdav.LockSystem
}

func (*webdavServer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_webdav", New: func() caddy.Module { return new(webdavServer) }}
}

func (w *webdavServer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.Args(&w.Prefix); d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func (w *webdavServer) Provision(caddy.Context) error {
	w.locks = webdav.NewMemLS()
	return nil
}

func (w *webdavServer) ServeHTTP(rw http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	root := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).ReplaceAll("{http.vars.root}", "")
	(&webdav.Handler{Prefix: w.Prefix, FileSystem: webdav.Dir(root), LockSystem: w.locks}).ServeHTTP(rw, r)
	return nil
}
