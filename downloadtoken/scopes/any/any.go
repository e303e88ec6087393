// Package any is the scope of tokens that open everything.
package any

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

func init() {
	caddy.RegisterModule(Scope{})
}

// Scope opens every path.
type Scope struct{}

// CaddyModule returns the Caddy module information.
func (Scope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  scopes.Namespace + ".any",
		New: func() caddy.Module { return new(Scope) },
	}
}

// UnmarshalCaddyfile sets up the scope from Caddyfile tokens. Syntax:
//
//	scope any
func (*Scope) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume kind
	if d.NextArg() {
		return d.Err("scope any: wrong number of arguments; write it like this: scope any")
	}
	return nil
}

// Opens implements [scopes.Scope].
func (*Scope) Opens(scopes.Query) scopes.Opening { return scopes.Open }

// Base implements [scopes.Based]: everything is opened.
func (*Scope) Base(scopes.Query) string { return "" }

// Name implements [scopes.Namer]: nothing has to be said.
func (*Scope) Name(string) (claims map[string]any, ok bool) { return nil, true }

// Interface guards
var (
	_ scopes.Namer          = (*Scope)(nil)
	_ scopes.Based          = (*Scope)(nil)
	_ caddyfile.Unmarshaler = (*Scope)(nil)
)
