package response

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCacheControl: an answer to a token that is not in the URL is asked for each time;
// one whose URL has the token is kept for a minute at most, and never longer than the
// token lives; one-time answers are never kept.
func TestCacheControl(t *testing.T) {
	const (
		asSite   = "" // as the site says it
		noStore  = "private, no-store"
		noCache  = "private, no-cache"
		ofMinute = "private, max-age=60"
	)
	type row struct {
		name                 string
		site                 []string // Cache-Control of the site
		lifetime             time.Duration
		inURL, inField       string // of a file
		notFound, inField404 string // of an error
	}
	rows := []row{
		{"nothing said", nil, time.Hour, ofMinute, noCache, noStore, noStore},
		{"a minute left", nil, time.Minute, ofMinute, noCache, noStore, noStore},
		{"near its end", nil, 29*time.Second + 999*time.Millisecond, "private, max-age=29", noCache, noStore, noStore},
		{"at its end", nil, 999 * time.Millisecond, noStore, noStore, noStore, noStore},
		{"behind its end", nil, -time.Minute, noStore, noStore, noStore, noStore},
		{"the site's own", []string{"public, max-age=9"}, time.Hour, asSite, noCache, asSite, noCache},
		{"the site's own, at the end of the token", []string{"public, max-age=9"}, 0, asSite, noCache, asSite, noCache},
		{"for caches in front", []string{"public, max-age=9, s-maxage=99"}, time.Hour, asSite, noCache, asSite, noCache},
		{"in other letters", []string{"Max-Age=9 , IMMUTABLE,stale-while-revalidate=60, stale-if-error=60"}, time.Hour, asSite, noCache, asSite, noCache},
		{"what does no harm", []string{"public, no-transform, must-revalidate, max-age=9"}, time.Hour, asSite, noCache + ", no-transform, must-revalidate", asSite, noCache + ", no-transform, must-revalidate"},
		{"stricter", []string{"no-store"}, time.Hour, asSite, noCache + ", no-store", asSite, noCache + ", no-store"},
		{"in two lines", []string{"max-age=9", "No-Store"}, time.Hour, asSite, noCache + ", no-store", asSite, noCache + ", no-store"},
		{"in quotes", []string{`private="Set-Cookie, max-age=9", no-cache="Etag", max-age=9`}, time.Hour, asSite, noCache, asSite, noCache},
		{"empty", []string{""}, time.Hour, asSite, noCache, asSite, noCache},
	}
	surrogates := []string{"Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control", "Edge-Control", "X-Accel-Expires"}
	for _, tt := range rows {
		for _, inURL := range []bool{true, false} {
			for _, oneTime := range []bool{false, true} {
				for _, status := range []int{200, 206, 204, 304, 302, 308, 404, 500} {
					c := new(client)
					d := &Delivery{Policy: &Policy{OneTime: oneTime}, InURL: inURL, Lifetime: tt.lifetime}
					_, err := deliver(d, c, asking(http.MethodGet, "/a"), func(w http.ResponseWriter, _ *http.Request) error {
						if tt.site != nil {
							w.Header()["Cache-Control"] = slices.Clone(tt.site)
						}
						for _, name := range surrogates {
							w.Header().Set(name, "max-age=9")
						}
						w.WriteHeader(status)
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					want := map[[2]bool]string{{true, false}: tt.inURL, {true, true}: tt.notFound, {false, false}: tt.inField, {false, true}: tt.inField404}[[2]bool{inURL, status >= 400}]
					if oneTime {
						want = noStore
					}
					if want == asSite {
						if got := c.header["Cache-Control"]; !slices.Equal(got, tt.site) {
							t.Errorf("%s, %d: %q instead of the site's own", tt.name, status, got)
						}
					} else if got := strings.Join(c.header["Cache-Control"], " + "); got != want {
						t.Errorf("%s, in the URL %v, one-time %v, %d: %q, want %q", tt.name, inURL, oneTime, status, got, want)
					}
					for _, name := range surrogates {
						if left := c.header.Get(name) != ""; left != (want == asSite) {
							t.Errorf("%s, in the URL %v, one-time %v, %d: caches in front are told %s: %q", tt.name, inURL, oneTime, status, name, c.header.Get(name))
						}
					}
					if got := c.header.Get("Referrer-Policy"); got != "no-referrer" {
						t.Errorf("%s: Referrer-Policy %q", tt.name, got)
					}
				}
			}
		}
	}
}

// TestVary names what could have carried the token, once, on every answer.
func TestVary(t *testing.T) {
	carriers := []string{"Cookie", "Authorization", "X-Token"}
	for name, tt := range map[string]struct {
		site       []string
		negotiated bool
		want       string
	}{
		"nothing said":      {nil, false, "Authorization, Cookie, X-Token"},
		"something else":    {[]string{"Accept-Encoding"}, false, "Accept-Encoding, Authorization, Cookie, X-Token"},
		"said already":      {[]string{"cookie, x-token"}, false, "Authorization, cookie, x-token"},
		"said in lines":     {[]string{"Cookie", "Accept"}, false, "Accept, Authorization, Cookie, X-Token"},
		"part of a name":    {[]string{"X-Token-Not"}, false, "Authorization, Cookie, X-Token, X-Token-Not"},
		"everything":        {[]string{"*"}, false, "*"},
		"a page for people": {nil, true, "Accept, Authorization, Cookie, X-Token"},
	} {
		for _, status := range []int{200, 304, 404} {
			c := new(client)
			d := &Delivery{Policy: &Policy{Carriers: carriers, Negotiated: tt.negotiated}}
			_, err := deliver(d, c, asking(http.MethodGet, "/a"), func(w http.ResponseWriter, _ *http.Request) error {
				w.Header()["Vary"] = slices.Clone(tt.site)
				w.WriteHeader(status)
				return nil
			})
			if got := strings.Join(slices.Sorted(slices.Values(c.header["Vary"])), ", "); err != nil || got != tt.want {
				t.Errorf("%s, %d: %q, want %q", name, status, got, tt.want)
			}
		}
	}
	for name, next := range map[string]func(w http.ResponseWriter, r *http.Request) error{
		"no answer": func(http.ResponseWriter, *http.Request) error { return nil },
		"an error":  func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(200); return errSite },
	} {
		c := new(client)
		_, _ = deliver(&Delivery{Policy: &Policy{Carriers: carriers}, Spends: true}, c, asking(http.MethodGet, "/a"), next)
		if got := strings.Join(c.header["Vary"], ", "); got != "Cookie, Authorization, X-Token" || !strings.Contains(c.header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: %v", name, c.header)
		}
	}
}

// TestFieldsOfFiles: a directive adds to what is a file, and to nothing else.
func TestFieldsOfFiles(t *testing.T) {
	policy := &Policy{Whole: true, Disposition: func(r *http.Request) string { return "attachment; of=" + r.URL.Path }}
	for _, status := range []int{200, 203, 206, 304, 404, 500} {
		c := new(client)
		_, err := deliver(&Delivery{Policy: policy}, c, asking(http.MethodGet, "/a"), func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Accept-Ranges", "bytes")
			w.Header().Set("Content-Disposition", "inline")
			w.WriteHeader(status)
			_, err := io.WriteString(w, "a")
			return err
		})
		disposition, ranges := "attachment; of=/a", "none"
		if status >= 300 {
			disposition, ranges = "inline", "bytes"
		}
		if err != nil || c.header.Get("Content-Disposition") != disposition || c.header.Get("Accept-Ranges") != ranges {
			t.Errorf("%d: %v, %v", status, c.header, err)
		}
	}
}
