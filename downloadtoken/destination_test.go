package downloadtoken

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
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
		got, err := destination(r, &url.URL{Path: tt.asked})
		if got != tt.want || (err == nil) != (tt.want != "") || err != nil && !errors.Is(err, errRequest) && !errors.Is(err, scope.ErrPath) {
			t.Errorf("%s at %s as %s of %s: %q, %v; want %q", tt.field, tt.asked, tt.path, tt.host, got, err, tt.want)
		}
		if err != nil {
			continue
		}
		// What goes on is read as what was judged, here and by everything that parses URIs.
		errand{destination: got}.apply(r.Header)
		if again, err := destination(r, &url.URL{Path: tt.path}); err != nil || again != got {
			t.Errorf("%s: goes on as %s, which is read as %q, %v", tt.field, r.Header.Get("Destination"), again, err)
		}
	}
	for name, fields := range map[string][]string{"missing": nil, "twice": {"/b", "/b"}} {
		r := httptest.NewRequest("MOVE", "/a", nil)
		r.Header["Destination"] = fields
		if got, err := destination(r, r.URL); !errors.Is(err, errRequest) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
