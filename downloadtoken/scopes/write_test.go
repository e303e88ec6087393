package scopes_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

// operations are all that there are.
var operations = map[scope.Operation]string{
	scope.Download: "download", scope.Details: "details", scope.List: "list",
	scope.CreateFile: "create file", scope.OverwriteFile: "overwrite file", scope.DeleteFile: "delete file", scope.RenameFile: "rename file",
	scope.CreateFolder: "create folder", scope.DeleteFolder: "delete folder", scope.RenameFolder: "rename folder",
	scope.Describe: "describe", scope.Upload: "upload",
}

// permissions are what each word of allow stands for.
var permissions = map[string][]scope.Operation{
	"read":   {scope.Download, scope.Details, scope.List},
	"create": {scope.CreateFile, scope.CreateFolder, scope.Upload},
	"rename": {scope.RenameFile, scope.RenameFolder},
	"modify": {scope.CreateFile, scope.CreateFolder, scope.Upload, scope.RenameFile, scope.RenameFolder, scope.OverwriteFile,
		scope.DeleteFile, scope.DeleteFolder, scope.Describe},
}

// allowLines are no word, each, and each with each.
func allowLines() [][]string {
	lines := [][]string{nil}
	for first := range permissions {
		lines = append(lines, []string{first})
		for second := range permissions {
			lines = append(lines, []string{first, second})
		}
	}
	return lines
}

// in spells a path as an operation has it.
func in(path string, op scope.Operation) string {
	if op == scope.List || op == scope.Describe || op == scope.Upload {
		return path + "/"
	}
	return path
}

// TestAllow: every permission, alone and with another, for every operation and kind, on a
// path that the token names and on one that it does not.
func TestAllow(t *testing.T) {
	for _, kind := range []struct {
		name, config string
		claims       claims
		path, other  string // other: not of this token
	}{
		{"any", ``, claims{}, "/d/5/a", ""},
		{"template", `, "scope": "dataset:{id}", "path": "/d/{id}/*"`, claims{"scope": "dataset:5"}, "/d/5/a", "/d/6/a"},
		{"template", `, "scope": "dataset:{id}", "path": "/d/{id}/*", "list": true`, claims{"scope": "openid dataset:5"}, "/d/5/a", "/d/55/a"},
		{"claims", `, "path": "/users/{sub}/*"`, claims{"sub": "ada"}, "/users/ada/a", "/users/bob/a"},
		{"path", ``, claims{"scope": "download:/d/5/"}, "/d/5/a", "/d/6/a"},
		{"path", `, "claim": "paths"`, claims{"paths": "/d/5"}, "/d/5/a", "/d/55/a"},
	} {
		for _, words := range allowLines() {
			allow, err := json.Marshal(words)
			if err != nil {
				t.Fatal(err)
			}
			config := fmt.Sprintf(`{"allow": %s%s}`, allow, kind.config)
			var wanted []scope.Operation
			for _, word := range words {
				wanted = append(wanted, permissions[word]...)
			}
			if len(words) == 0 {
				wanted = permissions["read"]
			}
			s, err := load(t, kind.name, config)
			if err != nil {
				t.Fatalf("%s %s: %v", kind.name, config, err)
			}
			w := s.(scopes.Writer)
			if want := slices.ContainsFunc(words, func(word string) bool { return word != "read" }); w.Writes() != want {
				t.Errorf("%s %s writes: %t", kind.name, config, w.Writes())
			}
			genuine := verified(t, maps.Clone(kind.claims))
			for op, name := range operations {
				q := scopes.Query{Token: genuine, Path: in(kind.path, op), Operation: op, Request: httptest.NewRequest(http.MethodGet, "/", nil)}
				want := slices.Contains(wanted, op)
				if got := w.Permits(q); got != (want && op.Writes()) {
					t.Errorf("%s %s: %s permitted: %t", kind.name, config, name, got)
				}
				if got := s.Opens(q) == scopes.Open; !op.Writes() && got != want {
					t.Errorf("%s %s: %s opened: %t", kind.name, config, name, got)
				}
				if q.Path = in(kind.other, op); kind.other != "" && (w.Permits(q) || s.Opens(q) != scopes.Closed) {
					t.Errorf("%s %s: %s of another's path", kind.name, config, name)
				}
			}
		}
	}
}

