package downloadtoken

import (
	"fmt"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// scopeRule is a configured [Scope], ready for use.
type scopeRule interface {
	// admits reports whether the claims open path.
	admits(claims *token.Claims, path string) bool
}

// rule prepares s.
func (s Scope) rule() (scopeRule, error) {
	switch s.Type {
	case "any":
		if s.Scope != "" || s.Path != "" {
			return nil, fmt.Errorf("any opens every path and takes neither a scope nor a path")
		}
		return anyScope{}, nil
	case "template":
		t, err := scope.ParseTemplate(s.Scope, s.Path)
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		return templateScope{t}, nil
	}
	return nil, fmt.Errorf("unknown kind '%s'; write any or template", s.Type)
}

// anyScope opens every path.
type anyScope struct{}

func (anyScope) admits(*token.Claims, string) bool { return true }

// templateScope opens what one of the strings of the `scope` claim names.
type templateScope struct{ template *scope.Template }

func (s templateScope) admits(claims *token.Claims, path string) bool {
	scopes, _ := claims.Strings("scope")
	for _, one := range scopes {
		if s.template.Admits(one, path) {
			return true
		}
	}
	return false
}
