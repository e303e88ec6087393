package carry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
)

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
