package carry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
)

// listed are the links of a listing.
func listed(t testing.TB, page string) *Links {
	l := linksOf(t, page)
	l.Token = func(_ *url.URL, index bool) string {
		if !index {
			return "SHORT-LIVED"
		}
		return "T"
	}
	return l
}

// browser is a file_server that lists a folder with what lies in it.
type browser struct {
	t      testing.TB
	server *fileserver.FileServer
}

func newBrowser(t testing.TB, files ...string) browser {
	t.Helper()
	root := t.TempDir()
	for _, name := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	b := browser{t, &fileserver.FileServer{Root: root, Browse: &fileserver.Browse{}}}
	if err := b.server.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// list is the listing at target, of the type.
func (b browser) list(target, accept string) []byte {
	b.t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Accept", accept)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
	if err := b.server.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })); err != nil {
		b.t.Fatal(err)
	}
	if w.Code != http.StatusOK || w.Body.Len() == 0 {
		b.t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func TestApply(t *testing.T) {
	got := string(apply([]byte("0123456789"), []edit{{9, 9, "z"}, {4, 4, "lost"}, {3, 6, ""}, {2, 8, ""}, {8, 8, "y"}, {0, 0, "x"}}))
	if want := "x01y8z9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTooLongAListing: what would become too large stays as it is.
func TestTooLongAListing(t *testing.T) {
	l := listed(t, "https://files.example/v/")
	l.Token = func(*url.URL, bool) string { return strings.Repeat("T", 4096) }
	html, array := strings.Repeat("<a href=x>", 10_000), "["+strings.Repeat(`{"url":"x"},`, 10_000)+"5]"
	if got := ListingHTML([]byte(html), l, false); string(got) != html {
		t.Errorf("HTML of %d bytes", len(got))
	}
	if got := ListingJSON([]byte(array), l, false); string(got) != array {
		t.Errorf("JSON of %d bytes", len(got))
	}
	if form := strings.Repeat("<form>", 10_000); string(ListingHTML([]byte(form), l, false)) != form {
		t.Error("forms")
	}
	l.Token = func(*url.URL, bool) string { return "T" }
	if many := strings.Repeat("<a href=x>", maxReferences+1); string(ListingHTML([]byte(many), l, false)) != many || ListingHTML([]byte(many), l, true) != nil {
		t.Error("too many")
	}
	if many := `<img srcset="` + strings.Repeat("x 1x,", maxReferences+1) + `">`; string(ListingHTML([]byte(many), l, false)) != many {
		t.Error("too many candidates")
	}
	deep := strings.Repeat("<li><ul>", 100_000) + "<a href=x>" + strings.Repeat("</ul></li>", 100_000)
	if got := ListingHTML([]byte(deep), l, true); strings.Replace(string(got), "?tok=T", "", 1) != deep {
		t.Error("deep")
	}
}
