package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMaterialOfAFile: what is wrong with a file is said, not that it is empty.
func TestMaterialOfAFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", "topsecret\n", 0o600)
	locked := file("locked", "topsecret\n", 0)
	t.Setenv("EMPTY", "")
	for _, test := range []struct{ name, configured, want, err string }{
		{"good", "{file." + good + "}", "topsecret", ""},
		{"permission", "{file." + locked + "}", "", "the file " + locked + " cannot be read: permission denied; let the user"},
		{"behind a good one", "{file." + good + "}{file." + locked + "}", "", "permission denied"},
		{"missing", "{file." + dir + "/none}", "", "/none cannot be read: no such file or directory; write"},
		{"folder", "{file." + dir + "}", "", "cannot be read: is a directory"},
		{"below a file", "{file." + good + "/x}", "", "cannot be read: not a directory"},
		{"empty", "{file." + file("empty", "", 0o600) + "}", "", "cannot be read: it is empty"},
		{"only a line break", "{file." + file("break", "\n", 0o600) + "}", "", "write {env.NAME} or {file./absolute/path}"},
		{"variable", "{env.EMPTY}", "", "write {env.NAME} or {file./absolute/path}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.Contains(test.configured, locked) && os.Geteuid() == 0 {
				t.Skip("root may read every file")
			}
			got, err := Material(test.configured)
			if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q, %v; want %q, %q", got, err, test.want, test.err)
			}
			if err != nil && strings.Contains(err.Error(), "topsecret") {
				t.Error("the error has the key")
			}
		})
	}
}
