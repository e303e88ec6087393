package scope

import (
	"errors"
	"net/url"
	"testing"
)

func TestCheckLink(t *testing.T) {
	for link, good := range map[string]bool{
		"https://a.example":                     true,
		"https://a.example?t=x":                 true,
		"https://a.example/a%20b/%C3%BC.txt?t=": true,
		"/a.txt?t=//..%5C":                      true,
		"https://a.example/100%25":              true,
		"https://a.example/100%":                false,
		"https://a.example/a%5Cb":               false,
		"https://a.example/a%5cb":               false,
		"https://a.example/a%2Fb":               false,
		"https://a.example/a%09b":               false,
		"https://a.example/a%0Ab":               false,
		"https://a.example/a%00":                false,
		"https://a.example/../a":                false,
		"https://a.example/a/./b":               false,
		"https://a.example/%2e%2e/a":            false,
		"https://a.example//a":                  false,
		"https://a.example/a//b":                false,
		"mailto:a":                              true, // has no path; the caller knows what a link is
	} {
		if err := CheckLink(link); (err == nil) != good || err != nil && !errors.Is(err, ErrPath) {
			t.Errorf("%s: %v", link, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"a.txt": true, "my file.txt": true, "ü": true, "a/b": true, "/a/b/": true, "": true, "..txt": true, "%5C": true,
		`a\b`: false, "a\tb": false, "a\nb": false, "a\x7f": false, "\x00": false, ".": false, "..": false, "a/../b": false, "a//b": false, "//a": false, "a/.": false,
	} {
		if err := CheckName(name); (err == nil) != good || err != nil && !errors.Is(err, ErrPath) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// FuzzCheckName agrees with Path: a name that is good can be opened, one that is
// bad cannot, however it is escaped.
func FuzzCheckName(f *testing.F) {
	for _, name := range []string{"a.txt", `a\b`, "..", "a/./b", "a//b", "/a", "%2F", "\x7f", "ü", "a%zz", "?", "#"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		path := name
		if path == "" || path[0] != '/' {
			path = "/" + path
		}
		_, err := Path(&url.URL{Path: path})
		if got := CheckName(name); (got == nil) != (err == nil) {
			t.Fatalf("%q: %v, but as a path %v", name, got, err)
		}
		if got := CheckLink("https://a.example" + (&url.URL{Path: path}).EscapedPath()); (got == nil) != (err == nil) {
			t.Fatalf("%q: %v, but as a path %v", name, got, err)
		}
	})
}

func TestCheckScope(t *testing.T) {
	for scope, want := range map[string]struct{ path, good bool }{
		"file:a.txt":                   {false, true},
		`ns\file:1`:                    {false, true},
		"https://a.example//x/../y":    {false, true},
		"download:/a.txt":              {true, true},
		"download:/my%20file.txt":      {true, true},
		"download:/a/ other":           {true, true},
		"file:/100%":                   {true, true}, // a template's
		`download:/a\b`:                {true, false},
		"download:/a%5Cb":              {true, false},
		"download:/a%2Fb":              {true, false},
		"download:/a%09b":              {true, false},
		"download:/%2e%2e/b":           {true, false},
		"download:/a/../b":             {true, false},
		"download:/a//b":               {true, false},
		"download:/a.txt download:/..": {true, false},
		"storage.read:/a\nb":           {true, false},
	} {
		if err := CheckScope(scope); (err == nil) != want.good || err != nil && !errors.Is(err, ErrPath) {
			t.Errorf("%s: %v", scope, err)
		}
		if got := HasPath(scope); got != want.path {
			t.Errorf("%s has a path: %v", scope, got)
		}
	}
}
