package upload

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"unicode"
)

// FuzzCleanName: what a form calls its file becomes one name in the folder, which is not
// hidden, or nothing at all; and cleaning it again changes nothing.
func FuzzCleanName(f *testing.F) {
	for _, name := range []string{"a.txt", "../../a", `C:\a\b.txt`, ".a", "..", "con", "a\x00b", "a/", " a ", "a\u202eb", "\u2066.a", "a~1", "ä", "\xff", "a:b", "a."} {
		f.Add(name)
	}
	root, err := os.OpenRoot(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name, ok := cleanName(given)
		if !ok {
			return
		}
		if len(name) > 255 || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsAny(name, `/\:`) {
			t.Errorf("%q becomes %q", given, name)
		}
		if again, ok := cleanName(name); again != name || !ok {
			t.Errorf("%q becomes %q, and that %q, %v", given, name, again, ok)
		}
		if err := root.Mkdir(name, 0o700); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		folder, err := root.Open(".")
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		if names, err := folder.Readdirnames(-1); err != nil || len(names) != 1 || names[0] != name {
			t.Errorf("%q makes %q, %v", name, names, err)
		}
		if err := root.Remove(name); err != nil {
			t.Error(err)
		}
	})
}

// TestNoRoot: where the site has no folder, the log says so.
func TestNoRoot(t *testing.T) {
	for _, root := range []string{"", "/none/of/these"} {
		s := newSite(t, &Upload{Root: "{http.vars.root}"})
		s.root = root
		if got := s.do(http.MethodPut, "/f", nil); got.StatusCode != 500 || s.logs.FilterMessage("upload refused").Len() != 1 || strings.Contains(got.body, "/none") {
			t.Errorf("%s %s", got.Status, got.body)
		}
	}
}
