// Package template is the scope of tokens that name a thing which the site keeps
// under a path. The language of the patterns is [scope.Template].
package template

import (
	"cmp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func init() {
	caddy.RegisterModule(Scope{})
}

const defaultClaim = "scope"

// Scope opens the paths that a claim names by means of a template. The claim is one
// scope, or an array of them.
type Scope struct {
	// The pattern of the `scope` claim, such as `dataset:{id}`.
	Scope string `json:"scope,omitempty"`

	// The pattern of the paths that such a scope opens, such as `/datasets/{id}/*`.
	// `{id}` stands for (a part of) one path segment and must have the value that
	// it has in the scope; `{id:uuid}` must be a UUID, of which the case does not
	// matter; `*` as the last segment is everything below the directory.
	Path string `json:"path,omitempty"`

	// The claim that holds the scopes, such as `scp`. Default: `scope`.
	Claim string `json:"claim,omitempty"`

	// Each string of the claim is a list of scopes separated by spaces (RFC 8693 section
	// 4.2), as OAuth servers make it. Then no scope can have a space in it. Default:
	// each string is one scope.
	List bool `json:"list,omitempty"`

	// What may be done with the paths: `read`, `create` (only where nothing is),
	// `modify` (everything that writes), `rename`. Default: `read`.
	Allow []string `json:"allow,omitempty"`

	template *scope.Template
	allow    scope.Allowance
}

// CaddyModule returns the Caddy module information.
func (Scope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  scopes.Namespace + ".template",
		New: func() caddy.Module { return new(Scope) },
	}
}

// UnmarshalCaddyfile sets up the scope from Caddyfile tokens. Syntax:
//
//	scope template <scope> <path pattern> {
//		claim <name>
//		list
//		allow read|create|modify|rename...
//	}
func (s *Scope) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next() // consume kind
	if !d.AllArgs(&s.Scope, &s.Path) {
		return d.Err("scope template: wrong number of arguments; write it like this: scope template dataset:{id} /datasets/{id}/*")
	}
	for d.NextBlock(0) {
		switch option := d.Val(); {
		case option == "claim" && s.Claim != "", option == "list" && s.List:
			return d.Errf("scope template: %s specified more than once", option)
		case option == "claim":
			if !d.AllArgs(&s.Claim) || s.Claim == "" {
				return d.Err("scope template: claim takes one argument, the name of a claim, such as: claim scp")
			}
		case option == "list":
			if s.List = true; d.NextArg() {
				return d.Err("scope template: list takes no argument")
			}
		case option == "allow":
			if s.Allow, err = scopes.Allow(d, s.Allow); err != nil {
				return err
			}
		default:
			return d.Errf("scope template: unrecognized option '%s'; it has claim, list and allow", option)
		}
	}
	return nil
}

// Provision reads the patterns and what is allowed.
func (s *Scope) Provision(caddy.Context) (err error) {
	if s.template, err = scope.ParseTemplate(s.Scope, s.Path); err != nil {
		return err
	}
	s.allow, err = scope.ParseAllowance(s.Allow)
	return err
}

// Opens implements [scopes.Scope].
func (s *Scope) Opens(q scopes.Query) scopes.Opening {
	if s.allow.Allows(q.Operation) && s.names(q.Token, q.Path) {
		return scopes.Open
	}
	return scopes.Closed
}

// Writes implements [scopes.Writer].
func (s *Scope) Writes() bool { return s.allow.Writes() }

// Permits implements [scopes.Writer].
func (s *Scope) Permits(q scopes.Query) bool {
	return s.allow.Permits(q.Operation, q.Path, func(path string) bool { return s.names(q.Token, path) })
}

// names reports whether the token's claim has a scope that names path.
func (s *Scope) names(t *token.Token, path string) bool {
	named, _ := t.Claims.Strings(cmp.Or(s.Claim, defaultClaim))
	admits := func(one string) bool { return s.template.Admits(one, path) }
	if !s.List {
		return slices.ContainsFunc(named, admits)
	}
	return slices.ContainsFunc(named, func(list string) bool {
		for one := range strings.SplitSeq(list, " ") {
			if admits(one) {
				return true
			}
		}
		return false
	})
}

// Base implements [scopes.Based].
func (s *Scope) Base(q scopes.Query) string {
	named, _ := q.Token.Claims.Strings(cmp.Or(s.Claim, defaultClaim))
	if s.List {
		named = strings.Split(strings.Join(named, " "), " ")
	}
	return s.template.Base(named, q.Path)
}

// Name implements [scopes.Namer].
func (s *Scope) Name(path string, op scope.Operation) (claims map[string]any, ok bool) {
	one, ok := s.template.Name(path)
	opens := func(path string) bool { return s.template.Admits(one, path) }
	ok = ok && s.allow.Grants(op, path, opens) && !(s.List && strings.Contains(one, " "))
	return map[string]any{cmp.Or(s.Claim, defaultClaim): one}, ok
}

// Interface guards
var (
	_ scopes.Namer          = (*Scope)(nil)
	_ scopes.Based          = (*Scope)(nil)
	_ scopes.Writer         = (*Scope)(nil)
	_ caddy.Provisioner     = (*Scope)(nil)
	_ caddyfile.Unmarshaler = (*Scope)(nil)
)
