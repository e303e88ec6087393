// Package path is the scope of tokens that name paths. What they open is decided by
// [scope.PathScope].
package path

import (
	"errors"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

func init() {
	caddy.RegisterModule(Scope{})
}

// The claim and the prefix, unless configured otherwise.
const (
	defaultClaim  = "scope"
	defaultPrefix = "download:"
)

// Scope opens the paths that stand in a claim, by the rules of the WLCG Common JWT
// Profile.
type Scope struct {
	// The claim that holds the paths. It is a string or an array of strings. `/a/b`
	// opens that file, or folder, and what is below; `/a/b/` what is below; nothing
	// that is not an absolute, normalised path opens anything. Default: `scope`,
	// with the prefix `download:`.
	Claim string `json:"claim,omitempty"`

	// What a path is introduced by, such as `download:` or `storage.read:`. The
	// strings of the claim are then lists separated by spaces (RFC 8693 section
	// 4.2), of which those with the prefix count, and their paths are
	// percent-encoded. Default: none, each string is one path.
	Prefix string `json:"prefix,omitempty"`

	paths scope.PathScope
}

// CaddyModule returns the Caddy module information.
func (Scope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  scopes.Namespace + ".path",
		New: func() caddy.Module { return new(Scope) },
	}
}

// UnmarshalCaddyfile sets up the scope from Caddyfile tokens. Syntax:
//
//	scope path [<claim> [<prefix>]]
func (s *Scope) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume kind
	if d.Args(&s.Claim, &s.Prefix); d.NextArg() {
		return d.Err("scope path: wrong number of arguments; write it like this: scope path scope download:")
	}
	return nil
}

// Provision sets the default.
func (s *Scope) Provision(caddy.Context) error {
	if s.Claim == "" {
		if s.Prefix != "" {
			return errors.New("a prefix needs a claim before it, such as scope path scope storage.read: for a WLCG token")
		}
		s.Claim, s.Prefix = defaultClaim, defaultPrefix
	}
	s.paths = scope.PathScope{Prefix: s.Prefix, Escaped: s.Prefix != ""}
	return nil
}

// Opens implements [scopes.Scope].
func (s *Scope) Opens(q scopes.Query) scopes.Opening {
	values, _ := q.Token.Claims.Strings(s.Claim)
	if s.paths.Admits(values, q.Path) {
		return scopes.Open
	}
	return scopes.Closed
}

// Base implements [scopes.Based].
func (s *Scope) Base(q scopes.Query) string {
	values, _ := q.Token.Claims.Strings(s.Claim)
	return s.paths.Base(values)
}

// Name implements [scopes.Namer].
func (s *Scope) Name(path string) (claims map[string]any, ok bool) {
	if s.paths.Escaped {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	return map[string]any{s.Claim: s.Prefix + path}, true
}

// Interface guards
var (
	_ scopes.Namer          = (*Scope)(nil)
	_ scopes.Based          = (*Scope)(nil)
	_ caddy.Provisioner     = (*Scope)(nil)
	_ caddyfile.Unmarshaler = (*Scope)(nil)
)
