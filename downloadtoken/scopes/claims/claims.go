// Package claims is the scope of tokens that open what their own claims lead to. The
// language of the pattern is [scope.ClaimsPath].
package claims

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

func init() {
	caddy.RegisterModule(Scope{})
}

// Scope opens the paths that have the token's own claims in them, so that tokens of any
// issuer need no claim that is made for this site.
type Scope struct {
	// The pattern of the paths, such as `/users/{sub}/*`. What stands in braces is the
	// name of a claim, which must be a string and stand in the path as it is, as (a part
	// of) one segment; `{id:uuid}` must be a UUID, of which the case does not matter; `*`
	// as the last segment is everything below the directory.
	Path string `json:"path,omitempty"`

	// What may be done with the paths: `read`, `create` (only where nothing is),
	// `modify` (everything that writes), `rename`. Default: `read`.
	Allow []string `json:"allow,omitempty"`

	path  *scope.ClaimsPath
	allow scope.Allowance
}

// CaddyModule returns the Caddy module information.
func (Scope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  scopes.Namespace + ".claims",
		New: func() caddy.Module { return new(Scope) },
	}
}

// UnmarshalCaddyfile sets up the scope from Caddyfile tokens. Syntax:
//
//	scope claims <path pattern> {
//		allow read|create|modify|rename...
//	}
func (s *Scope) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next() // consume kind
	if !d.AllArgs(&s.Path) {
		return d.Err("scope claims: wrong number of arguments; write it like this: scope claims /users/{sub}/*")
	}
	for d.NextBlock(0) {
		if d.Val() != "allow" {
			return d.Errf("scope claims: unrecognized option '%s'; it has only allow", d.Val())
		}
		if s.Allow, err = scopes.Allow(d, s.Allow); err != nil {
			return err
		}
	}
	return nil
}

// Provision reads the pattern and what is allowed.
func (s *Scope) Provision(caddy.Context) (err error) {
	if s.path, err = scope.ParseClaimsPath(s.Path); err != nil {
		return err
	}
	s.allow, err = scope.ParseAllowance(s.Allow)
	return err
}

// Opens implements [scopes.Scope].
func (s *Scope) Opens(q scopes.Query) scopes.Opening {
	if s.allow.Allows(q.Operation) && s.path.Admits(q.Token.Claims.String, q.Path) {
		return scopes.Open
	}
	return scopes.Closed
}

// Writes implements [scopes.Writer].
func (s *Scope) Writes() bool { return s.allow.Writes() }

// Permits implements [scopes.Writer].
func (s *Scope) Permits(q scopes.Query) bool {
	return s.allow.Permits(q.Operation, q.Path, func(path string) bool {
		return s.path.Admits(q.Token.Claims.String, path)
	})
}

// Base implements [scopes.Based].
func (s *Scope) Base(q scopes.Query) string { return s.path.Base(q.Path) }

// Name implements [scopes.Namer].
func (s *Scope) Name(path string, op scope.Operation) (claims map[string]any, ok bool) {
	named, ok := s.path.Name(path)
	said := func(name string) (value string, ok bool) { value, ok = named[name]; return value, ok }
	opens := func(path string) bool { return s.path.Admits(said, path) }
	claims = make(map[string]any, len(named))
	for name, value := range named {
		claims[name] = value
	}
	return claims, ok && s.allow.Grants(op, path, opens)
}

// Interface guards
var (
	_ scopes.Namer          = (*Scope)(nil)
	_ scopes.Based          = (*Scope)(nil)
	_ scopes.Writer         = (*Scope)(nil)
	_ caddy.Provisioner     = (*Scope)(nil)
	_ caddyfile.Unmarshaler = (*Scope)(nil)
)
