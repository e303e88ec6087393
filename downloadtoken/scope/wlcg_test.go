package scope

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPathAdmits(t *testing.T) {
	tests := []struct {
		name        string
		entry, path string
		want        bool
	}{
		{"the file", "/foo/bar", "/foo/bar", true},
		{"below", "/foo/bar", "/foo/bar/qux", true},
		{"far below", "/foo/bar", "/foo/bar/a/b/c", true},
		{"the directory", "/foo/bar", "/foo/bar/", true},
		{"longer name", "/foo/bar", "/foo/bargain", false},
		{"longer name below", "/foo/bar", "/foo/bargain/x", false},
		{"parent", "/foo/bar", "/foo", false},
		{"parent directory", "/foo/bar", "/foo/", false},
		{"sibling", "/foo/bar", "/foo/qux", false},
		{"same name elsewhere", "/foo/bar", "/x/foo/bar", false},
		{"other case", "/pub", "/PUB/x", false},
		{"other normal form", "/caf\u00e9", "/cafe\u0301", false},

		{"directory: itself", "/a/b/", "/a/b/", true},
		{"directory: below", "/a/b/", "/a/b/c", true},
		{"directory: without its slash", "/a/b/", "/a/b", false},
		{"directory: longer name", "/a/b/", "/a/bc", false},
		{"root", "/", "/a/b", true},
		{"root: itself", "/", "/", true},

		{"empty", "", "/a", false},
		{"empty: root", "", "/", false},
		{"relative", "a", "/a", false},
		{"relative, with the text of the path", "a/b", "a/b", false},
		{"dots", "/a/../b", "/b", false},
		{"dots above", "/a/..", "/a/../b", false},
		{"dot", "/a/.", "/a/./b", false},
		{"dot that cleaning would remove", "/./a", "/a", false},
		{"doubled slash", "//", "//a", false},
		{"doubled slash that cleaning would remove", "/a//", "/a/b", false},
		{"doubled slash for root", "//", "/a", false},
		{"backslash", `/a\b`, `/a\b`, false},
		{"backslash as slash", `/a\b`, "/a/b", false},
		{"control byte", "/a\n", "/a\n", false},
		{"NUL", "/a\x00", "/a", false},

		{"escaped slash is text", "/a%2Fb", "/a/b", false},
		{"escaped dots are text", "/a/%2e%2e", "/a/../b", false},
		{"escaped letter is text", "/%61", "/a", false},
		{"percent sign", "/100%", "/100%", true},
		{"a name that looks escaped", "/a%2Fb", "/a%2Fb", true},
		{"star is text", "/a/*", "/a/b", false},
		{"dot in a name is text", "/a.b", "/axb", false},
		{"question mark is text", "/a?", "/ab", false},
		{"space", "/a b", "/a b", true},
		{"space at the end", "/a ", "/a", false},

		{"uncanonical request", "/pub", "/pub/../priv/x", false},
		{"uncanonical request below root", "/", "/a//b", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := PathAdmits(tt.entry, tt.path); got != tt.want {
				t.Errorf("PathAdmits(%q, %q) = %t", tt.entry, tt.path, got)
			}
			if got := (PathScope{}).Admits([]string{tt.entry}, tt.path); got != tt.want {
				t.Errorf("as a plain claim: %t", got)
			}
		})
	}
}

// The corpus of confusing requests, each as the server receives it, judged for
// the scope /pub.
func TestPubCorpus(t *testing.T) {
	tests := []struct {
		target           string
		canonical, admit bool
	}{
		{"/pub", true, true},
		{"/pub/", true, true},
		{"/pub/x", true, true},
		{"/pub/x/", true, true},
		{"/pub/x;a=b", true, true},
		{"/pub/x.gz", true, true},
		{"http://h/pub/x", true, true},
		{"/pub/%252e%252e/priv/x", true, true}, // a directory named %2e%2e
		{"/publish/x", true, false},
		{"/PUB/x", true, false},
		{"/pub./x", true, false},
		{"/pub%20/x", true, false},
		{"/pub::$DATA", true, false},
		{"/priv/x", true, false},
		{"/pub/../priv/x", false, false},
		{"/pub/..%2fpriv/x", false, false},
		{"/pub/%2e%2e/priv/x", false, false},
		{"/pub//..//priv/x", false, false},
		{"//pub/x", false, false},
		{"/pub%5c..%5cpriv%5cx", false, false},
		{"/pub/x%00.txt", false, false},
		{"/pub%2Fx", false, false},
		{"/public/..%2fadmin/secret", false, false},
	}
	for _, tt := range tests {
		u := received(tt.target)
		if flaw(u.Path, true) != "" && tt.canonical {
			// On Windows these are refused before the scope.
			if flaw(u.Path, false) != "" {
				t.Errorf("%s: %s", tt.target, flaw(u.Path, false))
			}
		}
		path, err := Path(u)
		if (err == nil) != tt.canonical {
			t.Errorf("%s: %v", tt.target, err)
			continue
		}
		if got := PathAdmits("/pub", path); got != tt.admit {
			t.Errorf("%s: admitted %t", tt.target, got)
		}
	}
}

