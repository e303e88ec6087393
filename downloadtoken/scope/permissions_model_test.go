package scope

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// drawEntry draws an entry, often one about a folder above path.
func drawEntry(t *rapid.T, path string) (modelEntry, string) {
	e := modelEntry{
		path:    drawText(t),
		scope:   rapid.SampledFrom([]string{"This", "Children", "Grandchildren+", "Children", "Grandchildren+", "Descendants", ""}).Draw(t, "scope"),
		slugs:   rapid.SliceOfN(rapid.SampledFrom([]string{"*", "raw", "r*", "raw*", "image", "", "x*"}), 0, 3).Draw(t, "slugs"),
		details: rapid.Bool().Draw(t, "details"),
		list:    rapid.Bool().Draw(t, "list"),
		writes:  make(map[string]bool),
	}
	for _, op := range modelOperations {
		if name := modelWrites[op]; name != "" {
			e.writes[name] = rapid.Bool().Draw(t, name)
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "above") > 0 {
		e.path = path
		for range rapid.IntRange(0, 3).Draw(t, "up") {
			e.path = e.path[:max(strings.LastIndex(e.path, "/"), 0)]
		}
		if e.path == "" {
			e.path = "/"
		}
	}
	// A claim cannot hold other text, nor a path that is longer.
	if e.path = strings.ToValidUTF8(e.path, "u"); len(e.path) > 512 {
		e.path = "/long"
	}
	list, err := json.Marshal(e.slugs)
	if err != nil {
		t.Fatal(err)
	}
	member := func(names ...string) string {
		var members []string
		for _, name := range names {
			members = append(members, fmt.Sprintf("%q:%t", name, e.writes[name]))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	return e, at(e.path, e.scope, fmt.Sprintf(`{"read":{"file":{"downloadFile":%s,"getFileDetails":%t},"folder":{"listFolderChildren":%t}},`+
		`"write":{"file":%s,"folder":%s}}`, list, e.details, e.list, member("createFile", "overwriteFile", "deleteFile"),
		member("createVirtualFolder", "deleteVirtualFolder", "setFolderDescription")))
}

var modelOperations = []Operation{Download, Details, List, CreateFile, OverwriteFile, DeleteFile, RenameFile,
	CreateFolder, DeleteFolder, RenameFolder, Describe, Upload}

func TestPermissionsAgreeWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := strings.ToValidUTF8(drawText(t), "u")
		var entries []modelEntry
		var texts []string
		for range rapid.IntRange(0, 4).Draw(t, "entries") {
			entry, text := drawEntry(t, path)
			entries, texts = append(entries, entry), append(texts, text)
		}
		p, _, err := ParsePermissions([]byte(access(texts...)))
		if err != nil {
			t.Fatalf("%s: %v", access(texts...), err)
		}
		slug := rapid.SampledFrom([]string{"raw", "rawer", "image", "r", ""}).Draw(t, "slug")
		op := rapid.SampledFrom(modelOperations).Draw(t, "operation")
		if (op == List || op == Describe || op == Upload) && !strings.HasSuffix(path, "/") && rapid.IntRange(0, 3).Draw(t, "fits") > 0 {
			path += "/"
		}
		if got, want := p.Admits(path, slug, op), modelPermissions(entries, path, slug, op); got != want {
			t.Fatalf("%s: %q %q %d: %t", access(texts...), path, slug, op, got)
		}
	})
}

func FuzzPermissions(f *testing.F) {
	f.Add([]byte(vendorExample), "/users/user-xyz/a.jpg", "raw", 0)
	f.Add([]byte(access(at("/", "Grandchildren+", everything), at("//", "Children", everything))), "/a.jpg", "raw", 0)
	f.Add([]byte(access(at("/u/", "This", slugs("thumb*")))), "/u", "thumb-s", 1)
	f.Add([]byte(access(at("/", "This", everything))), "/", "raw", 2)
	f.Add([]byte(`{"pathPermissions":[null],"pathPermissions":[]}`), "/", "", 3)
	for _, op := range modelOperations {
		f.Add([]byte(vendorExample), "/users/user-xyz/a", "raw", int(op))
		f.Add([]byte(vendorExample), "/users/user-xyz/", "raw", int(op))
	}
	f.Fuzz(func(t *testing.T, claim []byte, path, slug string, op int) {
		p, unknown, err := ParsePermissions(claim)
		if err != nil {
			if p != nil || unknown != nil || err != ErrPermissions {
				t.Fatalf("%v, %q, %v", p, unknown, err)
			}
			return
		}
		if len(unknown) > maxUnknown || len(strings.Join(unknown, "")) > maxUnknown*maxUnknownLength {
			t.Fatalf("unknown scopes %q", unknown)
		}
		got := p.Admits(path, slug, Operation(op))
		if want := modelPermissions(modelEntries(t, claim), path, slug, Operation(op)); got != want {
			t.Fatalf("%s: %q %q %d: %t", claim, path, slug, op, got)
		}
	})
}

// modelEntries reads the claim without types, by looking for members.
func modelEntries(t failer, claim []byte) (entries []modelEntry) {
	var root any
	if err := json.Unmarshal(claim, &root, jsontext.AllowDuplicateNames(true)); err != nil {
		t.Fatalf("accepted %q: %v", claim, err)
	}
	member := func(v any, names ...string) any {
		for _, name := range names {
			object, _ := v.(map[string]any)
			v = object[name]
		}
		return v
	}
	list, _ := member(root, "pathPermissions").([]any)
	for _, v := range list {
		var e modelEntry
		e.path, _ = member(v, "match", "path").(string)
		e.scope, _ = member(v, "match", "scope").(string)
		e.details, _ = member(v, "permissions", "read", "file", "getFileDetails").(bool)
		e.list, _ = member(v, "permissions", "read", "folder", "listFolderChildren").(bool)
		e.writes = make(map[string]bool)
		for _, name := range modelWrites {
			file, _ := member(v, "permissions", "write", "file", name).(bool)
			folder, _ := member(v, "permissions", "write", "folder", name).(bool)
			e.writes[name] = strings.HasSuffix(name, "File") && file || !strings.HasSuffix(name, "File") && folder
		}
		patterns, _ := member(v, "permissions", "read", "file", "downloadFile").([]any)
		for _, p := range patterns {
			s, _ := p.(string)
			e.slugs = append(e.slugs, s)
		}
		if len([]rune(e.path)) <= 512 {
			entries = append(entries, e)
		}
	}
	return entries
}
