package downloadtoken

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/path"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/template"
)

func init() {
	caddy.RegisterModule(toyScope{})
	caddy.RegisterModule(noScope{})
}

// toyScope is a kind from elsewhere.
type toyScope struct {
	Opening scopes.Opening `json:"opening"`
	asked   *int
}

func (toyScope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: scopes.Namespace + ".toy", New: func() caddy.Module { return new(toyScope) }}
}

func (s *toyScope) Validate() error {
	if s.Opening > scopes.Open {
		return errors.New("opens too much")
	}
	return nil
}

func (s *toyScope) Opens(scopes.Query) scopes.Opening {
	if s.asked != nil {
		*s.asked++
	}
	return s.Opening
}

// noScope is in the wrong namespace.
type noScope struct{}

func (noScope) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: scopes.Namespace + ".wrong", New: func() caddy.Module { return new(noScope) }}
}

func TestLoadScope(t *testing.T) {
	const lists = "; write one of any, path, template, toy, wrong"
	for _, tt := range []struct{ name, raw, want string }{
		{"one", `{"type": "template", "scope": "file:{f}", "path": "/{f}"}`, ""},
		{"another's", `{"type": "toy", "opening": 1}`, ""},
		{"no type", `{}`, "unknown kind ''" + lists},
		{"an unknown type", `{"type": "glob"}`, "unknown kind 'glob'" + lists},
		{"a type that is no string", `{"type": 1}`, "json: cannot unmarshal number into Go struct field .type of type string"},
		{"a pattern", `{"type": "template", "scope": "f:{f}", "path": "{f}"}`, `template: path pattern "{f}": write it from the root of the site, with a slash in front`},
		{"a prefix alone", `{"type": "path", "prefix": "x:"}`, "path: a prefix needs a claim before it, such as scope path scope storage.read: for a WLCG token"},
		{"a setting of another", `{"type": "path", "slug": "raw"}`, `path: json: unknown field "slug"`},
		{"not validated", `{"type": "toy", "opening": 3}`, "toy: invalid configuration: opens too much"},
		{"not a scope", `{"type": "wrong"}`, "wrong: the module is not a scope"},
		{"written otherwise", `{"Type": "toy"}`, "toy: module name not specified with key 'type' in map[Type:toy]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer cancel()
			s, err := loadScope(ctx, json.RawMessage(tt.raw))
			switch {
			case tt.want == "" && (err != nil || s == nil):
				t.Error(s, err)
			case tt.want != "" && (err == nil || err.Error() != tt.want):
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestOpening: the most generous scope counts, and none is asked after one that
// opens everything.
func TestOpening(t *testing.T) {
	const closed, listing, open = scopes.Closed, scopes.ListingOnly, scopes.Open
	for name, tt := range map[string]struct {
		answers []scopes.Opening
		want    scopes.Opening
		asked   int
	}{
		"none":               {nil, closed, 0},
		"all closed":         {[]scopes.Opening{closed, closed}, closed, 2},
		"a listing":          {[]scopes.Opening{closed, listing, closed}, listing, 3},
		"a listing, open":    {[]scopes.Opening{listing, open}, open, 2},
		"open, and no other": {[]scopes.Opening{open, listing, closed}, open, 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			h := new(Handler)
			v := &visit{h: h}
			for _, answer := range tt.answers {
				h.scopes = append(h.scopes, &toyScope{answer, &asked})
			}
			if got := v.opens(scope.Download, "/a"); got != tt.want || asked != tt.asked {
				t.Errorf("%d, %d asked; want %d, %d", got, asked, tt.want, tt.asked)
			}
		})
	}
}
