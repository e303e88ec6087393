package scope_test

import (
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

func TestClaimsPath(t *testing.T) {
	const id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
	for _, tt := range []struct {
		pattern string
		claims  map[string]string
		path    string
		want    bool
	}{
		{"/users/{sub}/*", map[string]string{"sub": "ada"}, "/users/ada/a/b", true},
		{"/users/{sub}/*", map[string]string{"sub": "ada"}, "/users/ada/", true},
		{"/users/{sub}/*", map[string]string{"sub": "ada"}, "/users/ada", false},
		{"/users/{sub}/*", map[string]string{"sub": "ada"}, "/users/bob/a", false},
		{"/users/{sub}/*", map[string]string{"sub": "Ada"}, "/users/ada/a", false},
		{"/users/{sub}/*", map[string]string{}, "/users/ada/a", false},
		{"/users/{sub}/*", map[string]string{"sub": ""}, "/users//a", false},
		{"/users/{sub}/*", map[string]string{"sub": ".."}, "/users/../a", false},
		{"/users/{sub}/*", map[string]string{"sub": "a/b"}, "/users/a/b/c", false},
		{"/users/{sub}/*", map[string]string{"sub": "a/b"}, "/users/a%2Fb/c", false},
		{"/users/{sub}/*", map[string]string{"sub": "a\x00b"}, "/users/a\x00b/c", false},
		{"/users/{sub}/*", map[string]string{"sub": "*"}, "/users/ada/c", false},
		{"/{tenant}/{doc}.pdf", map[string]string{"tenant": "t", "doc": "d"}, "/t/d.pdf", true},
		{"/{tenant}/{doc}.pdf", map[string]string{"tenant": "t"}, "/t/d.pdf", false},
		{"/{tenant}/{doc}.pdf", map[string]string{"tenant": "t", "doc": "d.pdf"}, "/t/d.pdf", false},
		{"/{a}/{a}", map[string]string{"a": "x"}, "/x/x", true},
		{"/{a}/{a}", map[string]string{"a": "x"}, "/x/y", false},
		{"/d/{id:uuid}", map[string]string{"id": id}, "/d/" + strings.ToUpper(id), true},
		{"/d/{id:uuid}", map[string]string{"id": "1"}, "/d/1", false},
	} {
		c, err := scope.ParseClaimsPath(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Admits(func(name string) (string, bool) { v, ok := tt.claims[name]; return v, ok }, tt.path); got != tt.want {
			t.Errorf("%s %v %q: %t", tt.pattern, tt.claims, tt.path, got)
		}
	}
	if new(scope.ClaimsPath).Admits(func(string) (string, bool) { return "", true }, "/") {
		t.Error("the zero value opens something")
	}
	for pattern, says := range map[string]string{
		"": "is empty", "/public/*": "no claim", "users/{sub}": "slash in front", "/{sub}{x}": "only one variable", "/{sub:int}": "unknown kind",
		"/{sub}/*/x": "star", "/{accountId}": "lower-case", "/{http.request.uri.path.file}": "placeholders",
	} {
		if _, err := scope.ParseClaimsPath(pattern); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
