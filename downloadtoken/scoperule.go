package downloadtoken

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

// loadScope loads one of ScopeRaw. Caddy's account of how it came to an error is
// left out, so that the kind and what is wrong with it remain.
func loadScope(ctx caddy.Context, raw json.RawMessage) (scopes.Scope, error) {
	var named struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, err
	}
	kind, err := scopes.Kind(named.Type)
	if err != nil {
		return nil, err
	}
	one := struct {
		Raw json.RawMessage `caddy:"namespace=http.handlers.download_token.scopes inline_key=type"`
	}{raw}
	module, err := ctx.LoadModule(&one, "Raw")
	if err != nil {
		if _, reason, found := strings.Cut(err.Error(), kind.String()+": "); found {
			err = errors.New(reason)
		}
		return nil, fmt.Errorf("%s: %w", named.Type, err)
	}
	s, ok := module.(scopes.Scope)
	if !ok {
		return nil, fmt.Errorf("%s: the module is not a scope", named.Type)
	}
	return s, nil
}
