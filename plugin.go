// Package downloadtokenplugin brings every module of this repository into a
// Caddy build with a single import, so that
//
//	xcaddy build --with github.com/caddy-download-token/caddy-download-token
//
// is all that an operator has to say. Import it for its side effects only. The
// documentation lives with the modules: the directive in package caddyfile, its
// behaviour and JSON form in package downloadtoken.
package downloadtokenplugin

import (
	_ "github.com/caddy-download-token/caddy-download-token/caddyfile"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/issuer"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/redact"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/any"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/claims"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/path"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/pathpermissions"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/template"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/session"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/store/bolt"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/store/memory"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/store/redis"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/upload"
	_ "github.com/caddy-download-token/caddy-download-token/internal/command"
)
