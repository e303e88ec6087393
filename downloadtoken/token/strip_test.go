package token

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStripQuery(t *testing.T) {
	tests := []struct{ name, query, want string }{
		{"empty", "", ""},
		{"absent", "a=1&b=%zz&&c;d", "a=1&b=%zz&&c;d"},
		{"alone", "tok=x", ""},
		{"first", "tok=x&a=1", "a=1"},
		{"last", "a=1&tok=x", "a=1"},
		{"between", "a=%31&tok=x&b=+2", "a=%31&b=+2"},
		{"every time", "tok=x&a=1&tok=y", "a=1"},
		{"encoded name", "a=1&t%6fk=x", "a=1"},
		{"without value", "tok&a=1&tok=", "a=1"},
		{"undecodable value", "tok=%zz&a=1", "a=1"},
		{"undecodable name stays", "tok%zz=x", "tok%zz=x"},
		{"other case stays", "TOK=x", "TOK=x"},
		{"both names", "tok=x&a=1&key=y", "a=1"},
		{"empty pieces stay", "&tok=x&&a=1&", "&&a=1&"},
		{"semicolon belongs to the value", "tok=x;a=1&b=2", "b=2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := StripQuery(test.query, []string{"tok", "key"}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestStripURI(t *testing.T) {
	tests := []struct{ name, uri, want string }{
		{"no query", "/a%2Fb", "/a%2Fb"},
		{"token only", "/a%2Fb?tok=x", "/a%2Fb"},
		{"token and more", "/a?b=1&tok=x", "/a?b=1"},
		{"bare question mark", "/a?", "/a?"},
		{"others only", "/a?b=1", "/a?b=1"},
		{"second question mark", "/a?b=?&tok=x", "/a?b=?"},
		{"absolute form", "http://host/a?tok=x&b=1", "http://host/a?b=1"},
		{"asterisk form", "*", "*"},
		{"name in the path", "/tok=x/a", "/tok=x/a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := StripURI(test.uri, []string{"tok"}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestStrip(t *testing.T) {
	tests := []struct {
		name    string
		request *http.Request
		query   string
		header  http.Header
	}{
		{"nothing to do", request("a=1", "Cookie: a=1", "Accept: */*"), "a=1",
			http.Header{"Cookie": {"a=1"}, "Accept": {"*/*"}}},
		{"every source, not only the one that was found",
			request("tok=q&a=1", "Authorization: bearer h", "Authorization-Token: h", "Cookie: tok=c; a=1"), "a=1",
			http.Header{"Cookie": {"a=1"}}},
		{"other schemes stay", request("", "Authorization: Basic eDp5"), "",
			http.Header{"Authorization": {"Basic eDp5"}}},
		{"only the bearer line goes", request("", "Authorization: Basic eDp5", "Authorization: Bearer x"), "",
			http.Header{"Authorization": {"Basic eDp5"}}},
		{"broken bearer goes too", request("", "Authorization: Bearer\tx"), "", http.Header{}},
		{"cookie alone", request("", "Cookie: tok=c"), "", http.Header{}},
		{"cookie with nothing behind it", request("", "Cookie: tok=c;"), "", http.Header{}},
		{"cookie first", request("", "Cookie: tok=c; a=1;b=2"), "", http.Header{"Cookie": {"a=1;b=2"}}},
		{"cookie between", request("", `Cookie: a="1"; tok=c;  b`), "", http.Header{"Cookie": {`a="1";  b`}}},
		{"cookie last", request("", "Cookie: a=1; tok=c"), "", http.Header{"Cookie": {"a=1"}}},
		{"cookie on several lines", request("", "Cookie:  a=1;", "Cookie: tok=c", "Cookie: b=2; tok=d"), "",
			http.Header{"Cookie": {" a=1;", "b=2"}}},
		{"odd cookie goes too", request("", `Cookie: tok="c"; tok; tok =x`), "", http.Header{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := test.request
			Strip(r, allSources)
			uri := "/file.zip"
			if test.query != "" {
				uri += "?" + test.query
			}
			if r.URL.RawQuery != test.query || r.RequestURI != uri {
				t.Errorf("query %q, target %q; want %q, %q", r.URL.RawQuery, r.RequestURI, test.query, uri)
			}
			if len(r.Header) != len(test.header) {
				t.Errorf("header %q, want %q", r.Header, test.header)
			}
			for name, lines := range test.header {
				if !slices.Equal(r.Header[name], lines) {
					t.Errorf("%s %q, want %q", name, r.Header[name], lines)
				}
			}
			_, _, err := Find(r, allSources)
			wantErr(t, err, ErrMissing)
		})
	}
}

func TestStripLeavesTheBareQuestionMarkThatWasThere(t *testing.T) {
	r := request("")
	r.URL.ForceQuery, r.RequestURI = true, "/file.zip?"
	Strip(r, allSources)
	if r.URL.String() != "/file.zip?" || r.RequestURI != "/file.zip?" {
		t.Errorf("became %q, %q", r.URL, r.RequestURI)
	}
	r.URL.RawQuery, r.RequestURI = "tok=x", "/file.zip?tok=x"
	Strip(r, allSources)
	if r.URL.String() != "/file.zip" || r.RequestURI != "/file.zip" {
		t.Errorf("became %q, %q", r.URL, r.RequestURI)
	}
}

// A rewrite may have changed the one and not the other.
func TestStripTreatsURLAndRequestURIApart(t *testing.T) {
	r := request("a=1")
	r.RequestURI = "/old?tok=x"
	Strip(r, allSources)
	if r.RequestURI != "/old" || r.URL.RawQuery != "a=1" {
		t.Errorf("became %q, %q", r.RequestURI, r.URL.RawQuery)
	}
	r.URL.RawQuery, r.RequestURI = "tok=x", "/old?a=1"
	Strip(r, allSources)
	if r.RequestURI != "/old?a=1" || r.URL.RawQuery != "" {
		t.Errorf("became %q, %q", r.RequestURI, r.URL.RawQuery)
	}
}

// The caller may hold the slices of the header that came in.
func TestStripDoesNotWriteIntoSharedLines(t *testing.T) {
	r := request("", "Cookie: tok=c", "Cookie: a=1", "Authorization: Bearer x", "Authorization: Basic eDp5")
	shared := r.Header.Clone()
	r.Header = http.Header{"Cookie": shared["Cookie"], "Authorization": shared["Authorization"]}
	Strip(r, allSources)
	if shared["Cookie"][0] != "tok=c" || shared["Authorization"][0] != "Bearer x" {
		t.Errorf("shared lines became %q", shared)
	}
}

func TestStripAllocatesNothingWhenThereIsNothingToStrip(t *testing.T) {
	r := request("a=1&b=2", "Cookie: a=1; b=2", "Authorization: Basic eDp5", "Accept: */*")
	if n := testing.AllocsPerRun(100, func() { Strip(r, allSources) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	r.Header.Set("Authorization", "Digest x")
	if n := testing.AllocsPerRun(100, func() { Strip(r, []Source{anyUser, anna, queryTok}) }); n != 0 {
		t.Errorf("%v allocations for Basic", n)
	}
}

// Whatever the query, what is left is what was there without the pieces that
// decode to a name.
func TestStripQueryKeepsTheRest(t *testing.T) {
	piece := rapid.StringMatching(`(tok|t%6Fk|%74%6f%6b|to|tokk|TOK|%zz|tok%|a\+b|)(=[a-z%+;?=]{0,4})?`)
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(piece, 1, 6).Draw(t, "pieces")
		var want []string
		for _, p := range pieces {
			name, _, _ := strings.Cut(p, "=")
			if name != "tok" && name != "t%6Fk" && name != "%74%6f%6b" {
				want = append(want, p)
			}
		}
		query := strings.Join(pieces, "&")
		if got := StripQuery(query, []string{"tok"}); got != strings.Join(want, "&") {
			t.Fatalf("%q became %q, want %q", query, got, strings.Join(want, "&"))
		}
	})
}

// TestStripCopiesOnce: a long query of many parameters must not take quadratic time.
func TestStripCopiesOnce(t *testing.T) {
	query := repeat("tok=x&a=1&", 1000)
	want := repeat("a=1&", 1000)
	if got := StripQuery(query, []string{"tok"}); got != want {
		t.Errorf("got %q", got)
	}
	for name, test := range map[string]struct {
		uri  string
		most float64
	}{
		"many": {"/a?" + query, 1}, "first": {"/a?tok=x&a=1", 1}, "between": {"/a?b&tok=x&a=1", 1}, "last": {"/a?b=1&tok=x", 0}, "alone": {"/a?tok=x", 0}, "none": {"/a?b=1", 0},
	} {
		names := []string{"tok"}
		if n := testing.AllocsPerRun(10, func() { StripURI(test.uri, names) }); n > test.most {
			t.Errorf("%s: %v allocations, at most %v", name, n, test.most)
		}
	}
}