// TestPermits: what the kinds make of a path that is written to.
func TestPermits(t *testing.T) {
	const dataset = `{"scope": "dataset:{id}", "path": "/d/{id}/*", "allow": ["modify"]}`
	const storage = `{"claim": "scope", "prefix": "storage.read:", "prefixes": {"storage.create:": ["create", "rename"], "storage.modify:": ["modify"]}}`
	for _, tt := range []struct {
		name, kind, config string
		claims             claims
		op                 scope.Operation
		path               string
		want               bool
	}{
		{"the folder that is open", "template", dataset, claims{"scope": "dataset:5"}, scope.CreateFolder, "/d/5", true},
		{"the folder that is open stays", "template", dataset, claims{"scope": "dataset:5"}, scope.DeleteFolder, "/d/5", false},
		{"an upload into it", "template", dataset, claims{"scope": "dataset:5"}, scope.Upload, "/d/5/", true},
		{"the folder above", "template", dataset, claims{"scope": "dataset:5"}, scope.CreateFolder, "/d", false},
		{"one file", "template", `{"scope": "file:{f}", "path": "/in/{f}", "allow": ["create"]}`, claims{"scope": "file:a"}, scope.CreateFile, "/in/a", true},
		{"one file is no folder", "template", `{"scope": "file:{f}", "path": "/in/{f}", "allow": ["create"]}`, claims{"scope": "file:x"}, scope.Upload, "/in/", false},
		{"one listing is no folder", "template", `{"scope": "in", "path": "/in/", "allow": ["create"]}`, claims{"scope": "in"}, scope.Upload, "/in/", false},
		{"a folder of one's own", "claims", `{"path": "/users/{sub}/*", "allow": ["create"]}`, claims{"sub": "ada"}, scope.CreateFolder, "/users/ada", true},
		{"a folder of another", "claims", `{"path": "/users/{sub}/*", "allow": ["create"]}`, claims{"sub": "ada"}, scope.CreateFolder, "/users/bob", false},
		{"a prefix", "path", storage, claims{"scope": "storage.create:/in"}, scope.CreateFile, "/in/a", true},
		{"a prefix of less", "path", storage, claims{"scope": "storage.create:/in"}, scope.DeleteFile, "/in/a", false},
		{"a prefix of more", "path", storage, claims{"scope": "storage.read:/ storage.modify:/in"}, scope.DeleteFile, "/in/a", true},
		{"the prefix of the line reads", "path", storage, claims{"scope": "storage.read:/in"}, scope.CreateFile, "/in/a", false},
		{"the way to a path", "path", storage, claims{"scope": "storage.create:/in/2026/a"}, scope.CreateFolder, "/in", true},
		{"the default prefix", "path", `{"prefixes": {"download:": ["create"]}}`, claims{"scope": "download:/in"}, scope.CreateFile, "/in/a", true},
		{"the prefix of the line, twice", "path", `{"allow": ["rename"], "prefixes": {"download:": ["create"]}}`, claims{"scope": "download:/in"}, scope.RenameFile, "/in/a", true},
		{"the prefix of the line, without a colon", "path", `{"claim": "scope", "prefix": "in=", "prefixes": {"in=": ["create"]}}`, claims{"scope": "in=/in"}, scope.CreateFile, "/in/a", true},
		{"the root", "any", `{"allow": ["modify"]}`, claims{}, scope.DeleteFolder, "/", false},
		{"no path", "any", `{"allow": ["modify"]}`, claims{}, scope.DeleteFolder, "", false},
	} {
		s, err := load(t, tt.kind, tt.config)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.(scopes.Writer).Permits(scopes.Query{Token: verified(t, tt.claims), Path: tt.path, Operation: tt.op}); got != tt.want {
			t.Errorf("%s, %s: %t", tt.kind, tt.name, got)
		}
	}
}

