package downloadtoken

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

// operations are the names of what can be demanded.
var operations = map[scope.Operation]string{
	scope.Download: "Download", scope.Details: "Details", scope.List: "List",
	scope.CreateFile: "CreateFile", scope.OverwriteFile: "OverwriteFile", scope.DeleteFile: "DeleteFile", scope.RenameFile: "RenameFile",
	scope.CreateFolder: "CreateFolder", scope.DeleteFolder: "DeleteFolder", scope.RenameFolder: "RenameFolder",
	scope.Describe: "Describe", scope.Upload: "Upload",
}

// inWords is a line for each demand.
func (p plan) inWords() (lines []string) {
	for _, d := range p.demands {
		var names []string
		for _, op := range d.anyOf {
			names = append(names, operations[op])
		}
		one := strings.Join(names, "|")
		switch {
		case slices.Equal(d.anyOf, anything):
			one = "anything"
		case slices.Equal(d.anyOf, allWrites):
			one = "any write"
		case slices.Equal(d.anyOf, changes):
			one = "any change"
		}
		lines = append(lines, one+" "+strings.ReplaceAll(d.path, madeUp, "?"))
	}
	slices.Sort(lines)
	return lines
}

// TestDemands is the table of what each method needs: /file and /dir are there, /dir has
// /dir/a, and /dir/sub with /dir/sub/b; of /none nothing is there. ? is whatever name.
func TestDemands(t *testing.T) {
	site := &files{root: ".", system: fstest.MapFS{"file": {}, "dir/a": {}, "dir/sub/b": {}, "other": {}}}
	for _, tt := range []struct {
		method, path, field string // Depth, or Destination
		want                string // lines, sorted
		holds               string // what has to hold of it then
	}{
		{"OPTIONS", "/file", "", "anything /file", ""},

		{"PUT", "/none", "", "CreateFile /none", "creates"},
		{"PUT", "/none/", "", "CreateFile /none/", "creates"},
		{"PUT", "/none/none", "", "CreateFile /none/none", "creates"},
		{"PUT", "/file", "", "OverwriteFile /file", ""},
		{"PUT", "/dir", "", "OverwriteFile /dir", ""},
		{"PATCH", "/none", "", "CreateFile /none", "creates"},
		{"PATCH", "/file", "", "OverwriteFile /file", ""},
		{"POST", "/none", "", "CreateFile /none", "creates"},
		{"POST", "/file", "", "OverwriteFile /file", ""},
		{"POST", "/dir/", "", "Upload /dir/", ""},
		{"POST", "/none/", "", "Upload /none/", ""},

		{"DELETE", "/file", "", "DeleteFile /file", ""},
		{"DELETE", "/none", "", "DeleteFile|DeleteFolder /none", ""},
		{"DELETE", "/dir/", "", "DeleteFile /dir/a, DeleteFile /dir/sub/b, DeleteFolder /dir, DeleteFolder /dir/sub", ""},
		{"DELETE", "/", "", "DeleteFile /dir/a, DeleteFile /dir/sub/b, DeleteFile /file, DeleteFile /other, DeleteFolder /, DeleteFolder /dir, DeleteFolder /dir/sub", ""},

		{"MKCOL", "/none/", "", "CreateFolder /none/", ""},
		{"MKCOL", "/dir", "", "CreateFolder /dir", ""},

		{"PROPFIND", "/file", "0", "Details /file", ""},
		{"PROPFIND", "/file", "1", "Details /file", ""},
		{"PROPFIND", "/file", "", "Details /file", ""},
		{"PROPFIND", "/none", "1", "Details|List /none", ""},
		{"PROPFIND", "/dir", "0", "Details|List /dir", ""},
		{"PROPFIND", "/dir/", "1", "List /dir/", ""},
		{"PROPFIND", "/dir", "infinity", "List /dir, List /dir/sub", ""},
		{"PROPFIND", "/dir", "", "List /dir, List /dir/sub", ""},
		{"PROPFIND", "/dir", "2", "bad", ""},
		{"PROPFIND", "/dir", "Infinity", "bad", ""},
		{"PROPFIND", "/dir", "1,noroot", "bad", ""},
		{"PROPPATCH", "/file", "", "OverwriteFile /file", ""},
		{"PROPPATCH", "/dir/", "", "Describe /dir/", ""},
		{"PROPPATCH", "/none", "", "OverwriteFile|Describe /none", ""},

		{"LOCK", "/none", "", "CreateFile /none", ""},
		{"LOCK", "/file", "", "any change /file", ""},
		{"LOCK", "/dir", "", "any change /dir", ""},
		{"UNLOCK", "/file", "", "any write /file", ""},
		{"UNLOCK", "/none", "", "any write /none", ""},

		{"COPY", "/file", "/none", "CreateFile /none, Download /file", "fresh"},
		{"COPY", "/file", "/other", "Download /file, OverwriteFile /other", ""},
		{"COPY", "/file", "/dir/", "CreateFile /dir, DeleteFile /dir/a, DeleteFile /dir/sub/b, DeleteFolder /dir, DeleteFolder /dir/sub, Download /file", ""},
		{"COPY", "/dir", "/none/", "CreateFile /none/a, CreateFile /none/sub/b, CreateFolder /none, CreateFolder /none/sub, " +
			"Download /dir/a, Download /dir/sub/b, List /dir, List /dir/sub", "fresh"},
		{"COPY", "/dir/sub/", "/file", "CreateFile /file/b, CreateFolder /file, Download /dir/sub/b, List /dir/sub, OverwriteFile /file", ""},
		{"COPY", "/none", "/none2", "CreateFile|CreateFolder /none2, Download|List /none", "fresh"},
		{"MOVE", "/file", "/none", "CreateFile /none, RenameFile /file", "fresh"},
		{"MOVE", "/file", "/FILE", "CreateFile /FILE, RenameFile /file", "fresh"},
		{"MOVE", "/file", "/other", "OverwriteFile /other, RenameFile /file", ""},
		{"MOVE", "/dir/sub", "/none", "CreateFile /none/b, CreateFolder /none, RenameFile /dir/sub/b, RenameFolder /dir/sub", "fresh"},
		{"COPY", "/dir", "/dir", "bad", ""},
		{"COPY", "/dir/", "/dir", "bad", ""},
		{"COPY", "/dir", "/dir/none", "bad", ""},
		{"COPY", "/dir", "/DIR/none", "bad", ""},
		{"COPY", "/dir/sub", "/dir", "bad", ""},
		{"MOVE", "/file", "/", "bad", ""},
		{"MOVE", "/", "/none", "bad", ""},

		{"BREW", "/file", "", "method", ""},
	} {
		e := errand{method: tt.method, path: tt.path}
		if strings.HasPrefix(tt.field, "/") {
			e.destination = tt.field
		} else {
			e.depth = tt.field
		}
		p, err := e.planFor(site)
		if more := e.moreThan(p); err == nil && len(more) > 0 {
			t.Errorf("%s %s %s: asked first, and not needed: %v", tt.method, tt.path, tt.field, more)
		}
		got := strings.Join(p.inWords(), ", ")
		switch {
		case errors.Is(err, errRequest):
			got = "bad"
		case errors.Is(err, errMethod):
			got = "method"
		case err != nil:
			got = err.Error()
		}
		if got != tt.want || p.creates != (tt.holds == "creates") || p.fresh != (tt.holds == "fresh") {
			t.Errorf("%s %s %s: %s; creates %t, fresh %t; want %s", tt.method, tt.path, tt.field, got, p.creates, p.fresh, tt.want)
		}
	}
}

