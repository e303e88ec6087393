package downloadtoken

import "testing"

func TestCountedPath(t *testing.T) {
	usual := &oneTime{index: defaultIndex}
	other := &oneTime{index: []string{"home.htm"}}
	for _, tt := range []struct {
		o          *oneTime
		path, want string
	}{
		{usual, "/a.txt", "/a.txt"},
		{usual, "/a", "/a"},
		{usual, "/a/", "/a"},
		{usual, "/a/index.html", "/a"},
		{usual, "/a/index.txt", "/a"},
		{usual, "/a/index.html/", "/a"},
		{usual, "/a/index.html/index.txt", "/a"},
		{usual, "/", "/"},
		{usual, "/index.html", "/"},
		{usual, "/index.txt/", "/"},
		{usual, "/a/xindex.html", "/a/xindex.html"},
		{usual, "/a/index.html.gz", "/a/index.html.gz"},
		{usual, "/a/index.html/b", "/a/index.html/b"},
		{usual, "/a/INDEX.HTML", "/a/INDEX.HTML"},
		{usual, "/a/home.htm", "/a/home.htm"},
		{other, "/a/home.htm", "/a"},
		{other, "/a/index.html", "/a/index.html"},
	} {
		if got := tt.o.counted(tt.path); got != tt.want {
			t.Errorf("%v: %s counts as %s, want %s", tt.o.index, tt.path, got, tt.want)
		}
	}
}

// TestPolicies: what counts differently, or finds the nonce elsewhere, is another
// policy; nothing else is.
func TestPolicies(t *testing.T) {
	policy := func(per string, index []string, claims ...string) string {
		o := &OneTime{Per: per, Index: index, Claim: claims}
		if err := o.prepareIndex(); err != nil {
			t.Fatal(err)
		}
		return policyOf(o)
	}
	// spent tokens are kept under this one
	if got := policy("token", nil, "jti", "nonce"); got != "token jti nonce" {
		t.Error(got)
	}
	seen := make(map[string]int)
	different := []string{
		policy("token", nil, "jti", "nonce"),
		policy("token", nil, "nonce", "jti"),
		policy("token", nil, "a b"),
		policy("token", nil, "a", "b"),
		policy("token", nil, `a" "b`),
		policy("token", nil, `"a"`, `"b"`),
		policy("token", nil, `"a" "b"`),
		policy("token", nil, "a\nb"),
		policy("token", nil, "\xff"),
		policy("token", nil, `\xff`),
		policy("token", nil, "path", "jti"),
		policy("path", nil, "jti"),
		policy("path", []string{"index.html"}, "jti"),
		policy("path", []string{"index.html"}, "index.txt", "jti"),
		policy("path", []string{"index.html"}, "/", "jti"),
		policy("path", []string{"index.html", "jti"}, "jti"),
		policy("path", []string{"a b"}, "jti"),
		policy("path", []string{"a", "b"}, "jti"),
	}
	for i, name := range different {
		if other, ok := seen[name]; ok {
			t.Errorf("%d and %d are %s", other, i, name)
		}
		seen[name] = i
	}
	if one, two := policy("path", []string{"b", "a", "b"}, "jti"), policy("path", []string{"a", "b"}, "jti"); one != two {
		t.Errorf("%s and %s", one, two)
	}
	if one, two := policy("path", nil, "jti"), policy("path", []string{"index.txt", "index.html"}, "jti"); one != two {
		t.Errorf("%s and %s", one, two)
	}
}
