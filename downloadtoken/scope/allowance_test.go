package scope

import (
	"slices"
	"strings"
	"testing"
)

// allowed is the contract: what each word stands for.
var allowed = map[string][]Operation{
	"read":   {Download, Details, List},
	"create": {CreateFile, CreateFolder, Upload},
	"rename": {RenameFile, RenameFolder},
	"modify": {CreateFile, CreateFolder, Upload, RenameFile, RenameFolder, OverwriteFile, DeleteFile, DeleteFolder, Describe},
}

func allowance(t testing.TB, words ...string) Allowance {
	t.Helper()
	a, err := ParseAllowance(words)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAllowances(t *testing.T) {
	for _, words := range []string{"", "read", "create", "rename", "modify", "read create", "create rename", "modify create", "rename rename", "read create modify rename"} {
		list := strings.Fields(words)
		a, writes := allowance(t, list...), false
		if words == "" {
			list = []string{"read"}
		}
		var want []Operation
		for _, word := range list {
			want = append(want, allowed[word]...)
			writes = writes || word != "read"
		}
		for op := Operation(-70); op < 70; op++ {
			if got := a.Allows(op); got != slices.Contains(want, op) {
				t.Errorf("%q: operation %d: %t", words, op, got)
			}
		}
		if a.Writes() != writes {
			t.Errorf("%q writes: %t", words, a.Writes())
		}
	}
	if zero := Allowance(0); zero.Allows(Download) || zero.Allows(CreateFile) || zero.Writes() {
		t.Error("the zero value allows something")
	}
}

func TestParseAllowanceRefuses(t *testing.T) {
	for _, words := range [][]string{{"write"}, {"read", "delete"}, {""}, {"Read"}, {"storage.create:"}, {"read,create"}} {
		a, err := ParseAllowance(words)
		if want := "'" + words[len(words)-1] + "'; write one or more of read, create, modify, rename"; a != 0 || err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %d, %v", words, a, err)
		}
		if IsPermission(words[len(words)-1]) {
			t.Errorf("%q is a permission", words)
		}
	}
}

// TestAllowancePermits: an operation is asked about a path that fits it, and of the
// places that are opened.
func TestAllowancePermits(t *testing.T) {
	everything := allowance(t, "read", "modify")
	in := func(opened ...string) func(string) bool {
		return func(path string) bool { return slices.Contains(opened, path) }
	}
	for _, tt := range []struct {
		name string
		op   Operation
		path string
		open func(string) bool
		want bool
	}{
		{"a file", CreateFile, "/a", in("/a"), true},
		{"another file", CreateFile, "/b", in("/a", "/b/"), false},
		{"a file like a folder", CreateFile, "/a/", in("/a", "/a/"), false},
		{"a folder like a file", Describe, "/a", in("/a", "/a/"), false},
		{"a folder", Describe, "/a/", in("/a/"), true},
		{"the root's properties", Describe, "/", in("/"), true},
		{"a new folder", CreateFolder, "/a", in("/a"), true},
		{"a new folder, of which the inside is open", CreateFolder, "/a", in("/a/"), true},
		{"another new folder", CreateFolder, "/a", in("/b/"), false},
		{"a folder to remove, of which the inside is open", DeleteFolder, "/a", in("/a/"), false},
		{"a folder to rename, of which the inside is open", RenameFolder, "/a", in("/a/"), false},
		{"an upload", Upload, "/a/", in("/a/", "/a/x"), true},
		{"an upload where the folder alone is open", Upload, "/a/", in("/a/"), false},
		{"an upload where one file is open", Upload, "/a/", in("/a/x"), false},
		{"reading", Download, "/a", in("/a"), false},
		{"listing", List, "/a/", in("/a/"), false},
		{"no operation", Operation(7), "/a", in("/a"), false},
		{"no operation that writes", Upload + 1, "/a", in("/a"), false},
	} {
		if got := everything.Permits(tt.op, tt.path, tt.open); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	all := func(string) bool { return true }
	for _, op := range allowed["modify"] {
		for _, path := range []string{"", "a", "//", "/a/../b", "/a//b", `/a\b`, "/a\x00", "/./", "/.."} {
			if everything.Permits(op, path, all) {
				t.Errorf("operation %d on %q", op, path)
			}
		}
		if got := everything.Permits(op, "/", all); got != (op == Describe || op == Upload) {
			t.Errorf("operation %d on the root: %t", op, got)
		}
		for word, ops := range allowed {
			path := "/a"
			if op == Describe || op == Upload {
				path = "/a/"
			}
			if got := allowance(t, word).Permits(op, path, all); got != slices.Contains(ops, op) {
				t.Errorf("%s: operation %d: %t", word, op, got)
			}
		}
	}
}
