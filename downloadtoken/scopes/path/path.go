// Package path is the scope of tokens that name paths. What they open is decided by
// [scope.PathScopes].
package path

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

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

	// What may be done with the paths behind Prefix: `read`, `create` (only where
	// nothing is), `modify` (everything that writes), `rename`. Default: `read`.
	Allow []string `json:"allow,omitempty"`

	// Other prefixes, and what may be done with the paths behind each, such as
	// `{"storage.create:": ["create", "rename"]}`. They end in a colon. Default: none.
	Prefixes map[string][]string `json:"prefixes,omitempty"`

	paths scope.PathScopes // that of Prefix is the first
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
//	scope path [<claim> [<prefix>]] {
//		allow read|create|modify|rename... [<prefix>]
//	}
func (s *Scope) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume kind
	if d.Args(&s.Claim, &s.Prefix); d.NextArg() {
		return d.Err("scope path: wrong number of arguments; write it like this: scope path scope download:")
	}
	for d.NextBlock(0) {
		if d.Val() != "allow" {
			return d.Errf("scope path: unrecognized option '%s'; it has only allow", d.Val())
		}
		words, err := scopes.Allow(d, nil)
		if err != nil {
			return err
		}
		last := len(words) - 1
		if scope.IsPermission(words[last]) {
			s.Allow = append(s.Allow, words...)
			continue
		}
		if s.Prefixes == nil {
			s.Prefixes = make(map[string][]string)
		}
		s.Prefixes[words[last]] = append(s.Prefixes[words[last]], words[:last]...)
	}
	return nil
}

// Provision sets the default and reads what is allowed.
func (s *Scope) Provision(caddy.Context) error {
	if s.Claim == "" {
		if s.Prefix != "" {
			return errors.New("a prefix needs a claim before it, such as scope path scope storage.read: for a WLCG token")
		}
		s.Claim, s.Prefix = defaultClaim, defaultPrefix
	}
	if err := s.allow(s.Prefix, append(slices.Clone(s.Allow), s.Prefixes[s.Prefix]...)); err != nil {
		return err
	}
	for _, prefix := range slices.Sorted(maps.Keys(s.Prefixes)) {
		switch words := s.Prefixes[prefix]; {
		case prefix == s.Prefix:
			continue
		case len(words) == 0 || !strings.HasSuffix(prefix, ":"):
			return fmt.Errorf("allow: '%s' is neither a permission nor a prefix with permissions before it; "+
				"write some of read, create, modify, rename, and then the prefix if need be, as in 'allow create storage.create:'", prefix)
		case s.Prefix == "":
			return fmt.Errorf("allow: the prefix '%s' needs one on the scope line, because without it each string is one path: "+
				"write one there too, as in 'scope path %s download:'", prefix, s.Claim)
		default:
			if err := s.allow(prefix, words); err != nil {
				return err
			}
		}
	}
	return nil
}

// allow adds a prefix to those that there are.
func (s *Scope) allow(prefix string, words []string) error {
	allowed, err := scope.ParseAllowance(words)
	if err != nil {
		return err
	}
	return s.paths.Add(scope.PathScope{Prefix: prefix, Escaped: prefix != ""}, allowed)
}

// Opens implements [scopes.Scope].
func (s *Scope) Opens(q scopes.Query) scopes.Opening {
	values, _ := q.Token.Claims.Strings(s.Claim)
	if s.paths.Admits(values, q.Path, q.Operation) {
		return scopes.Open
	}
	return scopes.Closed
}

// Writes implements [scopes.Writer].
func (s *Scope) Writes() bool { return s.paths.Writes() }

// Permits implements [scopes.Writer].
func (s *Scope) Permits(q scopes.Query) bool {
	return q.Operation.Writes() && s.Opens(q) == scopes.Open
}

// Base implements [scopes.Based].
func (s *Scope) Base(q scopes.Query) string {
	values, _ := q.Token.Claims.Strings(s.Claim)
	return s.paths.Base(values)
}

// Name implements [scopes.Namer].
func (s *Scope) Name(path string, op scope.Operation) (claims map[string]any, ok bool) {
	for _, one := range s.paths {
		if one.Allows(op) {
			if one.Escaped {
				path = (&url.URL{Path: path}).EscapedPath()
			}
			return map[string]any{s.Claim: one.Prefix + path}, true
		}
	}
	return nil, false
}

// Interface guards
var (
	_ scopes.Namer          = (*Scope)(nil)
	_ scopes.Based          = (*Scope)(nil)
	_ scopes.Writer         = (*Scope)(nil)
	_ caddy.Provisioner     = (*Scope)(nil)
	_ caddyfile.Unmarshaler = (*Scope)(nil)
)
