package response

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// AskedPath is the escaped path that the client asked for, before any rewrite. It never
// begins with two slashes, which would make the rest a host.
func AskedPath(r *http.Request) string {
	asked := r.URL
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		asked = original.URL
	}
	return "/" + strings.TrimLeft((&url.URL{Path: asked.Path, RawPath: asked.RawPath}).EscapedPath(), "/")
}
