package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// parseMethods reads
//
//	methods <method>...|webdav {
//		root <path>
//		fs <name>
//		strip_prefix <path>
//	}
func parseMethods(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	h.Methods = &downloadtoken.Methods{Method: d.RemainingArgs()}
	if len(h.Methods.Method) == 0 {
		return usage(d, "methods", "methods GET HEAD PUT")
	}
	return unmarshalOptions(d, "methods", into(h.Methods, map[string]func(*caddyfile.Dispenser, *downloadtoken.Methods) error{
		"root":         word(func(m *downloadtoken.Methods) *string { return &m.Root }, "root /srv/files"),
		"fs":           word(func(m *downloadtoken.Methods) *string { return &m.FileSystem }, "fs attic"),
		"strip_prefix": word(func(m *downloadtoken.Methods) *string { return &m.StripPrefix }, "strip_prefix /dav"),
	}))
}