// TestReadPrefixes: by which prefixes a path is read, where what is open is, and what
// mint is told.
func TestReadPrefixes(t *testing.T) {
	const stage = `{"claim": "scope", "prefix": "a.read:", "prefixes": {"a.stage:": ["read"], "a.modify:": ["modify"]}}`
	const line = `{"claim": "scope", "prefix": "a.modify:", "allow": ["modify"], "prefixes": {"a.read:": ["read"], "a.stage:": ["read"]}}`
	for _, tt := range []struct {
		config, scope, path string
		opens               bool
		base, named         string
	}{
		{stage, "a.read:/x/y", "/x/y/z", true, "/x/y", "a.read:/x/y/z"},
		{stage, "a.stage:/x/y a.modify:/q", "/x/y/z", true, "/x/y", "a.read:/x/y/z"},
		{stage, "a.modify:/x/y", "/x/y/z", false, "", "a.read:/x/y/z"},
		{line, "a.modify:/x a.read:/x/y", "/x/y/z", true, "/x/y", "a.read:/x/y/z"},
		{line, "a.modify:/x a.read:/y", "/x/y/z", false, "", "a.read:/x/y/z"},
		{`{"allow": ["create"]}`, "download:/x", "/x/y", false, "", ""},
		{`{"allow": ["create", "read"]}`, "download:/x", "/x/y", true, "/x", "download:/x/y"},
	} {
		s, err := load(t, "path", tt.config)
		if err != nil {
			t.Fatal(err)
		}
		q := scopes.Query{Token: verified(t, claims{"scope": tt.scope}), Path: tt.path}
		if got := s.Opens(q) == scopes.Open; got != tt.opens {
			t.Errorf("%s %s: opens %t", tt.config, tt.scope, got)
		}
		if got := s.(scopes.Based).Base(q); tt.opens && got != tt.base {
			t.Errorf("%s %s: base %q", tt.config, tt.scope, got)
		}
		named, ok := s.(scopes.Namer).Name(tt.path, scope.Download)
		if got, _ := named["scope"].(string); got != tt.named || ok != (tt.named != "") {
			t.Errorf("%s: named %q, %t", tt.config, got, ok)
		}
	}
	for kind, config := range map[string]string{
		"any": `{"allow": ["modify"]}`, "template": `{"scope": "f:{f}", "path": "/{f}", "allow": ["create"]}`, "claims": `{"path": "/{sub}", "allow": ["rename"]}`,
	} {
		s, err := load(t, kind, config)
		if err != nil {
			t.Fatal(err)
		}
		if named, ok := s.(scopes.Namer).Name("/a", scope.Download); ok {
			t.Errorf("%s: %v would not read", kind, named)
		}
	}
}

// TestNameWrites: what a scope says that sending a file needs permits it.
func TestNameWrites(t *testing.T) {
	for _, tt := range []struct {
		kind, config, path string
		op                 scope.Operation
		named              bool
	}{
		{"any", `{"allow": ["create"]}`, "/a/", scope.Upload, true},
		{"any", `{}`, "/a", scope.CreateFile, false},
		{"path", `{"allow": ["create"]}`, "/a b/", scope.Upload, true},
		{"path", `{"prefixes": {"a.create:": ["create"]}, "claim": "scope", "prefix": "a.read:"}`, "/a b/ü", scope.CreateFile, true},
		{"path", `{"allow": ["rename"]}`, "/a", scope.CreateFile, false},
		{"template", `{"scope": "inbox:{name}", "path": "/{name}/*", "allow": ["create"]}`, "/ada/", scope.Upload, true},
		{"template", `{"scope": "inbox:{name}", "path": "/{name}/*", "allow": ["create"]}`, "/ada/a.txt", scope.CreateFile, true},
		{"template", `{"scope": "file:{a}:{b}", "path": "/{a}/{b}", "allow": ["create"]}`, "/ada/", scope.Upload, false},
		{"template", `{"scope": "inbox:{name}", "path": "/{name}/*"}`, "/ada/", scope.Upload, false},
		{"claims", `{"path": "/users/{sub}/*", "allow": ["create"]}`, "/users/ada/", scope.Upload, true},
		{"claims", `{"path": "/users/{sub}", "allow": ["create"]}`, "/users/", scope.Upload, false},
		{"claims", `{"path": "/users/{sub}/*"}`, "/users/ada/a", scope.CreateFile, false},
		{"path_permissions", `{}`, "/u/", scope.Upload, true},
		{"path_permissions", `{"account": "W1"}`, "/", scope.Upload, true},
		{"path_permissions", `{}`, "/u/a.jpg", scope.CreateFile, true},
	} {
		s, err := load(t, tt.kind, tt.config)
		if err != nil {
			t.Fatal(err)
		}
		named, ok := s.(scopes.Namer).Name(tt.path, tt.op)
		if ok != tt.named {
			t.Errorf("%s %s %s: %v %v", tt.kind, tt.config, tt.path, named, ok)
		}
		said := claims{}
		maps.Copy(said, named)
		q := scopes.Query{Token: verified(t, said), Path: tt.path, Operation: tt.op, Request: httptest.NewRequest(http.MethodPut, "/", nil)}
		if ok && !s.(scopes.Writer).Permits(q) {
			t.Errorf("%s %s: %v does not permit %s", tt.kind, tt.config, named, tt.path)
		}
		q.Operation = scope.Download
		if ok && s.Opens(q) != scopes.Closed {
			t.Errorf("%s %s: %v reads %s", tt.kind, tt.config, named, tt.path)
		}
	}
}

