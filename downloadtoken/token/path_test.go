package token

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPathParameter: where a token is found in a path, and what is left of the path.
func TestPathParameter(t *testing.T) {
	pathTok := []Source{{Path, "tok"}}
	tests := []struct {
		name, target string
		text         string
		err          error
		want         string // the target without it
		wantPath     string // default: want, up to its query
	}{
		{"at the end", "/a/b.mp4;tok=x.y.z", "x.y.z", nil, "/a/b.mp4", ""},
		{"in a middle segment", "/a;tok=x/b.mp4", "x", nil, "/a/b.mp4", ""},
		{"in front of a query", "/a;tok=x?b=1;tok=y", "x", nil, "/a?b=1;tok=y", "/a"},
		{"in front of the last slash", "/a;tok=x/", "x", nil, "/a/", ""},
		{"behind the last slash", "/a/;tok=x", "x", nil, "/a/", ""},
		{"in absolute form", "http://example.com/a;tok=x/b?c", "x", nil, "http://example.com/a/b?c", "/a/b"},
		{"of the root", "/;tok=x", "x", nil, "/", ""},
		{"first of several", "/a;tok=x;b=1;c", "x", nil, "/a;b=1;c", ""},
		{"between others", "/a;b=1;tok=x;c", "x", nil, "/a;b=1;c", ""},
		{"last of several", "/a;b=1;tok=x", "x", nil, "/a;b=1", ""},
		{"with a semicolon behind it", "/a;tok=x;", "x", nil, "/a;", ""},
		{"encoded name", "/a;t%6Fk=x", "x", nil, "/a", ""},
		{"encoded value", "/a;tok=x%2Ey", "x.y", nil, "/a", ""},
		{"plus is a plus", "/a;tok=x+y", "x+y", nil, "/a", ""},
		{"equals sign in the value", "/a;tok=x=", "x=", nil, "/a", ""},
		{"encoded slash in the value", "/a;tok=x%2Fy", "x/y", nil, "/a", ""},
		{"encoded semicolon in the value", "/a;tok=x%3By", "x;y", nil, "/a", ""},
		{"comma belongs to the value", "/a;tok=x,y", "x,y", nil, "/a", ""},
		{"ampersand belongs to the value", "/a;tok=x&b=1", "x&b=1", nil, "/a", ""},
		{"the rest stays escaped", "/%c3%bc%2Fb%3B;tok=x/c%20d", "x", nil, "/%c3%bc%2Fb%3B/c%20d", "/ü/b;/c d"},
		{"the rest is escaped in the usual way", "/a%20b%3b;tok=x", "x", nil, "/a%20b%3b", "/a b;"},

		{"empty", "/a;tok=", "", ErrMalformed, "/a", ""},
		{"without a value", "/a;tok/b", "", ErrMalformed, "/a/b", ""},
		{"twice in a segment", "/a;tok=x;tok=x", "", ErrAmbiguous, "/a", ""},
		{"twice in the path", "/a;tok=x/b;tok=y", "", ErrAmbiguous, "/a/b", ""},
		{"twice, once empty", "/a;tok=x;tok", "", ErrAmbiguous, "/a", ""},
		{"twice, once encoded", "/a;tok=x;%74ok=y", "", ErrAmbiguous, "/a", ""},

		{"absent", "/a;b=1", "", ErrMissing, "/a;b=1", ""},
		{"other case", "/a;TOK=x", "", ErrMissing, "/a;TOK=x", ""},
		{"a longer name", "/a;tokk=x", "", ErrMissing, "/a;tokk=x", ""},
		{"a shorter name", "/a;to=x", "", ErrMissing, "/a;to=x", ""},
		{"a longer name beside it", "/a;tokk=x;tok=y;to=z", "y", nil, "/a;tokk=x;to=z", ""},
		{"no semicolon in front", "/tok=x", "", ErrMissing, "/tok=x", ""},
		{"encoded semicolon", "/a%3Btok=x", "", ErrMissing, "/a%3Btok=x", "/a;tok=x"},
		{"encoded semicolon beside what no URL has", "/ü%3Btok=x", "", ErrMissing, "/ü%3Btok=x", "/ü;tok=x"},
		{"beside what no URL has", "/ü%3B;tok=x", "x", nil, "/ü%3B", "/ü;"},
		{"semicolon encoded twice", "/a%253Btok=x", "", ErrMissing, "/a%253Btok=x", "/a%3Btok=x"},
		{"name encoded twice", "/a;%2574ok=x", "", ErrMissing, "/a;%2574ok=x", "/a;%74ok=x"},
		{"value encoded twice", "/a;tok=x%252Ey", "x%2Ey", nil, "/a", ""},
		{"only in the query", "/a?;tok=x", "", ErrMissing, "/a?;tok=x", "/a"},
		{"encoded question mark", "/a%3F;tok=x", "x", nil, "/a%3F", "/a?"},

		// What is left is for the scope to refuse.
		{"dots in front of it", "/..;tok=x/b", "x", nil, "/../b", ""},
		{"a dot in front of it", "/a/.;tok=x", "x", nil, "/a/.", ""},
		{"encoded dots in front of it", "/%2e%2E;tok=x/b", "x", nil, "/%2e%2E/b", "/../b"},
		{"dots behind it", "/a;tok=x/../b", "x", nil, "/a/../b", ""},
		{"a segment of its own", "/a/;tok=x/b", "x", nil, "/a//b", ""},
		{"in front of all", "/;tok=x/evil.example/", "x", nil, "//evil.example/", ""},
		{"dots that it parts", "/.;tok=x;./b", "x", nil, "/.;./b", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, test.target, nil)
			text, from, err := Find(r, pathTok)
			if want := (test.err != ErrMissing); text != test.text || !errors.Is(err, test.err) || (from == pathTok[0]) != want {
				t.Fatalf("found %q from %v, %v", text, from, err)
			}
			Strip(r, pathTok)
			want, err := url.ParseRequestURI(test.want)
			if err != nil {
				t.Fatal(err)
			}
			if r.RequestURI != test.want || *r.URL != *want {
				t.Errorf("left %q and %#v, want %q and %#v", r.RequestURI, r.URL, test.want, want)
			}
			if test.wantPath == "" {
				test.wantPath = want.Path
			}
			if r.URL.Path != test.wantPath {
				t.Errorf("path %q, want %q", r.URL.Path, test.wantPath)
			}
			if _, _, err := Find(r, pathTok); err != ErrMissing {
				t.Errorf("then: %v", err)
			}
		})
	}
}

