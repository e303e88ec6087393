// Package pathpermissions is the scope of Upload's (now Bytescale's) tokens. What
// they grant is decided by [scope.Permissions].
package pathpermissions

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func init() {
	caddy.RegisterModule(new(Scope))
}

// defaultSlug is what Upload calls the original of a file.
const defaultSlug = "raw"

// Scope opens what `access.pathPermissions` of an Upload (Bytescale) token grants,
// if the token is for this account and, by `allowedOrigins`, for this origin.
type Scope struct {
	// The transformation that this site serves, as in the `downloadFile`
	// permission. Default: `raw`, the original files.
	Slug string `json:"slug,omitempty"`

	// The account that a token's `accountId` must name. A token without the claim
	// is accepted, but not in Authorization. Default: not checked.
	Account string `json:"account,omitempty"`

	logger *zap.Logger
	warned sync.Once
	last   atomic.Pointer[granted]
}

// granted is what a token grants. A request may ask about thousands of paths in a row.
type granted struct {
	token       *token.Token
	permissions *scope.Permissions
}

// CaddyModule returns the Caddy module information.
func (*Scope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  scopes.Namespace + ".path_permissions",
		New: func() caddy.Module { return new(Scope) },
	}
}

// UnmarshalCaddyfile sets up the scope from Caddyfile tokens. Syntax:
//
//	scope path_permissions [<slug>] {
//		account <id>
//	}
func (s *Scope) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume kind
	if d.Args(&s.Slug); d.NextArg() {
		return d.Err("scope path_permissions: wrong number of arguments; write it like this: scope path_permissions raw")
	}
	for d.NextBlock(0) {
		if d.Val() != "account" {
			return d.Errf("scope path_permissions: unrecognized option '%s'; it has only account, since the token itself says what may be done", d.Val())
		}
		if s.Account != "" {
			return d.Err("scope path_permissions: account specified more than once")
		}
		if !d.AllArgs(&s.Account) || s.Account == "" {
			return d.Err("scope path_permissions: account takes one argument, the account ID")
		}
	}
	return nil
}

// Provision sets the default.
func (s *Scope) Provision(ctx caddy.Context) error {
	s.logger = ctx.Logger()
	if s.Slug == "" {
		s.Slug = defaultSlug
	}
	return nil
}

// Opens implements [scopes.Scope].
func (s *Scope) Opens(q scopes.Query) scopes.Opening {
	operation, granted := q.Operation, scopes.Open
	switch {
	case strings.HasSuffix(q.Path, "/"):
		operation, granted = scope.List, scopes.ListingOnly
	case q.Request.Method == http.MethodHead:
		operation = scope.Details
	}
	if s.permissions(q).Admits(q.Path, s.Slug, operation) {
		return granted
	}
	return scopes.Closed
}

// Writes implements [scopes.Writer]: the token itself says what.
func (s *Scope) Writes() bool { return true }

// Permits implements [scopes.Writer].
func (s *Scope) Permits(q scopes.Query) bool {
	return q.Operation.Writes() && s.permissions(q).Admits(q.Path, s.Slug, q.Operation)
}

// permissions are what the token grants to this request; nil is nothing.
func (s *Scope) permissions(q scopes.Query) *scope.Permissions {
	if !s.isForAccount(q) || !isForOrigin(q) {
		return nil
	}
	if last := s.last.Load(); last != nil && last.token == q.Token {
		return last.permissions
	}
	access, ok := q.Token.Claims.Raw("access")
	if !ok {
		return nil // "The access permissions for the JWT. Required: No": none are granted
	}
	permissions, unknown, err := scope.ParsePermissions(access)
	if err != nil {
		return nil
	}
	if len(unknown) > 0 {
		s.warned.Do(func() {
			s.logger.Warn("a token has a match.scope other than This, Children or Grandchildren+; such entries open nothing",
				zap.String("fingerprint", q.Token.Fingerprint.String()))
		})
	}
	s.last.Store(&granted{q.Token, permissions})
	return permissions
}

// Base implements [scopes.Based].
func (s *Scope) Base(q scopes.Query) string {
	access, _ := q.Token.Claims.Raw("access")
	permissions, _, err := scope.ParsePermissions(access)
	if err != nil {
		return ""
	}
	return permissions.Base()
}

// Name implements [scopes.Namer].
func (s *Scope) Name(path string, op scope.Operation) (claims map[string]any, ok bool) {
	kind, granted, within := "read", map[string]any{"file": map[string]any{"downloadFile": []string{s.Slug}}}, "This"
	folder := strings.TrimSuffix(path, "/")
	switch {
	case op.Writes():
		kind, granted = "write", map[string]any{"file": map[string]any{"createFile": true}}
		if op == scope.Upload {
			within = "Children"
		}
	case folder != path:
		granted = map[string]any{"folder": map[string]any{"listFolderChildren": true}}
	}
	claims = map[string]any{"access": map[string]any{"pathPermissions": []any{map[string]any{
		"match":       map[string]any{"path": cmp.Or(folder, "/"), "scope": within},
		"permissions": map[string]any{kind: granted},
	}}}}
	if s.Account != "" {
		claims["accountId"] = s.Account
	}
	return claims, true
}

// isForAccount reports whether the token is for the configured account. The
// claim accountId is younger than the tokens, so it may be missing; but not
// where the vendor requires it, in Authorization.
func (s *Scope) isForAccount(q scopes.Query) bool {
	if s.Account == "" {
		return true
	}
	if !q.Token.Claims.Has("accountId") {
		return q.From.Field() != "Authorization"
	}
	id, _ := q.Token.Claims.String("accountId")
	return id == s.Account
}

// isForOrigin reports whether the request comes from one of the origins that
// the claim allowedOrigins names. Without the claim every origin will do, and
// clients that have none; with it, a request whose origin is not known is
// refused.
func isForOrigin(q scopes.Query) bool {
	if !q.Token.Claims.Has("allowedOrigins") {
		return true
	}
	allowed, _ := q.Token.Claims.Strings("allowedOrigins")
	origin := originOf(q.Request)
	return origin != "" && slices.ContainsFunc(allowed, func(one string) bool {
		return strings.EqualFold(strings.TrimSuffix(one, "/"), origin)
	})
}

// originOf finds the origin (RFC 6454) of the page that made the request, or
// "". Browsers send Origin with fetch; with an image of a page they send
// Referer only; and without either, still whether it is a page of this site.
func originOf(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" {
		return origin
	}
	if referer, err := url.Parse(r.Header.Get("Referer")); err == nil && referer.Host != "" {
		return referer.Scheme + "://" + referer.Host
	}
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		return scheme + "://" + r.Host
	}
	return ""
}

// Interface guards
var (
	_ scopes.Namer          = (*Scope)(nil)
	_ scopes.Based          = (*Scope)(nil)
	_ scopes.Writer         = (*Scope)(nil)
	_ caddy.Provisioner     = (*Scope)(nil)
	_ caddyfile.Unmarshaler = (*Scope)(nil)
)