func TestPathScope(t *testing.T) {
	var (
		plain    = PathScope{}
		prefixed = PathScope{Prefix: "download:", Escaped: true}
		storage  = PathScope{Prefix: "storage.read:", Escaped: true}
		raw      = PathScope{Prefix: "download:"}
		escaped  = PathScope{Escaped: true}
	)
	tests := []struct {
		name   string
		scope  PathScope
		values []string
		path   string
		want   bool
	}{
		{"one scope", prefixed, []string{"download:/a/b/"}, "/a/b/c", true},
		{"WLCG prefix", storage, []string{"storage.read:/foo/bar"}, "/foo/bar/qux", true},
		{"WLCG boundary", storage, []string{"storage.read:/foo/bar"}, "/foo/bargain", false},
		{"dot of the prefix is text", storage, []string{"storagexread:/foo"}, "/foo", false},
		{"second of a list", prefixed, []string{"openid download:/a"}, "/a", true},
		{"first of a list", prefixed, []string{"download:/a openid"}, "/a", true},
		{"second value", prefixed, []string{"openid", "download:/a"}, "/a", true},
		{"many spaces", prefixed, []string{"  openid   download:/a  "}, "/a", true},
		{"other delimiters do not delimit", prefixed, []string{"openid\tdownload:/a"}, "/a", false},
		{"comma does not delimit", prefixed, []string{"openid,download:/a"}, "/a", false},
		{"other prefix", prefixed, []string{"upload:/a"}, "/a", false},
		{"prefix inside", prefixed, []string{"xdownload:/a"}, "/a", false},
		{"prefix in other case", prefixed, []string{"Download:/a"}, "/a", false},
		{"prefix twice", prefixed, []string{"download:download:/a"}, "/a", false},
		{"path without prefix", prefixed, []string{"/a"}, "/a", false},
		{"prefix without path", prefixed, []string{"download:"}, "/a", false},
		{"prefix without path: root", prefixed, []string{"download:"}, "/", false},
		{"prefix without colon", prefixed, []string{"download"}, "/", false},
		{"relative", prefixed, []string{"download:a"}, "/a", false},
		{"root", prefixed, []string{"download:/"}, "/a", true},
		{"nothing", prefixed, nil, "/a", false},
		{"empty value", prefixed, []string{""}, "/", false},

		{"decoded", prefixed, []string{"download:/a%20b"}, "/a b", true},
		{"decoded letter", prefixed, []string{"download:/%61"}, "/a", true},
		{"decoded utf-8", prefixed, []string{"download:/caf%C3%A9"}, "/café", true},
		{"plus is plus", prefixed, []string{"download:/a+b"}, "/a b", false},
		{"plus is plus beside an escape", prefixed, []string{"download:/a+b%20c"}, "/a b c", false},
		{"plus stays plus", prefixed, []string{"download:/a+b%20c"}, "/a+b c", true},
		{"decoded once", prefixed, []string{"download:/%2561"}, "/a", false},
		{"decoded once: the percent sign", prefixed, []string{"download:/%2561"}, "/%61", true},
		{"encoded slash", prefixed, []string{"download:/a%2Fb"}, "/a/b", false},
		{"encoded slash, lower case", prefixed, []string{"download:/a%2fb"}, "/a/b", false},
		{"encoded leading slash", prefixed, []string{"download:%2Fa"}, "/a", false},
		{"encoded slash at the end", prefixed, []string{"download:/a%2F"}, "/a/b", false},
		{"encoded backslash", prefixed, []string{"download:/a%5Cb"}, `/a\b`, false},
		{"encoded dots", prefixed, []string{"download:/a/%2E%2E/b"}, "/b", false},
		{"encoded NUL", prefixed, []string{"download:/a%00"}, "/a", false},
		{"bad escape", prefixed, []string{"download:/a%zz"}, "/a%zz", false},
		{"cut escape", prefixed, []string{"download:/a%2"}, "/a%2", false},
		{"bad escape spoils only itself", prefixed, []string{"download:/%zz download:/a%2Fb download:/b"}, "/b", true},
		{"not escaped", raw, []string{"download:/a%20b"}, "/a b", false},
		{"not escaped: literal", raw, []string{"download:/a%20b"}, "/a%20b", true},

		{"plain", plain, []string{"/exports/a.zip"}, "/exports/a.zip", true},
		{"plain: spaces belong to the name", plain, []string{"/my file.txt"}, "/my file.txt", true},
		{"plain: no list", plain, []string{"/x /a"}, "/a", false},
		{"plain: no list, first", plain, []string{"/x /a"}, "/x", false},
		{"plain: second value", plain, []string{"/x", "/a"}, "/a", true},
		{"plain: not decoded", plain, []string{"/a%20b"}, "/a b", false},
		{"plain: empty", plain, []string{""}, "/", false},
		{"plain, escaped", escaped, []string{"/a%20b"}, "/a b", true},

		{"uncanonical request", prefixed, []string{"download:/pub"}, "/pub/../x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.scope.Admits(tt.values, tt.path); got != tt.want {
				t.Errorf("%+v with %q for %q: %t", tt.scope, tt.values, tt.path, got)
			}
			if got := modelPathScope(tt.scope, tt.values, tt.path); got != tt.want {
				t.Errorf("the model says %t", got)
			}
		})
	}
}

func TestPathAdmitsAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entry, path := drawPair(t)
		if got, want := PathAdmits(entry, path), modelPathAdmits(entry, path); got != want {
			t.Fatalf("PathAdmits(%q, %q) = %t", entry, path, got)
		}
	})
}

// Whatever Path accepts can be granted, in either way of writing it.
func TestEveryPathOpensItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := drawPath(t)
		if !(PathScope{}).Admits([]string{path}, path) {
			t.Fatalf("%q does not open itself", path)
		}
		value := "openid download:" + (&url.URL{Path: path}).EscapedPath()
		if !(PathScope{Prefix: "download:", Escaped: true}).Admits([]string{value}, path) {
			t.Fatalf("%q does not open %q", value, path)
		}
	})
}

func TestPathScopeAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := PathScope{
			Prefix:  rapid.SampledFrom([]string{"", "download:", "d"}).Draw(t, "prefix"),
			Escaped: rapid.Bool().Draw(t, "escaped"),
		}
		path := drawText(t)
		values := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			var words []string
			for range rapid.IntRange(0, 3).Draw(t, "words") {
				entry := path[:rapid.IntRange(0, len(path)).Draw(t, "cut")]
				if rapid.Bool().Draw(t, "escape") {
					entry = strings.ReplaceAll(url.PathEscape(entry), "%2F", "/")
				}
				words = append(words, s.Prefix+entry)
			}
			return strings.Join(words, " ")
		}), 0, 3).Draw(t, "values")
		if got, want := s.Admits(values, path), modelPathScope(s, values, path); got != want {
			t.Fatalf("%+v with %q for %q: %t", s, values, path, got)
		}
	})
}

func FuzzPathScope(f *testing.F) {
	f.Add("download:", true, "openid download:/a%20b/", "/a b/c")
	f.Add("download:", true, "download:/a%2F..%2Fb", "/b")
	f.Add("", false, "/a b", "/a b")
	f.Add("", true, "/%2561", "/%61")
	f.Add("", false, "//", "/a")
	f.Add("", false, "", "/")
	f.Fuzz(func(t *testing.T, prefix string, escaped bool, value, path string) {
		s := PathScope{Prefix: prefix, Escaped: escaped}
		got := s.Admits([]string{value}, path)
		if want := modelPathScope(s, []string{value}, path); got != want {
			t.Fatalf("%+v with %q for %q: %t", s, value, path, got)
		}
		if got && !canonical(path) {
			t.Fatalf("%q opened %q, which is not canonical", value, path)
		}
		// A list opens what its members open.
		if two := s.Admits([]string{"", value}, path); two != got {
			t.Fatalf("%t alone, %t in a list", got, two)
		}
	})
}
