// Package any is the scope of tokens that open everything.
package any

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

func init() {
	caddy.RegisterModule(Scope{})
}

// Scope opens every path.
type Scope struct {
	// What may be done with the paths: `read`, `create` (only where nothing is),
	// `modify` (everything that writes), `rename`. Default: `read`.
	Allow []string `json:"allow,omitempty"`

	allow scope.Allowance
}

// CaddyModule returns the Caddy module information.
func (Scope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  scopes.Namespace + ".any",
		New: func() caddy.Module { return new(Scope) },
	}
}

// UnmarshalCaddyfile sets up the scope from Caddyfile tokens. Syntax:
//
//	scope any {
//		allow read|create|modify|rename...
//	}
func (s *Scope) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next() // consume kind
	if d.NextArg() {
		return d.Err("scope any: wrong number of arguments; write it like this: scope any")
	}
	for d.NextBlock(0) {
		if d.Val() != "allow" {
			return d.Errf("scope any: unrecognized option '%s'; it has only allow", d.Val())
		}
		if s.Allow, err = scopes.Allow(d, s.Allow); err != nil {
			return err
		}
	}
	return nil
}

// Provision reads what is allowed.
func (s *Scope) Provision(caddy.Context) (err error) {
	s.allow, err = scope.ParseAllowance(s.Allow)
	return err
}

// Opens implements [scopes.Scope].
func (s *Scope) Opens(q scopes.Query) scopes.Opening {
	if s.allow.Allows(q.Operation) {
		return scopes.Open
	}
	return scopes.Closed
}

// Writes implements [scopes.Writer].
func (s *Scope) Writes() bool { return s.allow.Writes() }

// Permits implements [scopes.Writer].
func (s *Scope) Permits(q scopes.Query) bool {
	return s.allow.Permits(q.Operation, q.Path, func(string) bool { return true })
}

// Base implements [scopes.Based]: everything is opened.
func (*Scope) Base(scopes.Query) string { return "" }

// Name implements [scopes.Namer]: nothing has to be said.
func (s *Scope) Name(path string, op scope.Operation) (claims map[string]any, ok bool) {
	return nil, s.allow.Grants(op, path, func(string) bool { return true })
}

// Interface guards
var (
	_ scopes.Namer          = (*Scope)(nil)
	_ scopes.Based          = (*Scope)(nil)
	_ scopes.Writer         = (*Scope)(nil)
	_ caddy.Provisioner     = (*Scope)(nil)
	_ caddyfile.Unmarshaler = (*Scope)(nil)
)