// TestPathOfARewrite: a rewrite changes the URL and leaves the RequestURI.
func TestPathOfARewrite(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/pub/a;tok=x", nil)
	r.URL.Path = "/a;tok=x" // as handle_path leaves it
	Strip(r, []Source{{Path, "tok"}})
	if r.RequestURI != "/pub/a" || r.URL.Path != "/a" || r.URL.RawPath != "" {
		t.Errorf("%q, %#v", r.RequestURI, r.URL)
	}
}

// TestStripPathIsWhole: what is left of any path has no parameter of the name, is as
// long as what was not taken out, and is what a second time leaves.
func TestStripPathIsWhole(t *testing.T) {
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"/", ";", "=", "tok", "t%6Fk", "%3B", "%74ok=1", ".", "a", "tokk"}), 0, 16)
	rapid.Check(t, func(t *rapid.T) {
		path := "/"
		for _, piece := range pieces.Draw(t, "pieces") {
			path += piece
		}
		stripped := StripPath(path, []string{"tok"})
		if _, err := findPathParameter(stripped, "tok"); err != ErrMissing {
			t.Fatalf("%q: left %q", path, stripped)
		}
		if again := StripPath(stripped, []string{"tok"}); again != stripped {
			t.Fatalf("%q: %q, then %q", path, stripped, again)
		}
		if _, err := findPathParameter(path, "tok"); err == ErrMissing && stripped != path {
			t.Fatalf("%q: nothing is there, and %q left", path, stripped)
		}
	})
}

// FuzzStripPath: what is left of the URL is what a server would read from what is left of
// the RequestURI, so that there are no two readings of what is judged.
func FuzzStripPath(f *testing.F) {
	for _, target := range []string{"/a;tok=x/b?c", "/%3Btok=x;t%6Fk=y", "/..;tok=x/%2e;tok", "/a%20b%3b;tok=x/ü;v=1", "/;tok=%2F;tok=?;tok", "/%2561;tok=%zz"} {
		f.Add(target)
	}
	sources := []Source{{Path, "tok"}}
	f.Fuzz(func(t *testing.T, target string) {
		asked, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") { // a host is no path
			return
		}
		r := &http.Request{URL: asked, RequestURI: target}
		before := *asked
		_, _, missing := Find(r, sources)
		Strip(r, sources)
		if missing == ErrMissing && (*r.URL != before || r.RequestURI != target) {
			t.Fatalf("%q: nothing is there, and %q, %#v are left", target, r.RequestURI, r.URL)
		}
		if _, _, err := Find(r, sources); err != ErrMissing {
			t.Fatalf("%q: %q is left: %v", target, r.RequestURI, err)
		}
		left, err := url.ParseRequestURI(r.RequestURI)
		if err != nil || left.Path != r.URL.Path || left.EscapedPath() != r.URL.EscapedPath() || left.RawQuery != before.RawQuery {
			t.Fatalf("%q: %q and %#v are left, %v", target, r.RequestURI, r.URL, err)
		}
	})
}
