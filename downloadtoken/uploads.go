package downloadtoken

import (
	"cmp"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// warnOfUploads looks through the servers for a download_token_upload to which no
// directive lets anything through that writes, and for one that writes into another
// folder than its directive looks into. They cannot be errors, since what is told here
// by the host alone may be kept apart by other matchers.
func warnOfUploads(ctx caddy.Context, logger *zap.Logger) {
	for name, srv := range serversOf(ctx) {
		var unguarded, elsewhere bool
		writers, roots := make(map[string]*Handler), make(map[string]string) // by host
		eachHandler(srv, func(handler caddyhttp.MiddlewareHandler, hosts []string) {
			root := settingOf(handler, "root")
			for _, host := range hosts {
				switch h, ok := handler.(*Handler); {
				case ok && h.writable():
					writers[host] = h
				case root != "" && caddy.GetModuleName(handler) == "vars":
					roots[host] = root
				case caddy.GetModuleName(handler) == "download_token_upload":
					in := func(root string) string {
						if root == "{http.vars.root}" {
							return cmp.Or(roots[host], roots[""])
						}
						return root
					}
					guard := cmp.Or(writers[host], writers[""])
					unguarded = unguarded || guard == nil && (host != "" || len(writers) == 0)
					elsewhere = elsewhere || guard != nil && in(guard.Methods.Root) != in(root)
				}
			}
		})
		if unguarded {
			logger.Warn("download_token_upload stores nothing, because no download_token in front of it lets files be written: "+
				"write methods GET HEAD PUT POST into its block, and allow create into the block of its scope", zap.String("server", name))
		}
		if elsewhere {
			logger.Warn("download_token_upload writes into another folder than its download_token looks into: "+
				"write the same root into the blocks of methods and of download_token_upload, or leave both out", zap.String("server", name))
		}
	}
}