// TestPathPermissionsWrite: the permissions of the token, for its account and origin, on
// the path and by the operation that are asked about.
func TestPathPermissionsWrite(t *testing.T) {
	grants := func(names ...string) claims {
		file, folder := claims{}, claims{}
		for _, name := range names {
			if strings.HasSuffix(name, "File") {
				file[name] = true
			} else {
				folder[name] = true
			}
		}
		return claims{"match": claims{"path": "/u", "scope": "Children"}, "permissions": claims{"write": claims{"file": file, "folder": folder}}}
	}
	read := may("/u", "Children", []string{"raw"}, false, true)["pathPermissions"].([]any)[0]
	s, err := load(t, "path_permissions", `{"account": "W1"}`)
	if err != nil {
		t.Fatal(err)
	}
	w := s.(scopes.Writer)
	if !w.Writes() {
		t.Error("no token writes")
	}
	for _, tt := range []struct {
		name    string
		entries []any
		want    []scope.Operation
	}{
		{"nothing", nil, nil},
		{"reading", []any{read}, nil},
		{"createFile", []any{grants("createFile")}, []scope.Operation{scope.CreateFile}},
		{"overwriteFile", []any{grants("overwriteFile")}, []scope.Operation{scope.OverwriteFile}},
		{"deleteFile", []any{grants("deleteFile")}, []scope.Operation{scope.DeleteFile}},
		{"deleteFile, reading", []any{grants("deleteFile"), read}, []scope.Operation{scope.DeleteFile, scope.RenameFile}},
		{"createVirtualFolder", []any{grants("createVirtualFolder")}, []scope.Operation{scope.CreateFolder}},
		{"deleteVirtualFolder", []any{grants("deleteVirtualFolder")}, []scope.Operation{scope.DeleteFolder}},
		{"deleteVirtualFolder, reading", []any{grants("deleteVirtualFolder"), read}, []scope.Operation{scope.DeleteFolder, scope.RenameFolder}},
		{"setFolderDescription", []any{grants("setFolderDescription")}, []scope.Operation{scope.Describe}},
		{"two", []any{grants("createFile", "deleteVirtualFolder")}, []scope.Operation{scope.CreateFile, scope.DeleteFolder}},
	} {
		c := claims{"access": claims{"pathPermissions": tt.entries}, "accountId": "W1"}
		genuine, foreign := verified(t, maps.Clone(c)), maps.Clone(c)
		foreign["accountId"] = "W2"
		elsewhere := maps.Clone(c)
		elsewhere["allowedOrigins"] = []string{"https://app.example"}
		stranger, bound := verified(t, foreign), verified(t, elsewhere)
		for op, name := range operations {
			ask := scopes.Query{Token: genuine, Path: in("/u/a", op), Operation: op, Request: httptest.NewRequest(http.MethodPut, "http://files.example/", nil)}
			if got := w.Permits(ask); got != slices.Contains(tt.want, op) {
				t.Errorf("%s: %s: %t", tt.name, name, got)
			}
			if ask.Path = in("/u/a/b", op); w.Permits(ask) {
				t.Errorf("%s: %s below", tt.name, name)
			}
			ask.Path, ask.Token = in("/u/a", op), stranger
			if w.Permits(ask) {
				t.Errorf("%s: %s with another account", tt.name, name)
			}
			if ask.Token = bound; w.Permits(ask) {
				t.Errorf("%s: %s from an unknown origin", tt.name, name)
			}
			ask.Request.Header.Set("Origin", "https://app.example")
			if got := w.Permits(ask); got != slices.Contains(tt.want, op) {
				t.Errorf("%s: %s from its origin: %t", tt.name, name, got)
			}
		}
	}
	upload := scopes.Query{
		Token: verified(t, claims{"access": claims{"pathPermissions": []any{grants("createFile")}}, "accountId": "W1"}),
		Path:  "/u/", Operation: scope.Upload, Request: httptest.NewRequest(http.MethodPost, "/", nil),
	}
	if !w.Permits(upload) {
		t.Error("an upload into the folder")
	}
}