// moreThan are the demands of least that are made besides those of a plan; there must be none.
func (e errand) moreThan(p plan) (all []demand) {
	for _, l := range e.least() {
		if !slices.ContainsFunc(p.demands, func(d demand) bool {
			return clean(d.path) == clean(l.path) && !slices.ContainsFunc(d.anyOf, func(op scope.Operation) bool { return !slices.Contains(l.anyOf, op) })
		}) {
			all = append(all, l)
		}
	}
	return all
}

// TestDemandsOfTheUnknown: where it is not known what is there, a request needs all that
// it could need, below it as well.
func TestDemandsOfTheUnknown(t *testing.T) {
	const tree = "DeleteFile /x, DeleteFile /x/?, DeleteFile /x/?/?, DeleteFolder /x, DeleteFolder /x/?, DeleteFolder /x/?/?"
	broken := brokenFS{fstest.MapFS{"dir/a": {}}}
	for name, site := range map[string]*files{
		"no file system":          {root: "."},
		"no root":                 {root: "gone", system: fstest.MapFS{"file": {}}},
		"a root that is a file":   {root: "file", system: fstest.MapFS{"file": {}}},
		"a file system that ails": {root: ".", system: broken},
		"another prefix":          {root: ".", prefix: "/dav", system: fstest.MapFS{"x": {}}},
		"a prefix cut in two":     {root: ".", prefix: "/da", system: fstest.MapFS{"x": {}, "v/x": {}}},
	} {
		for _, tt := range []struct{ method, field, want string }{
			{"PUT", "", "CreateFile /x, OverwriteFile /x"},
			{"DELETE", "", tree},
			{"PROPFIND", "0", "Details /x"},
			{"PROPFIND", "1", "Details /x, List /x"},
			{"PROPFIND", "", "Details /x, Details /x/?, Details /x/?/?, List /x, List /x/?, List /x/?/?"},
			{"PROPPATCH", "", "Describe /x, OverwriteFile /x"},
			{"LOCK", "", "CreateFile /x, any change /x"},
			{"COPY", "/y", "CreateFile /y, CreateFile /y/?, CreateFile /y/?/?, CreateFolder /y, CreateFolder /y/?, CreateFolder /y/?/?, " +
				strings.ReplaceAll(tree, "/x", "/y") +
				", Download /x, Download /x/?, Download /x/?/?, List /x, List /x/?, List /x/?/?, OverwriteFile /y"},
		} {
			e := errand{method: tt.method, path: "/x", depth: tt.field}
			if tt.method == "COPY" {
				e.depth, e.destination = "", tt.field
			}
			p, err := e.planFor(site)
			if more := e.moreThan(p); len(more) > 0 {
				t.Errorf("%s, %s: asked first, and not needed: %v", name, tt.method, more)
			}
			if got := strings.Join(p.inWords(), ", "); err != nil || got != tt.want || p.creates || p.fresh {
				t.Errorf("%s, %s: %v, %s", name, tt.method, err, got)
			}
		}
	}
	if _, err := (&files{root: ".", system: broken}).tree("/dir"); !errors.Is(err, errScope) {
		t.Error("a folder that cannot be read:", err)
	}
}

