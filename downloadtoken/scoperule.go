package downloadtoken

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// opening is what a token may do with the requested path.
type opening int

const (
	closed      opening = iota
	listingOnly         // see the folder's listing, not its index file
	open
)

// scopeRule is a configured [Scope], ready for use.
type scopeRule interface {
	// opens decides about path for the verified token of v.
	opens(v *visit, path string) opening
}

// opening asks the scopes in turn; the most generous answer counts.
func (h *Handler) opening(v *visit, path string) opening {
	best := closed
	for _, rule := range h.scopes {
		if best = max(best, rule.opens(v, path)); best == open {
			break
		}
	}
	return best
}

// The claim and the prefix of scope path, unless configured otherwise.
const (
	defaultScopeClaim = "scope"
	defaultPathPrefix = "download:"
)

// rule prepares s.
func (s Scope) rule(logger *zap.Logger) (scopeRule, error) {
	if err := s.checkMembers(); err != nil {
		return nil, err
	}
	switch s.Type {
	case "any":
		return anyScope{}, nil
	case "template":
		t, err := scope.ParseTemplate(s.Scope, s.Path)
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		return templateScope{t}, nil
	case "path":
		claim, prefix := s.Claim, s.Prefix
		if claim == "" {
			claim, prefix = defaultScopeClaim, defaultPathPrefix
		}
		return pathScope{claim, scope.PathScope{Prefix: prefix, Escaped: prefix != ""}}, nil
	case "path_permissions":
		slug := s.Slug
		if slug == "" {
			slug = defaultSlug
		}
		return &permissionScope{slug: slug, account: s.Account, logger: logger}, nil
	}
	return nil, fmt.Errorf("unknown kind '%s'; write any, template, path or path_permissions", s.Type)
}

// checkMembers makes sure that s says nothing that its type does not mean.
func (s Scope) checkMembers() error {
	switch {
	case s.Type != "template" && (s.Scope != "" || s.Path != ""):
		return fmt.Errorf("%s takes neither a scope nor a path pattern", s.Type)
	case s.Type != "path" && (s.Claim != "" || s.Prefix != ""):
		return fmt.Errorf("%s takes neither a claim nor a prefix", s.Type)
	case s.Type != "path_permissions" && (s.Slug != "" || s.Account != ""):
		return fmt.Errorf("%s takes neither a slug nor an account", s.Type)
	case s.Claim == "" && s.Prefix != "":
		return errors.New("path: a prefix needs a claim before it, such as scope path scope storage.read: for a WLCG token")
	}
	return nil
}

// anyScope opens every path.
type anyScope struct{}

func (anyScope) opens(*visit, string) opening { return open }

// templateScope opens what one of the strings of the `scope` claim names.
type templateScope struct{ template *scope.Template }

func (s templateScope) opens(v *visit, path string) opening {
	scopes, _ := v.token.Claims.Strings("scope")
	for _, one := range scopes {
		if s.template.Admits(one, path) {
			return open
		}
	}
	return closed
}

// pathScope opens the paths that stand in a claim.
type pathScope struct {
	claim string
	scope scope.PathScope
}

func (s pathScope) opens(v *visit, path string) opening {
	values, _ := v.token.Claims.Strings(s.claim)
	if s.scope.Admits(values, path) {
		return open
	}
	return closed
}
