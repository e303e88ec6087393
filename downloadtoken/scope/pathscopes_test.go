package scope

import (
	"testing"

	"pgregory.net/rapid"
)

// wlcg is a claim as version 1.3 of the WLCG Common JWT Profile has it.
func wlcg(t testing.TB) (s PathScopes) {
	t.Helper()
	for _, one := range []struct {
		prefix string
		words  []string
	}{{"storage.read:", nil}, {"storage.create:", []string{"create", "rename"}}, {"storage.modify:", []string{"modify"}}} {
		if err := s.Add(PathScope{Prefix: one.prefix, Escaped: true}, allowance(t, one.words...)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestWLCG has the rules of the profile for storage.create and storage.modify, and its
// examples.
func TestWLCG(t *testing.T) {
	s := wlcg(t)
	for _, tt := range []struct {
		name, claim, path string
		op                Operation
		want              bool
	}{
		{"create: the leading directory", "storage.create:/foo/bar", "/foo", CreateFolder, true},
		{"create: the directory", "storage.create:/foo/bar", "/foo/bar", CreateFolder, true},
		{"create: the file", "storage.create:/foo/bar", "/foo/bar", CreateFile, true},
		{"create: a file below", "storage.create:/foo/bar", "/foo/bar/qux", CreateFile, true},
		{"create: a directory below", "storage.create:/foo/bar", "/foo/bar/qux", CreateFolder, true},
		{"create: a file in the place of the leading directory", "storage.create:/foo/bar", "/foo", CreateFile, false},
		{"create: a file beside", "storage.create:/foo/bar", "/foo/bargain", CreateFile, false},
		{"create: a directory beside", "storage.create:/foo/bar", "/foo/bargain", CreateFolder, false},
		{"create: a directory that begins alike", "storage.create:/foo/bar", "/fo", CreateFolder, false},
		{"create: the file of a directory", "storage.create:/foo/bar/", "/foo/bar", CreateFile, false},
		{"create: the directory itself", "storage.create:/foo/bar/", "/foo/bar", CreateFolder, true},
		{"create: in the directory", "storage.create:/foo/bar/", "/foo/bar/qux", CreateFile, true},
		{"create: all leading directories", "storage.create:/a/b/c/d", "/a", CreateFolder, true},
		{"create: escaped", "storage.create:/a%20b/c", "/a b", CreateFolder, true},
		{"create: the root is there", "storage.create:/foo", "/", CreateFolder, false},
		{"create: the root without its slash", "storage.create:/foo", "", CreateFolder, false},
		{"create: on the way to what opens nothing", "storage.create:/foo/../bar/x", "/foo", CreateFolder, false},
		{"create: on the way to a relative path", "storage.create:foo/bar", "foo", CreateFolder, false},
		{"create: on the way to an encoded slash", "storage.create:/foo/b%2Far", "/foo", CreateFolder, false},
		{"create: everywhere", "storage.create:/", "/x/y", CreateFile, true},
		{"create: an upload", "storage.create:/foo/bar/", "/foo/bar/", Upload, true},
		{"create: an upload beside", "storage.create:/foo/bar/", "/foo/", Upload, false},
		{"create does not overwrite", "storage.create:/foo", "/foo/a", OverwriteFile, false},
		{"create does not delete", "storage.create:/foo", "/foo/a", DeleteFile, false},
		{"create does not delete folders", "storage.create:/foo", "/foo/a", DeleteFolder, false},
		{"create does not describe", "storage.create:/foo", "/foo/", Describe, false},
		{"create renames", "storage.create:/foo", "/foo/a", RenameFile, true},
		{"create does not rename elsewhere", "storage.create:/foo", "/bar/a", RenameFile, false},
		{"create does not read", "storage.create:/foo", "/foo/a", Download, false},
		{"create does not list", "storage.create:/foo", "/foo/", List, false},

		{"modify creates", "storage.modify:/foo", "/foo/a", CreateFile, true},
		{"modify creates the leading directory", "storage.modify:/foo/bar", "/foo", CreateFolder, true},
		{"modify does not delete the leading directory", "storage.modify:/foo/bar", "/foo", DeleteFolder, false},
		{"modify overwrites", "storage.modify:/foo", "/foo/a", OverwriteFile, true},
		{"modify deletes", "storage.modify:/foo", "/foo/a", DeleteFile, true},
		{"modify deletes the folder", "storage.modify:/foo", "/foo", DeleteFolder, true},
		{"modify does not delete the folder of what is below", "storage.modify:/foo/", "/foo", DeleteFolder, false},
		{"modify renames", "storage.modify:/foo", "/foo/a", RenameFile, true},
		{"modify describes", "storage.modify:/foo", "/foo/", Describe, true},
		{"modify does not read", "storage.modify:/foo", "/foo/a", Download, false},

		{"read reads", "storage.read:/foo", "/foo/a", Download, true},
		{"read lists", "storage.read:/foo", "/foo/", List, true},
		{"read does not create", "storage.read:/foo", "/foo/a", CreateFile, false},
		{"read does not create the leading directory", "storage.read:/foo/bar", "/foo", CreateFolder, false},
		{"stage is not read, since version 1.2", "storage.stage:/foo", "/foo/a", Download, false},
		{"poll is nothing", "storage.poll:/foo", "/foo/a", Details, false},
		{"without a path", "storage.modify: storage.create storage.modify", "/foo", CreateFile, false},

		{"one of several", "openid storage.read:/ storage.create:/in", "/in/a", CreateFile, true},
		{"the path of another", "storage.read:/ storage.create:/in", "/out/a", CreateFile, false},
		{"a path like a prefix", "storage.create:/storage.modify:/foo", "/foo", DeleteFile, false},
	} {
		if got := s.Admits([]string{tt.claim}, tt.path, tt.op); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	if !s.Writes() || s[:1].Writes() {
		t.Error("what writes is the prefix with create")
	}
}

// TestWLCGSupersets: storage.modify permits whatever storage.create does, and a prefix
// for reading opens what it opens without the others.
func TestWLCGSupersets(t *testing.T) {
	s := wlcg(t)
	rapid.Check(t, func(t *rapid.T) {
		entry, path := drawPair(t)
		if op := rapid.SampledFrom(modelOperations).Draw(t, "operation"); s.Admits([]string{"storage.create:" + entry}, path, op) {
			if !s.Admits([]string{"storage.modify:" + entry}, path, op) {
				t.Fatalf("%q: %q: operation %d", entry, path, op)
			}
			if op == OverwriteFile || op == DeleteFile || op == DeleteFolder || op == Describe || !op.Writes() {
				t.Fatalf("%q: %q: operation %d by storage.create", entry, path, op)
			}
		}
		value := "storage.read:" + entry
		if got, want := s.Admits([]string{value}, path, Download), s[0].PathScope.Admits([]string{value}, path); got != want {
			t.Fatalf("%q: %q is opened: %t, want %t", entry, path, got, want)
		}
	})
}

func TestPathScopesBase(t *testing.T) {
	s := wlcg(t)
	if err := s.Add(PathScope{Prefix: "storage.stage:", Escaped: true}, allowance(t, "read", "create")); err != nil {
		t.Fatal(err)
	}
	for claim, want := range map[string]string{
		"storage.read:/a/b storage.modify:/c":       "/a/b",
		"storage.read:/a/b storage.stage:/a/c":      "/a",
		"storage.stage:/a%20b/c/":                   "/a b/c",
		"storage.create:/a storage.stage:/b/../c/d": "",
	} {
		if got := s.Base([]string{claim}); got != want {
			t.Errorf("%s: %q, want %q", claim, got, want)
		}
	}
}

func TestPathScopesAreTold(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		ok            bool
	}{
		{"a:", "b:", true}, {"a:", "a:b:", true}, {"a", "a:", true}, {"https://x/read:", "https://x/create:", true},
		{"a:", "a:/b:", false}, {"a:/b:", "a:", false}, {"https:", "https://x/create:", false}, {"", "/b:", false},
	} {
		var s PathScopes
		if err := s.Add(PathScope{Prefix: tt.first}, allowance(t)); err != nil {
			t.Fatal(err)
		}
		if err := s.Add(PathScope{Prefix: tt.second}, allowance(t)); (err == nil) != tt.ok || len(s) != 1 && !tt.ok {
			t.Errorf("%s, %s: %v", tt.first, tt.second, err)
		}
	}
}