// brokenFS finds nothing out.
type brokenFS struct{ fstest.MapFS }

func (b brokenFS) Stat(name string) (fs.FileInfo, error) {
	if name == "dir" || name == "." {
		return b.MapFS.Stat(name)
	}
	return nil, fs.ErrPermission
}

func (brokenFS) Open(string) (fs.File, error) { return nil, fs.ErrPermission }

// endlessFS has folders of which the content never ends.
type endlessFS struct{ of fstest.MapFS }

func (e endlessFS) Open(name string) (fs.File, error) {
	f, err := e.of.Open(name)
	return endless{f}, err
}

type endless struct{ fs.File }

func (e endless) ReadDir(most int) ([]fs.DirEntry, error) {
	info, err := e.Stat()
	if most < 1 {
		return nil, fs.ErrInvalid
	}
	return []fs.DirEntry{fs.FileInfoToDirEntry(info)}, err // one at a time
}

// TestTree: what a link leads to is asked about as well, and a folder that is too large
// is refused.
func TestTree(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a/b/c", "elsewhere/d"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		if err := os.Symlink(filepath.Join(root, to), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("elsewhere", "a/link")
	link("nowhere", "a/dangling")
	h, _ := staged(t, &Handler{Methods: &Methods{Method: []string{webdav}, Root: root}, scopes: []scopes.Scope{granting(anything)}})
	site := visiting(h, nil, get("/")).files()
	all, err := site.tree("/a")
	var got []string
	for _, one := range all {
		got = append(got, fmt.Sprint(one.path, " ", one.kind == aFolder))
	}
	slices.Sort(got)
	if want := []string{"/a true", "/a/b true", "/a/b/c true", "/a/dangling false", "/a/link true", "/a/link/d true"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	link("a", "a/b/circle")
	all, err = site.tree("/a") // until the system has had enough
	if err != nil || !slices.Contains(all, entry{"/a/b/circle/b/circle/link", aFolder}) ||
		!slices.ContainsFunc(all, func(e entry) bool { return e.kind == unknown }) {
		t.Errorf("a circle: %d, %v", len(all), err)
	}
	many := fstest.MapFS{}
	for i := range maxTree - 1 {
		many[fmt.Sprint("many/", i)] = new(fstest.MapFile)
	}
	site = &files{root: ".", system: many}
	if all, err := site.tree("/many"); err != nil || len(all) != maxTree {
		t.Errorf("%d, %v", len(all), err)
	}
	many["many/more"] = new(fstest.MapFile)
	if _, err := site.tree("/many"); !errors.Is(err, errScope) || !strings.Contains(err.Error(), "more than 10000") {
		t.Errorf("one more: %v", err)
	}
	if _, err := (&files{root: ".", system: endlessFS{fstest.MapFS{"many/a": {}}}}).tree("/many"); !errors.Is(err, errScope) || !strings.Contains(err.Error(), "more than 10000") {
		t.Errorf("without an end: %v", err)
	}
}
