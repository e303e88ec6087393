package upload

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestNamelessIsUsed: the file system of these tests has files without a name, or the other tests would
// show nothing about them.
func TestNamelessIsUsed(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	d, err := newDraft(root, ".")
	if err != nil {
		t.Fatal(err)
	}
	defer d.discard()
	if d.name != "" {
		missing(t, "a file system of the temporary folder that has files without a name")
	}
}

// TestDiskFull on a file system of a megabyte.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		missing(t, "the rights of root, who can mount a small file system")
	}
	eachKind(t, func(t *testing.T) {
		for name, options := range map[string]string{"of bytes": "size=1m", "of files": "size=9m,nr_inodes=3", "of folders": "size=9m,nr_inodes=5"} {
			t.Run(name, func(t *testing.T) {
				root := t.TempDir()
				if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", root).CombinedOutput(); err != nil {
					missing(t, "a file system that can be mounted: "+string(out))
				}
				defer func() {
					if out, err := exec.Command("umount", root).CombinedOutput(); err != nil {
						t.Errorf("%s", out)
					}
				}()
				s := newSite(t, &Upload{Root: root, Mkdir: true})
				s.permits = all
				s.put("old", "old")
				large, files, paths := strings.Repeat("x", 2<<20), 1, []string{"/new", "/old"}
				switch name {
				case "of files":
					s.put("filler", "")
					large, files, paths = "small", 2, []string{"/new"}
				case "of folders": // there is room for the draft, and for one of the two
					s.put("filler", "")
					large, files, paths = "small", 2, []string{"/one/two/new"}
				}
				for _, path := range paths {
					if got := s.do(http.MethodPut, path, strings.NewReader(large)); got.StatusCode != 507 || !strings.Contains(got.body, `"full"`) {
						t.Errorf("%s: %s %s", path, got.Status, got.body)
					}
					if got := s.post(path, "n", large); got.StatusCode != 507 {
						t.Errorf("%s, a form: %s", path, got.Status)
					}
				}
				if left := s.files(); len(left) != files || left["old"] != "old" {
					t.Errorf("left: %d files and folders", len(left))
				}
				if name == "of bytes" { // there is room again
					if got := s.do(http.MethodPut, "/new", strings.NewReader(large[:900<<10])); got.StatusCode != 201 {
						t.Errorf("afterwards: %s", got.Status)
					}
				}
			})
		}
	})
}
