package downloadtoken

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// TestDestination: what is not a path of this host in one reading leads nowhere.
func TestDestination(t *testing.T) {
	for _, tt := range []struct {
		asked, path string // of the request, as it was received and as it is here
		host, field string
		want        string // "": refused
	}{
		{"/a", "/a", "h", "/b", "/b"},
		{"/a", "/a", "h", "/b/", "/b/"},
		{"/a", "/a", "h", "http://h/b", "/b"},
		{"/a", "/a", "h", "https://h/b", "/b"},
		{"/a", "/a", "h", "https://H:443/b", "/b"},
		{"/a", "/a", "h:443", "https://h/b", "/b"},
		{"/a", "/a", "h:8080", "http://h:8080/b", "/b"},
		{"/a", "/a", "[::1]:80", "http://[::1]/b", "/b"},
		{"/a", "/a", "h", "/b%20c%C3%A9", "/b cé"},
		{"/a", "/a", "h", "/b c", "/b c"},
		{"/a", "/a", "h", "/%62?x=%2F..%2F", "/b"},
		{"/a", "/a", "h", "/b%3Fc%23d", "/b?c#d"},
		{"/a", "/a", "h", "/b;c", "/b;c"},
		{"/a", "/a", "h", "/%2562", "/%62"},

		{"/p/a", "/a", "h", "/p/b", "/b"},
		{"/p/a", "/a", "h", "http://h/p/b", "/b"},
		{"/p/a", "/a", "h", "/p/", "/"},
		{"/p/a", "/a", "h", "/p/p/b", "/p/b"},
		{"/p/a", "/a", "h", "/b", ""},
		{"/p/a", "/a", "h", "/p", ""},
		{"/p/a", "/a", "h", "/px/b", ""},
		{"/p/a", "/a", "h", "/p%2Fb", ""},
		{"/p/a", "/a", "h", "/p/../b", ""},
		{"/x", "/a", "h", "/b", ""}, // rewritten

		{"/a", "/a", "h", "", ""},
		{"/a", "/a", "h", "b", ""},
		{"/a", "/a", "h", "*", ""},
		{"/a", "/a", "h", "?b", ""},
		{"/a", "/a", "h", "//h/b", ""},
		{"/a", "/a", "h", "///b", ""},
		{"/a", "/a", "h", "//evil/b", ""},
		{"/a", "/a", "h", "http://h", ""},
		{"/a", "/a", "h", "http:/b", ""},
		{"/a", "/a", "h", "http:///b", ""},
		{"/a", "/a", "h", "http:b", ""},
		{"/a", "/a", "h", "http://evil/b", ""},
		{"/a", "/a", "h", "http://h.evil/b", ""},
		{"/a", "/a", "h", "http://h@evil/b", ""},
		{"/a", "/a", "h", "http://u:p@h/b", ""},
		{"/a", "/a", "h", "http://@h/b", ""},
		{"/a", "/a", "h", "http://h:8080/b", ""},
		{"/a", "/a", "h:8080", "http://h/b", ""},
		{"/a", "/a", "h", "http://h:0x50/b", ""},
		{"/a", "/a", "h", "http://h./b", ""},
		{"/a", "/a", "h", "ftp://h/b", ""},
		{"/a", "/a", "h", "file:///b", ""},
		{"/a", "/a", "h", "/b#", ""},
		{"/a", "/a", "h", "/b#c", ""},
		{"/a", "/a", "h", "http://h/b#c", ""},
		{"/a", "/a", "h", "/b/../c", ""},
		{"/a", "/a", "h", "/b/%2e%2e/c", ""},
		{"/a", "/a", "h", "/b/.", ""},
		{"/a", "/a", "h", "/b//c", ""},
		{"/a", "/a", "h", "/b%2Fc", ""},
		{"/a", "/a", "h", "/b%5Cc", ""},
		{"/a", "/a", "h", "/b\\c", ""},
		{"/a", "/a", "h", "http:\\\\h\\b", ""},
		{"/a", "/a", "h", "/b%00", ""},
		{"/a", "/a", "h", "/b%0Ac", ""},
		{"/a", "/a", "h", "/b\tc", ""},
		{"/a", "/a", "h", "/%zz", ""},
		{"/a", "/a", "h", "/b%", ""},
		{"/a", "/a", "h", "/b, /c", "/b, /c"}, // a comma is one
	} {
		r := httptest.NewRequest("MOVE", tt.path, nil)
		r.Host = tt.host
		r.Header["Destination"] = []string{tt.field}
		got, err := destination(r, tt.asked)
		if got != tt.want || (err == nil) != (tt.want != "") || err != nil && !errors.Is(err, errRequest) && !errors.Is(err, scope.ErrPath) {
			t.Errorf("%s at %s as %s of %s: %q, %v; want %q", tt.field, tt.asked, tt.path, tt.host, got, err, tt.want)
		}
		if err != nil {
			continue
		}
		// What goes on is read as what was judged, here and by everything that parses URIs.
		errand{destination: got}.apply(r.Header)
		if again, err := destination(r, tt.path); err != nil || again != got {
			t.Errorf("%s: goes on as %s, which is read as %q, %v", tt.field, r.Header.Get("Destination"), again, err)
		}
	}
	for name, fields := range map[string][]string{"missing": nil, "twice": {"/b", "/b"}} {
		r := httptest.NewRequest("MOVE", "/a", nil)
		r.Header["Destination"] = fields
		if got, err := destination(r, r.URL.Path); !errors.Is(err, errRequest) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestReferences: the token is in no URL that a client makes of its own.
func TestReferences(t *testing.T) {
	sources := []token.Source{{Kind: token.Path, Name: "p"}, {Kind: token.Query, Name: "q"}, {Kind: token.Header, Name: "q"}}
	for field, want := range map[string]string{
		"/a;p=secret/b":                    "/a/b",
		"http://h/a;p=secret;x=1?x=1&q=s":  "http://h/a;x=1?x=1",
		"/a?q=secret":                      "/a",
		"/a?x=;p=1":                        "/a?x=;p=1",
		"/%71?%71=secret&y":                "/%71?y",
		"/a;%70=secret":                    "/a",
		"/a#?q=secret":                     "/a#",
		"not;p=secret?a&uri&q=secret&q=s2": "not?a&uri",
	} {
		header := http.Header{"Destination": {field}, "If": {"<" + field + "> (<opaquelocktoken:1>)"}}
		stripReferences(header, sources)
		if got := header.Get("Destination"); got != want || header.Get("If") != "<"+want+"> (<opaquelocktoken:1>)" {
			t.Errorf("%s: %q", field, header)
		}
	}
}

// TestTokenInThePath: what was taken out of the path is not taken for what a handler in
// front has taken off.
func TestTokenInThePath(t *testing.T) {
	h, _ := writable(t, &Handler{From: []Source{{In: "path", Name: []string{"p"}}}}, scope.Download, scope.CreateFile)
	r := httptest.NewRequest("COPY", "/a.txt;p="+signed(t, nil), nil)
	r.Header.Set("Destination", "/c.txt;p=secret")
	w := httptest.NewRecorder()
	err := h.ServeHTTP(w, visiting(h, w, r).r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path != "/a.txt" || r.Header.Get("Destination") != "/c.txt" {
			t.Error(r.URL, r.Header)
		}
		return answers(201)(w, r)
	}))
	if err != nil || w.Code != 201 {
		t.Error(w.Code, err)
	}
}
