package response

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestCanonicalRedirect: the token goes back into the redirects with which file_server
// adds or takes off the last slash, and into no other.
func TestCanonicalRedirect(t *testing.T) {
	const query = "x=1&t=planted&y=%20"
	for name, tt := range map[string]struct {
		asked    string // the request, as it was received
		path     string // without a token; default: the same
		location string // what a later handler answers; default: as file_server does
		want     string // "": no token goes into it
	}{
		"a folder":                    {asked: "/dir", want: "/dir/"},
		"a file":                      {asked: "/a.txt/", want: "/a.txt"},
		"deeper":                      {asked: "/pub/dir", want: "/pub/dir/"},
		"a space":                     {asked: "/sp%20ace", want: "/sp%20ace/"},
		"a question mark":             {asked: "/q%3Fd", want: "/q%3Fd/"},
		"not ASCII":                   {asked: "/%c3%bcbung", want: "/%c3%bcbung/"},
		"needlessly coded":            {asked: "/%64ir", want: "/%64ir/"},
		"another site":                {asked: "/dir", location: "https://evil.example/dir/"},
		"another site, without https": {asked: "/dir", location: "//evil.example/dir/"},
		"another folder":              {asked: "/dir", location: "/other/?x=1&y=%20"},
		"another query":               {asked: "/dir", location: "/dir/?x=2"},
		"the same place":              {asked: "/dir", location: "/dir?x=1&y=%20"},
		"two slashes more":            {asked: "/dir", location: "/dir//?x=1&y=%20"},
		"no place":                    {asked: "/dir", location: " "},
		"a backslash in front":        {asked: "/%5Cevil.example/"},
		"a backslash, and a folder":   {asked: "/%5Cevil.example/x"},
		"two backslashes":             {asked: "/%5C%5Cevil.example/"},
		"two slashes in front":        {asked: "//evil.example/x"},
		"a slash that is coded":       {asked: "/%2Fevil.example/x"},
		"a dot, and two slashes":      {asked: "/.//evil.example/x"},
		"the token in the path":       {asked: "/dir;t=planted", path: "/dir", want: "/dir;t=planted/"},
		"in a folder of the path":     {asked: "/pub;t=planted/dir", path: "/pub/dir", want: "/pub;t=planted/dir/"},
		"in front of the last slash":  {asked: "/a.txt;t=planted/", path: "/a.txt/", want: "/a.txt;t=planted"},
		"behind the last slash":       {asked: "/a.txt/;t=planted", path: "/a.txt/"},
		"in front of another site":    {asked: "/;t=planted/evil.example", path: "//evil.example", location: "//evil.example/?x=1&y=%20"},
	} {
		for _, inURL := range []bool{true, false} {
			asked, err := url.ParseRequestURI(tt.asked + "?" + query)
			if err != nil {
				t.Fatal(err)
			}
			r := asking(http.MethodGet, "/")
			r.URL = &url.URL{Path: asked.Path, RawPath: asked.RawPath, RawQuery: "x=1&y=%20"} // without the token
			location := tt.location
			if location == "" {
				path := cmp.Or(tt.path, asked.Path)
				location = path + "/"
				if strings.HasSuffix(path, "/") {
					location = strings.TrimSuffix(path, "/")
				}
				location += "?" + r.URL.RawQuery
			}
			c := new(client)
			d := &Delivery{
				Policy: &Policy{Carriers: []string{"Cookie"}}, InURL: inURL, Lifetime: 1 << 40,
				Asked: Asked{URL: *asked, Path: tt.path, RawQuery: query},
			}
			_, err = deliver(d, c, r, func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Cache-Control", "max-age=9")
				if tt.location == "" {
					http.Redirect(w, r, location, http.StatusPermanentRedirect)
					return nil
				}
				w.Header().Set("Location", location) // as it is
				w.WriteHeader(http.StatusPermanentRedirect)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, kept := c.header.Get("Location"), tt.want != "" && inURL
			if want := tt.want + "?" + query; kept && got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			if !kept && strings.Contains(got, "planted") || strings.Contains(c.body.String(), "planted") {
				t.Errorf("%s, in the URL %v: the token is told: %q, body %q", name, inURL, got, c.body.String())
			}
			if noStore := c.header.Get("Cache-Control") == "no-store"; noStore != kept || c.header.Get("Vary") != "Cookie" {
				t.Errorf("%s, in the URL %v: %v", name, inURL, c.header)
			}
		}
	}
}

// TestRedirectsOfAnotherKindGetNoToken: only 308 is the canonical redirect.
func TestRedirectsOfAnotherKindGetNoToken(t *testing.T) {
	asked, _ := url.Parse("/dir?t=planted")
	for _, status := range []int{201, 301, 302, 303, 307, 404} {
		c := new(client)
		_, err := deliver(&Delivery{InURL: true, Asked: Asked{URL: *asked, RawQuery: "t=planted"}}, c, asking(http.MethodGet, "/dir"), func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Location", "/dir/")
			w.WriteHeader(status)
			return nil
		})
		if got := c.header.Get("Location"); err != nil || got != "/dir/" {
			t.Errorf("%d: %q, %v", status, got, err)
		}
	}
}

// TestRedirectBehindHandlePath: the redirect is for the path as it was received.
func TestRedirectBehindHandlePath(t *testing.T) {
	asked, _ := url.Parse("/pub/dir?t=planted")
	c := new(client)
	_, err := deliver(&Delivery{InURL: true, Asked: Asked{URL: *asked, RawQuery: "t=planted"}}, c, asking(http.MethodGet, "/pub/dir"), func(w http.ResponseWriter, r *http.Request) error {
		r.URL.Path = "/dir"
		http.Redirect(w, r, "/pub/dir/", http.StatusPermanentRedirect) // file_server redirects from the original request
		return nil
	})
	if got := c.header.Get("Location"); err != nil || got != "/pub/dir/?t=planted" {
		t.Errorf("%q, %v", got, err)
	}
}
