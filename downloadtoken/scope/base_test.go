package scope

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBase(t *testing.T) {
	template := func(scope, path string) *Template {
		made, err := ParseTemplate(scope, path)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	claims, err := ParseClaimsPath("/users/{sub}/x-{id:uuid}/*")
	if err != nil {
		t.Fatal(err)
	}
	dataset, film := template("dataset:{id}", "/d/{id}/*"), template("film:{id}", "/v/{id}.mp4")
	list := PathScope{Prefix: "download:", Escaped: true}
	permissions := func(entries string) *Permissions {
		p, _, err := ParsePermissions([]byte(`{"pathPermissions":[` + entries + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const reads = `"permissions":{"read":{"file":{"downloadFile":["*"]}}}}`
	for name, test := range map[string]struct{ got, want string }{
		"a folder":                     {dataset.Base([]string{"dataset:5"}, "/d/5/x/y"), "/d/5"},
		"the folder itself":            {dataset.Base([]string{"dataset:5"}, "/d/5/"), "/d/5"},
		"two folders":                  {dataset.Base([]string{"dataset:5", "dataset:6"}, "/d/5/x/y"), "/d"},
		"twice the same":               {dataset.Base([]string{"dataset:5", "dataset:5"}, "/d/5/x/y"), "/d/5"},
		"what is meant for others":     {dataset.Base([]string{"openid", "", "dataset:5", "Dataset:6"}, "/d/5/x/y"), "/d/5"},
		"a file":                       {film.Base([]string{"film:5"}, "/v/5.mp4"), "/v/5.mp4"},
		"two files":                    {film.Base([]string{"film:6", "film:5"}, "/v/5.mp4"), "/v"},
		"everything":                   {template("all", "/*").Base([]string{"all"}, "/a/b"), ""},
		"a fixed place":                {template("all", "/a/b/*").Base([]string{"all", "allall"}, "/a/b/c"), "/a/b"},
		"a scope that begins as any":   {template("{id}", "/d/{id}/*").Base([]string{"5", "6"}, "/d/5/x"), "/d"},
		"claims":                       {claims.Base("/users/u/x-01234567-89ab-cdef-0123-456789abcdef/a/b"), "/users/u/x-01234567-89ab-cdef-0123-456789abcdef"},
		"a path":                       {list.Base([]string{"download:/a/b"}), "/a/b"},
		"a path with a slash":          {list.Base([]string{"download:/a/b/"}), "/a/b"},
		"two paths":                    {list.Base([]string{"download:/a/b/c download:/a/bc"}), "/a"},
		"one in another":               {list.Base([]string{"download:/a/b/c", "openid download:/a/b/"}), "/a/b"},
		"the root":                     {list.Base([]string{"download:/a", "download:/"}), ""},
		"nothing in common":            {list.Base([]string{"download:/a/b", "download:/b"}), ""},
		"paths that open nothing":      {list.Base([]string{"download:/a/b download: download:b download:/%2f download:/.. upload:/x"}), "/a/b"},
		"an escaped path":              {list.Base([]string{"download:/a%20b/c%25"}), "/a b/c%"},
		"no path":                      {list.Base(nil), ""},
		"permissions":                  {permissions(entryFor("/a/b", "This", reads)).Base(), "/a/b"},
		"permissions of a folder":      {permissions(entryFor("/a/b/", "Children", reads)).Base(), "/a/b"},
		"permissions of two":           {permissions(entryFor("/a/b/c", "Children", reads) + "," + entryFor("/a/b", "This", reads)).Base(), "/a/b"},
		"permissions of the root":      {permissions(entryFor("/", "Children", reads)).Base(), ""},
		"permissions that read naught": {permissions(entryFor("/x", "This", `"permissions":{}}`) + "," + entryFor("/a/b", "This", reads)).Base(), "/a/b"},
		"no permissions":               {(*Permissions)(nil).Base(), ""},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", name, test.got, test.want)
		}
	}
}

// entryFor is an entry of pathPermissions.
func entryFor(path, scope, rest string) string {
	return fmt.Sprintf(`{"match":{"path":%q,"scope":%q},%s`, path, scope, rest)
}

// TestBaseHoldsEverything: nothing is opened that is not the base or below it.
func TestBaseHoldsEverything(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "ab", "a b"})
	paths := rapid.Custom(func(t *rapid.T) string {
		path := "/" + strings.Join(rapid.SliceOfN(names, 0, 4).Draw(t, "names"), "/")
		if rapid.Bool().Draw(t, "slash") && path != "/" {
			path += "/"
		}
		return path
	})
	dataset, err := ParseTemplate("x:{id}", "/a/{id}/*")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		entries, asked := rapid.SliceOfN(paths, 0, 3).Draw(t, "entries"), rapid.SliceOfN(paths, 1, 20).Draw(t, "asked")
		scopes := rapid.SliceOfN(rapid.SampledFrom([]string{"x:a", "x:b", "x:a b", "y:a", "x"}), 0, 3).Draw(t, "scopes")
		access := make([]string, len(entries))
		for i, entry := range entries {
			reach := rapid.SampledFrom([]string{"This", "Children", "Grandchildren+"}).Draw(t, "reach")
			access[i] = entryFor(entry, reach, `"permissions":{"read":{"folder":{"listFolderChildren":true},"file":{"downloadFile":["*"]}}}}`)
		}
		permissions, _, err := ParsePermissions([]byte(`{"pathPermissions":[` + strings.Join(access, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		admits := func(path string) bool {
			for _, scope := range scopes {
				if dataset.Admits(scope, path) {
					return true
				}
			}
			return false
		}
		for _, first := range asked {
			for _, path := range asked {
				if admits(first) && admits(path) && !opens(dataset.Base(scopes, first)+"/", path+"/") {
					t.Fatalf("%q opens %q and %q, but the base is %q", scopes, first, path, dataset.Base(scopes, first))
				}
			}
			if base := (PathScope{}).Base(entries); (PathScope{}).Admits(entries, first) && !opens(base+"/", first+"/") {
				t.Fatalf("%q opens %q, but the base is %q", entries, first, base)
			}
			if permissions.Admits(first, "raw", Download) || permissions.Admits(first, "raw", List) {
				if base := permissions.Base(); !opens(base+"/", first+"/") {
					t.Fatalf("%q opens %q, but the base is %q", access, first, base)
				}
			}
		}
	})
}

func TestFirst(t *testing.T) {
	for _, test := range []struct {
		path     string
		segments int
		want     string
	}{
		{"/a/b/c", 0, ""}, {"/a/b/c", 1, "/a"}, {"/a/b/c", 2, "/a/b"}, {"/a/b/c", 3, "/a/b/c"}, {"/a/b/c", 9, "/a/b/c"},
		{"/a/b/", 1, "/a"}, {"/a/b/", 2, "/a/b"}, {"/a/b/", 3, "/a/b"}, {"/", 0, ""}, {"/", 1, ""}, {"/%61/b", 1, "/%61"},
	} {
		if got := First(test.path, test.segments); got != test.want {
			t.Errorf("%d of %s is %q, want %q", test.segments, test.path, got, test.want)
		}
	}
}
