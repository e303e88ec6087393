package scopes_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/any"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/claims"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/path"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/pathpermissions"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/template"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// load makes a scope of its JSON, without the type.
func load(t testing.TB, kind, config string) (scopes.Scope, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID(scopes.Namespace+"."+kind, json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(scopes.Scope), nil
}

var secret = []byte("made-up-secret-of-more-than-32-bytes")

// verified is a token that says this.
func verified(t testing.TB, claims jwt.MapClaims) *token.Token {
	t.Helper()
	claims["exp"] = time.Now().Add(time.Minute).Unix()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.NewKey("HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := (&token.Verifier{Keys: keys}).Verify(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

type claims = jwt.MapClaims

func TestOpens(t *testing.T) {
	const closed, open = scopes.Closed, scopes.Open
	for _, tt := range []struct {
		name, kind, config string
		claims             claims
		path               string
		want               scopes.Opening
	}{
		{"everything", "any", `{}`, claims{}, "/a", open},
		{"named", "template", `{"scope": "file:{f}", "path": "/{f}"}`, claims{"scope": "file:a"}, "/a", open},
		{"one of several", "template", `{"scope": "file:{f}", "path": "/{f}"}`, claims{"scope": []string{"x", "file:a"}}, "/a", open},
		{"another", "template", `{"scope": "file:{f}", "path": "/{f}"}`, claims{"scope": "file:b"}, "/a", closed},
		{"several in one string", "template", `{"scope": "file:{f}", "path": "/{f}"}`, claims{"scope": "x file:a"}, "/a", closed},
		{"a list", "template", `{"scope": "file:{f}", "path": "/{f}", "list": true}`, claims{"scope": "x file:a openid"}, "/a", open},
		{"lists", "template", `{"scope": "file:{f}", "path": "/{f}", "list": true}`, claims{"scope": []string{"x y", "z file:a"}}, "/a", open},
		{"a list without it", "template", `{"scope": "file:{f}", "path": "/{f}", "list": true}`, claims{"scope": "x  file:b"}, "/a", closed},
		{"a list, with a space", "template", `{"scope": "file:{f}", "path": "/{f}", "list": true}`, claims{"scope": "file:a b"}, "/a b", closed},
		{"another claim", "template", `{"scope": "file:{f}", "path": "/{f}", "claim": "scp"}`, claims{"scp": "file:a"}, "/a", open},
		{"only the other claim", "template", `{"scope": "file:{f}", "path": "/{f}", "claim": "scp"}`, claims{"scope": "file:a"}, "/a", closed},
		{"its own folder", "claims", `{"path": "/users/{sub}/*"}`, claims{"sub": "ada"}, "/users/ada/a", open},
		{"another's folder", "claims", `{"path": "/users/{sub}/*"}`, claims{"sub": "ada"}, "/users/bob/a", closed},
		{"a number", "claims", `{"path": "/users/{uid}/*"}`, claims{"uid": 7}, "/users/7/a", closed},
		{"no claim", "template", `{"scope": "file:{f}", "path": "/{f}"}`, claims{}, "/a", closed},
		{"a number", "template", `{"scope": "file:{f}", "path": "/{f}"}`, claims{"scope": 1}, "/a", closed},
		{"default", "path", `{}`, claims{"scope": "openid download:/a/"}, "/a/b", open},
		{"default, escaped", "path", `{}`, claims{"scope": "download:/a%20b"}, "/a b", open},
		{"default, no prefix", "path", `{}`, claims{"scope": "/a/"}, "/a/b", closed},
		{"a prefix", "path", `{"claim": "scope", "prefix": "storage.read:"}`, claims{"scope": "storage.read:/a"}, "/a/b", open},
		{"another prefix", "path", `{"claim": "scope", "prefix": "storage.read:"}`, claims{"scope": "download:/a"}, "/a/b", closed},
		{"a claim", "path", `{"claim": "paths"}`, claims{"paths": []string{"/a%20b", "/c d"}}, "/c d", open},
		{"a claim is not escaped", "path", `{"claim": "paths"}`, claims{"paths": "/a%20b"}, "/a b", closed},
		{"no such claim", "path", `{"claim": "paths"}`, claims{"scope": "download:/"}, "/a", closed},
	} {
		t.Run(tt.kind+"/"+tt.name, func(t *testing.T) {
			s, err := load(t, tt.kind, tt.config)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Opens(scopes.Query{Token: verified(t, tt.claims), Path: tt.path}); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// TestName: what a scope says that a path needs opens it.
func TestName(t *testing.T) {
	const id = "2489E9AD-2ee2-8e00-8ec9-32d5f69181c0"
	for _, tt := range []struct {
		kind, config, path string
		named              bool
	}{
		{"any", `{}`, "/a", true},
		{"path", `{}`, "/", true},
		{"path", `{}`, "/a b/ü%", true},
		{"path", `{}`, "/a/", true},
		{"path", `{"claim": "paths"}`, "/a b%20", true},
		{"path", `{"claim": "scope", "prefix": "storage.read:"}`, "/a b", true},
		{"template", `{"scope": "file:{f}", "path": "/{f}"}`, "/a b", true},
		{"template", `{"scope": "file:{f}", "path": "/{f}"}`, "/a/b", false},
		{"template", `{"scope": "d:{id:uuid}", "path": "/d/{id:uuid}/*"}`, "/d/" + id + "/x/y", true},
		{"template", `{"scope": "d:{id:uuid}", "path": "/d/{id:uuid}/*"}`, "/d/1/x", false},
		{"template", `{"scope": "x:{a}:{b}", "path": "/{a}/{b}"}`, "/1/2", true},
		{"template", `{"scope": "x:{a}:{b}", "path": "/{a}/{b}"}`, "/1:2/3", false}, // it has two readings
		{"template", `{"scope": "file:{f}", "path": "/{f}", "claim": "scp", "list": true}`, "/a", true},
		{"template", `{"scope": "file:{f}", "path": "/{f}", "list": true}`, "/a b", false},
		{"claims", `{"path": "/users/{sub}/{id:uuid}.jpg"}`, "/users/ada/" + id + ".jpg", true},
		{"claims", `{"path": "/users/{sub}/*"}`, "/user/ada/x", false},
		{"path_permissions", `{}`, "/a/b.jpg", true},
		{"path_permissions", `{"slug": "thumb", "account": "W1"}`, "/a/b.jpg", true},
		{"path_permissions", `{}`, "/a/", true},
		{"path_permissions", `{}`, "/", true},
	} {
		s, err := load(t, tt.kind, tt.config)
		if err != nil {
			t.Fatal(err)
		}
		named, ok := s.(scopes.Namer).Name(tt.path, scope.Download)
		if ok != tt.named {
			t.Errorf("%s %s %s: %v %v", tt.kind, tt.config, tt.path, named, ok)
		}
		if !ok {
			continue
		}
		said := claims{}
		maps.Copy(said, named)
		q := scopes.Query{Token: verified(t, said), Path: tt.path, Request: httptest.NewRequest(http.MethodGet, "/", nil)}
		if s.Opens(q) == scopes.Closed {
			t.Errorf("%s %s: %v does not open %s", tt.kind, tt.config, named, tt.path)
		}
	}
}

// may is `access` with one entry.
func may(path, scope string, slugs []string, details, list bool) claims {
	return claims{"pathPermissions": []any{claims{
		"match": claims{"path": path, "scope": scope},
		"permissions": claims{"read": claims{
			"file":   claims{"downloadFile": slugs, "getFileDetails": details},
			"folder": claims{"listFolderChildren": list},
		}},
	}}}
}

func TestPathPermissions(t *testing.T) {
	const closed, listing, open = scopes.Closed, scopes.ListingOnly, scopes.Open
	raw := may("/u", "Children", []string{"raw"}, false, false)
	header := token.Source{Kind: token.Header, Name: "Authorization-Token"}
	bearer := token.Source{Kind: token.Header, Name: "Authorization"}
	basic := token.Source{Kind: token.Basic}
	for _, tt := range []struct {
		name, config string
		claims       claims
		from         token.Source
		method, path string
		want         scopes.Opening
	}{
		{"a file", `{}`, claims{"access": raw}, header, "GET", "/u/a", open},
		{"another folder", `{}`, claims{"access": raw}, header, "GET", "/v/a", closed},
		{"no access", `{}`, claims{}, header, "GET", "/u/a", closed},
		{"access of a type", `{}`, claims{"access": "all"}, header, "GET", "/u/a", closed},
		{"an unknown scope", `{}`, claims{"access": may("/u", "Everything", []string{"*"}, true, true)}, header, "GET", "/u/a", closed},
		{"another slug", `{"slug": "thumbnail"}`, claims{"access": raw}, header, "GET", "/u/a", closed},
		{"the slug", `{"slug": "thumbnail"}`, claims{"access": may("/u", "Children", []string{"thumb*"}, false, false)}, header, "GET", "/u/a", open},
		{"HEAD", `{}`, claims{"access": raw}, header, "HEAD", "/u/a", open},
		{"HEAD by details", `{}`, claims{"access": may("/u", "Children", []string{}, true, false)}, header, "HEAD", "/u/a", open},
		{"GET by details", `{}`, claims{"access": may("/u", "Children", []string{}, true, false)}, header, "GET", "/u/a", closed},
		{"a folder", `{}`, claims{"access": may("/u", "This", []string{}, false, true)}, header, "GET", "/u/", listing},
		{"a folder by its files", `{}`, claims{"access": raw}, header, "GET", "/u/", closed},
		{"the account", `{"account": "W1"}`, claims{"access": raw, "accountId": "W1"}, bearer, "GET", "/u/a", open},
		{"another account", `{"account": "W1"}`, claims{"access": raw, "accountId": "W2"}, header, "GET", "/u/a", closed},
		{"an account that is no string", `{"account": "W1"}`, claims{"access": raw, "accountId": 1}, header, "GET", "/u/a", closed},
		{"no account", `{"account": "W1"}`, claims{"access": raw}, header, "GET", "/u/a", open},
		{"no account, in Authorization", `{"account": "W1"}`, claims{"access": raw}, bearer, "GET", "/u/a", closed},
		{"no account, in Basic", `{"account": "W1"}`, claims{"access": raw}, basic, "GET", "/u/a", closed},
		{"any account", `{}`, claims{"access": raw, "accountId": "W2"}, bearer, "GET", "/u/a", open},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := load(t, "path_permissions", tt.config)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(tt.method, "http://files.example/", nil)
			if got := s.Opens(scopes.Query{Token: verified(t, tt.claims), Path: tt.path, From: tt.from, Request: r}); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestAllowedOrigins(t *testing.T) {
	const closed, open = scopes.Closed, scopes.Open
	s, err := load(t, "path_permissions", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	type header = map[string]string
	for _, tt := range []struct {
		name    string
		allowed any
		tls     bool
		header  header
		want    scopes.Opening
	}{
		{"no claim, no origin", nil, false, nil, open},
		{"no origin", []string{"https://app.example"}, false, nil, closed},
		{"Origin", []string{"https://app.example"}, false, header{"Origin": "https://app.example"}, open},
		{"a slash too many, another case", []string{"https://App.example/"}, false, header{"Origin": "https://app.example"}, open},
		{"a string", "https://app.example", false, header{"Origin": "https://app.example"}, open},
		{"one of them", []string{"https://a.example", "https://app.example"}, false, header{"Origin": "https://app.example"}, open},
		{"none of them", []string{}, false, header{"Origin": "https://app.example"}, closed},
		{"a beginning", []string{"https://app.example"}, false, header{"Origin": "https://app.example.evil.example"}, closed},
		{"null", []string{"https://app.example"}, false, header{"Origin": "null", "Referer": "https://app.example/"}, closed},
		{"Referer", []string{"https://app.example"}, false, header{"Referer": "https://app.example/page?q"}, open},
		{"a Referer without a host", []string{"https://app.example"}, false, header{"Referer": "/page"}, closed},
		{"this site", []string{"http://files.example"}, false, header{"Sec-Fetch-Site": "same-origin"}, open},
		{"this site, TLS", []string{"https://files.example"}, true, header{"Sec-Fetch-Site": "same-origin"}, open},
		{"this site, of another scheme", []string{"https://files.example"}, false, header{"Sec-Fetch-Site": "same-origin"}, closed},
		{"a site beside this one", []string{"http://files.example"}, false, header{"Sec-Fetch-Site": "same-site"}, closed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := claims{"access": may("/u", "Children", []string{"raw"}, false, false)}
			if tt.allowed != nil {
				c["allowedOrigins"] = tt.allowed
			}
			r := httptest.NewRequest(http.MethodGet, "http://files.example/", nil)
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			if tt.tls {
				r.TLS = new(tls.ConnectionState)
			}
			if got := s.Opens(scopes.Query{Token: verified(t, c), Path: "/u/a", Request: r}); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