// TestPathPermissionsOperation: an operation that is named counts, and what GET and HEAD
// mean where it is not.
func TestPathPermissionsOperation(t *testing.T) {
	const closed, listing, open = scopes.Closed, scopes.ListingOnly, scopes.Open
	s, err := load(t, "path_permissions", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	raw := claims{"access": may("/u", "Children", []string{"raw"}, false, false)}
	details := claims{"access": may("/u", "Children", []string{}, true, false)}
	list := claims{"access": may("/u", "Children", []string{}, false, true)}
	for _, tt := range []struct {
		claims       claims
		method, path string
		op           scope.Operation
		want         scopes.Opening
	}{
		{details, "PROPFIND", "/u/a", scope.Details, open},
		{details, "PROPFIND", "/u/a", scope.Download, closed},
		{details, "GET", "/u/a", scope.Details, open},
		{details, "HEAD", "/u/a", scope.Download, open},
		{details, "PROPFIND", "/u/a/", scope.List, closed},
		{details, "PROPFIND", "/u/a/", scope.Details, closed},
		{raw, "COPY", "/u/a", scope.Download, open},
		{raw, "PROPFIND", "/u/a", scope.Details, open},
		{raw, "PROPFIND", "/u/a/", scope.List, closed},
		{list, "PROPFIND", "/u/a/", scope.List, listing},
		{list, "HEAD", "/u/a/", scope.List, listing},
		{list, "GET", "/u/a/", scope.Download, listing},
		{list, "PROPFIND", "/u/a", scope.List, closed},
		{list, "PROPFIND", "/u/a", scope.Details, closed},
	} {
		q := scopes.Query{Token: verified(t, maps.Clone(tt.claims)), Path: tt.path, Operation: tt.op, Request: httptest.NewRequest(tt.method, "/", nil)}
		if got := s.Opens(q); got != tt.want {
			t.Errorf("%s %s %s: %d, want %d", tt.method, tt.path, operations[tt.op], got, tt.want)
		}
	}
}

// TestPathPermissionsOfEachToken: what one token grants is not asked of the next, in
// whatever order they come.
func TestPathPermissionsOfEachToken(t *testing.T) {
	s, err := load(t, "path_permissions", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	var asked []scopes.Query
	for _, folder := range []string{"/a", "/b", ""} {
		c := claims{"access": may(folder, "Children", []string{"raw"}, false, false)}
		if folder == "" {
			c = claims{}
		}
		asked = append(asked, scopes.Query{Token: verified(t, c), Path: folder, Request: httptest.NewRequest(http.MethodGet, "/", nil)})
	}
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 300 {
				q := asked[i*7%3]
				for _, folder := range []string{"/a", "/b"} {
					want := q.Path == folder
					ask := q
					if ask.Path = folder + "/x"; (s.Opens(ask) == scopes.Open) != want {
						t.Errorf("a token for %q: %s", q.Path, ask.Path)
					}
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
}
