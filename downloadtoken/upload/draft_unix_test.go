//go:build unix

package upload

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMode: a file gets the permissions that umask leaves, and none to be run.
func TestMode(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	eachKind(t, func(t *testing.T) {
		s := newSite(t, new(Upload))
		s.permits = all
		for range 2 {
			s.do(http.MethodPut, "/f", strings.NewReader("abc"))
			if got, err := os.Stat(filepath.Join(s.root, "f")); err != nil || got.Mode() != want.Mode() {
				t.Errorf("%v, %v", got, err)
			}
		}
	})
}
