package e2e

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var writesOperations = flag.Int("writes.operations", 800, "random operations of TestRandomWrites; in full 10000")

// bearer is a random token, and what it lets be done, said once more in another way than
// the scopes say it.
type bearer struct {
	site  string // of startSites
	token string
	says  string // for the log of the test
	may   func(op, path string) bool
}

// words are what the words of allow stand for.
var words = map[string]string{
	"read":   "Download List",
	"create": "CreateFile CreateFolder",
	"rename": "RenameFile RenameFolder",
	"modify": "CreateFile CreateFolder RenameFile RenameFolder OverwriteFile DeleteFile DeleteFolder",
}

func wordsAllow(allow []string, op string) bool {
	return slices.ContainsFunc(allow, func(word string) bool { return slices.Contains(strings.Fields(words[word]), op) })
}

// inside reports whether the path is the folder or below it.
func inside(folder, p string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// allowances are the lines of allow that there is a directive for.
var allowances = []string{"read create", "create", "read rename", "read create rename", "read modify"}

// startSites runs a Caddy whose files are written through a directive for each kind of
// scope and each allowance, chosen by a header field.
func startSites(t testing.TB) *server {
	var body strings.Builder
	site := func(name, scope string) {
		fmt.Fprintf(&body, `
	@%s header X-Site %[1]s
	handle @%[1]s {
		download_token {
			from header Authorization
			key HS256 %q
			%s
			methods webdav
		}
		test_webdav
	}`, name, secret, scope)
	}
	for i, allow := range allowances {
		site(fmt.Sprint("any", i), "scope any {\n allow "+allow+"\n}")
		site(fmt.Sprint("template", i), "scope template folder:{name} /{name}/* {\n allow "+allow+"\n}")
		site(fmt.Sprint("claims", i), "scope claims /{sub}/* {\n allow "+allow+"\n}")
	}
	site("path", "scope path scope storage.read: {\n allow create storage.create:\n allow modify storage.modify:\n}")
	site("permissions", "scope path_permissions")
	return start(t, nil, body.String())
}

// randomBearer makes a token for one of the sites.
func randomBearer(t testing.TB) bearer {
	folders := []string{"/a", "/b", "/a/d", "/b/d"}
	n := max(rand.IntN(len(allowances)+3)-3, 0)
	n = len(allowances) - 1 - n // the last, which lets most be done, most often
	allow := strings.Fields(allowances[n])
	top := folders[rand.IntN(2)]
	below := func(op, p string) bool { // by a pattern that ends in /*
		return wordsAllow(allow, op) && (strings.HasPrefix(p, top+"/") || p == top && (op == "CreateFolder" || op == "List"))
	}
	switch rand.IntN(5) {
	case 0:
		return bearer{fmt.Sprint("any", n), mint(t, nil), allowances[n], func(op, p string) bool { return wordsAllow(allow, op) }}
	case 1:
		return bearer{fmt.Sprint("template", n), mint(t, claims{"scope": "folder:" + top[1:]}), allowances[n] + " below " + top, below}
	case 2:
		return bearer{fmt.Sprint("claims", n), mint(t, claims{"sub": top[1:]}), allowances[n] + " below " + top, below}
	case 3:
		var scopes []string
		granted := map[string][]string{}
		for prefix, word := range map[string]string{"storage.read:": "read", "storage.create:": "create", "storage.modify:": "modify"} {
			if rand.IntN(4) > 0 {
				folder := folders[rand.IntN(len(folders))]
				scopes = append(scopes, prefix+folder)
				granted[word] = append(granted[word], folder)
			}
		}
		return bearer{"path", mint(t, claims{"scope": strings.Join(scopes, " ")}), fmt.Sprint(granted), func(op, p string) bool {
			for word, folders := range granted {
				for _, folder := range folders {
					if wordsAllow([]string{word}, op) && (inside(folder, p) || op == "CreateFolder" && inside(p, folder)) {
						return true
					}
				}
			}
			return false
		}}
	}
	type grant struct {
		folder string
		depth  int // below the folder: 0, 1, or 2 for that and more
		ops    []string
	}
	all := []string{"Download", "List", "CreateFile", "OverwriteFile", "DeleteFile", "CreateFolder", "DeleteFolder"}
	var grants []grant
	var entries []map[string]any
	for range 3 + rand.IntN(6) {
		g := grant{folder: folders[rand.IntN(len(folders))], depth: rand.IntN(3)}
		for _, op := range all {
			if rand.IntN(5) > 0 {
				g.ops = append(g.ops, op)
			}
		}
		has := func(op string) bool { return slices.Contains(g.ops, op) }
		slugs := []string{}
		if has("Download") {
			slugs = []string{"*"}
		}
		entries = append(entries, map[string]any{
			"match": map[string]any{"path": g.folder, "scope": []string{"This", "Children", "Grandchildren+"}[g.depth]},
			"permissions": map[string]any{
				"read": map[string]any{"file": map[string]any{"downloadFile": slugs}, "folder": map[string]any{"listFolderChildren": has("List")}},
				"write": map[string]any{
					"file":   map[string]any{"createFile": has("CreateFile"), "overwriteFile": has("OverwriteFile"), "deleteFile": has("DeleteFile")},
					"folder": map[string]any{"createVirtualFolder": has("CreateFolder"), "deleteVirtualFolder": has("DeleteFolder")},
				},
			},
		})
		grants = append(grants, g)
	}
	may := func(op, p string) bool {
		return slices.ContainsFunc(grants, func(g grant) bool {
			return inside(g.folder, p) && min(strings.Count(p, "/")-strings.Count(g.folder, "/"), 2) == g.depth && slices.Contains(g.ops, op)
		})
	}
	return bearer{"permissions", mint(t, claims{"access": map[string]any{"pathPermissions": entries}}), fmt.Sprint(grants), func(op, p string) bool {
		switch op {
		case "RenameFile":
			return may("DeleteFile", p) && may("Download", p)
		case "RenameFolder":
			return may("DeleteFolder", p) && may("List", p)
		}
		return may(op, p)
	}}
}

// send sends one request for the bearer. The status is 0 if there was none.
func (b bearer) send(s *server, method, from, to, body string) int {
	req, err := http.NewRequest(method, s.url+from, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	req.Header.Set("X-Site", b.site)
	req.Header.Set("Authorization", "Bearer "+b.token)
	if to != "" {
		req.Header.Set("Destination", to)
		req.Header.Set("Overwrite", []string{"T", "F"}[rand.IntN(2)])
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Error(err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// contents are all files and folders of a site; folders have the content "/".
func contents(t testing.TB, root string) map[string]string {
	all := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		p := "/" + filepath.ToSlash(name[len(root)+1:])
		if entry.IsDir() {
			all[p] = "/"
			return nil
		}
		content, err := os.ReadFile(name)
		all[p] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// excess is what a request did that its token does not let it do; "" if nothing.
func (b bearer) excess(method, from, to string, before, after map[string]string) string {
	const folder = "/"
	changed := false
	for _, p := range slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after))) {
		was, there := before[p]
		is, left := after[p]
		if there && left && was == is {
			continue
		}
		changed = true
		gone := there && (!left || is == folder != (was == folder))
		came := left && (!there || is == folder != (was == folder))
		replaced := method != "PUT" && b.may("DeleteFile", p) && b.may("CreateFile", p)
		moved := method == "MOVE" && inside(from, p)
		ok := true
		switch {
		case there && left && !gone:
			ok = b.may("OverwriteFile", p) || replaced
		case gone && was == folder:
			ok = moved && b.may("RenameFolder", p) || !moved && b.may("DeleteFolder", p)
		case gone:
			ok = moved && b.may("RenameFile", p) || !moved && (b.may("DeleteFile", p) || left && b.may("OverwriteFile", p))
		}
		if came && is == folder {
			ok = ok && b.may("CreateFolder", p)
		} else if came {
			ok = ok && b.may("CreateFile", p)
		}
		if !ok {
			return fmt.Sprintf("%s was %q and is %q", p, was, is)
		}
	}
	for p, content := range before {
		if method == "COPY" && changed && inside(from, p) && (content == folder && !b.may("List", p) || content != folder && !b.may("Download", p)) {
			return p + " was read"
		}
	}
	return ""
}

// TestRandomWrites lets random tokens do random things, and looks each time at what has
// become of the files: nothing that a token does not permit. The server behind does
// whatever it is asked to.
func TestRandomWrites(t *testing.T) {
	s := startSites(t)
	paths := []string{"/a", "/b", "/a/x", "/a/y", "/b/x", "/a/d", "/b/d", "/a/d/z", "/b/d/z", "/a/d/e", "/a/d/e/w", "/x"}
	done, refused, excess := map[string]int{}, 0, 0
	before := contents(t, s.root)
	one := func(there bool) string { // mostly such that there is something to be done
		var p string
		for range 20 {
			p = paths[rand.IntN(len(paths))]
			_, parent := before[path.Dir(p)]
			if _, ok := before[p]; ok == there && (there || parent || path.Dir(p) == "/") {
				break
			}
		}
		return p
	}
	for n := range *writesOperations {
		b, method, to := randomBearer(t), []string{"PUT", "PUT", "DELETE", "MKCOL", "MKCOL", "COPY", "MOVE"}[rand.IntN(7)], ""
		from := one(method != "MKCOL" && (method != "PUT" || rand.IntN(2) == 0))
		if method == "COPY" || method == "MOVE" {
			to = one(rand.IntN(3) == 0)
		}
		body := ""
		if method == "PUT" {
			body = fmt.Sprint("content ", n)
		}
		status := b.send(s, method, from, to, body)
		after := contents(t, s.root)
		switch {
		case status == http.StatusForbidden:
			refused++
		case status >= 200 && status < 300:
			done[method]++
		}
		if why := b.excess(method, from, to, before, after); why != "" {
			excess++
			t.Errorf("%s %s %s by %s, which permits %s: %d, but %s", method, from, to, b.site, b.says, status, why)
		}
		before = after
		if len(after) < 4 { // something to work with
			for _, p := range []string{"a/x", "b/d/z"}[:1+rand.IntN(2)] {
				if os.MkdirAll(filepath.Join(s.root, path.Dir(p)), 0o755) == nil {
					_ = os.WriteFile(filepath.Join(s.root, p), []byte("planted"), 0o600) // a folder may have the name
				}
			}
			before = contents(t, s.root)
		}
	}
	t.Logf("%d operations: %v done, %d refused, %d that were not permitted", *writesOperations, done, refused, excess)
	for _, method := range []string{"PUT", "DELETE", "MKCOL", "COPY", "MOVE"} {
		if done[method] == 0 {
			t.Errorf("no %s was done, so that nothing was tested", method)
		}
	}
}

// TestWritesInARace lets tokens that may only create, and tokens that may only delete, do
// so on a few paths at the same time: what was created is created again only after it was
// deleted, though the server behind overwrites.
func TestWritesInARace(t *testing.T) {
	s := start(t, map[string]string{"dir/source": "source"}, `@delete header X-Site delete
	handle @delete {
		download_token {
			from header Authorization
			key HS256 "`+secret+`"
			scope path_permissions
			methods webdav
		}
		test_webdav
	}
	handle {
		download_token {
			from header Authorization
			key HS256 "`+secret+`"
			scope any {
				allow read create
			}
			methods webdav
		}
		test_webdav
	}`)
	creator := bearer{site: "create", token: mint(t, nil)}
	deleter := bearer{site: "delete", token: mint(t, claims{"access": map[string]any{"pathPermissions": []any{map[string]any{
		"match":       map[string]any{"path": "/dir", "scope": "Children"},
		"permissions": map[string]any{"write": map[string]any{"file": map[string]any{"deleteFile": true}}},
	}}}})}
	const files = 3
	var created, deleted [files]atomic.Int64
	var contested atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := range *writesOperations / 8 {
				i := rand.IntN(files)
				name := fmt.Sprint("/dir/", i)
				switch rand.IntN(4) {
				case 0:
					if deleter.send(s, "DELETE", name, "", "") == http.StatusNoContent {
						deleted[i].Add(1)
					}
				case 1:
					if creator.send(s, "COPY", "/dir/source", name, "") == http.StatusCreated {
						created[i].Add(1)
					}
				default:
					switch creator.send(s, "PUT", name, "", fmt.Sprintf("%d %d%s", worker, n, strings.Repeat(".", rand.IntN(100_000)))) {
					case http.StatusCreated:
						created[i].Add(1)
					case http.StatusForbidden:
						contested.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range files {
		_, err := os.Stat(filepath.Join(s.root, "dir", fmt.Sprint(i)))
		there := int64(0)
		if err == nil {
			there = 1
		}
		if created[i].Load()-deleted[i].Load() != there || deleted[i].Load() == 0 {
			t.Errorf("created %d times, deleted %d times, and %d is there", created[i].Load(), deleted[i].Load(), there)
		}
	}
	if contested.Load() == 0 {
		t.Error("nothing was raced for")
	}
}
