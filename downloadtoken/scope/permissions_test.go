package scope

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// vendorExample is the access claim that Upload's page on JWTs shows.
const vendorExample = `{
	"pathPermissions": [{
		"match": {"path": "/users/user-xyz", "scope": "Children"},
		"permissions": {
			"read": {
				"file": {"downloadFile": ["*"], "getFileDetails": true},
				"folder": {"getFolderDescription": true, "getFolderPublicPermissions": true,
					"getFolderStorageLayer": true, "listFolderChildren": true}
			},
			"write": {
				"file": {"createFile": true, "deleteFile": true, "overwriteFile": true},
				"folder": {"createVirtualFolder": true, "deleteVirtualFolder": true, "setFolderDescription": true,
					"setFolderPublicPermissions": true, "setFolderStorageLayer": true}
			}
		}
	}],
	"tagPermissions": {"write": ["*"]}
}`

const everything = `{"read":{"file":{"downloadFile":["*"],"getFileDetails":true},"folder":{"listFolderChildren":true}}}`

// at writes an entry of pathPermissions.
func at(path, scope, permissions string) string {
	p, err := json.Marshal(path)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"match":{"path":%s,"scope":%q},"permissions":%s}`, p, scope, permissions)
}

// slugs writes permissions to download as certain transformations.
func slugs(patterns ...string) string {
	list, err := json.Marshal(patterns)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"read":{"file":{"downloadFile":%s}}}`, list)
}

func access(entries ...string) string {
	return `{"pathPermissions":[` + strings.Join(entries, ",") + `]}`
}

func parse(t testing.TB, claim string) *Permissions {
	t.Helper()
	p, _, err := ParsePermissions([]byte(claim))
	if err != nil {
		t.Fatalf("%s: %v", claim, err)
	}
	return p
}

func TestPermissionsReach(t *testing.T) {
	tests := []struct {
		path, scope, target string
		want                bool
	}{
		{"/users/x", "This", "/users/x", true},
		{"/users/x", "This", "/users/x/a.jpg", false},
		{"/users/x", "This", "/users/x/d/b", false},
		{"/users/x", "This", "/users", false},
		{"/users/x", "This", "/users/xy", false},

		{"/users/x", "Children", "/users/x/a.jpg", true},
		{"/users/x", "Children", "/users/x/d", true},
		{"/users/x", "Children", "/users/x", false},
		{"/users/x", "Children", "/users/x/d/b", false},
		{"/users/x", "Children", "/users/xy", false},
		{"/users/x", "Children", "/users/xy/a.jpg", false},
		{"/users/x", "Children", "/users/X/a.jpg", false},
		{"/users/x", "Children", "/a/users/x/a.jpg", false},
		{"/users/x", "Children", "/users", false},

		{"/users/x", "Grandchildren+", "/users/x/d/b", true},
		{"/users/x", "Grandchildren+", "/users/x/d/b/c/d/e", true},
		{"/users/x", "Grandchildren+", "/users/x/a.jpg", false},
		{"/users/x", "Grandchildren+", "/users/x", false},
		{"/users/x", "Grandchildren+", "/users/xy/d/b", false},

		{"/", "This", "/a.jpg", false},
		{"/", "Children", "/a.jpg", true},
		{"/", "Children", "/d/a.jpg", false},
		{"/", "Grandchildren+", "/a.jpg", false},
		{"/", "Grandchildren+", "/d/a.jpg", true},

		{"/users/x/", "This", "/users/x", true},
		{"/users/x/", "Children", "/users/x/a.jpg", true},
		{"/users/x//", "Children", "/users/x/a.jpg", false},
		{"//", "Children", "/a.jpg", false},
		{"", "Children", "/a.jpg", false},
		{"", "Grandchildren+", "/d/a.jpg", false},
		{"users/x", "Children", "/users/x/a.jpg", false},
		{"/users/../users/x", "Children", "/users/x/a.jpg", false},
		{"/users/y/../x", "Children", "/users/x/a.jpg", false},
		{"/users/./x", "Children", "/users/x/a.jpg", false},
		{"/users/*", "Children", "/users/x/a.jpg", false},
		{"/users/*", "Children", "/users/*/a.jpg", true},
		{"/users/%78", "Children", "/users/x/a.jpg", false},
		{"/users/{id}", "Children", "/users/x/a.jpg", false},
		{`/users\x`, "Children", "/users/x/a.jpg", false},

		{"/users/x", "children", "/users/x/a.jpg", false},
		{"/users/x", "Grandchildren", "/users/x/d/b", false},
		{"/users/x", "Descendants", "/users/x/a.jpg", false},
		{"/users/x", "", "/users/x", false},

		{"/users/x", "Children", "/users/x/../y", false},
		{"/users/x", "Children", "/users/x//a.jpg", false},
		{"/users/x", "Grandchildren+", "/users/x/../y/a.jpg", false},
	}
	for _, tt := range tests {
		t.Run(tt.path+" "+tt.scope+" "+tt.target, func(t *testing.T) {
			p := parse(t, access(at(tt.path, tt.scope, everything)))
			if got := p.Admits(tt.target, "raw", Download); got != tt.want {
				t.Errorf("download: %t", got)
			}
			if got := p.Admits(tt.target, "raw", Details); got != tt.want {
				t.Errorf("details: %t", got)
			}
			if got := p.Admits(tt.target+"/", "raw", List); got != tt.want {
				t.Errorf("list: %t", got)
			}
		})
	}
}

func TestPermissionsOfRootListing(t *testing.T) {
	for scope, want := range map[string]bool{"This": true, "Children": false, "Grandchildren+": false} {
		p := parse(t, access(at("/", scope, everything)))
		if got := p.Admits("/", "raw", List); got != want {
			t.Errorf("%s: %t", scope, got)
		}
		if p.Admits("/", "raw", Download) || p.Admits("/", "raw", Details) {
			t.Errorf("%s: the root was opened as a file", scope)
		}
	}
}

func TestPermissionsOperations(t *testing.T) {
	const (
		download = `{"read":{"file":{"downloadFile":["raw"]}}}`
		details  = `{"read":{"file":{"getFileDetails":true}}}`
		list     = `{"read":{"folder":{"listFolderChildren":true}}}`
		folder   = `{"read":{"folder":{"getFolderDescription":true,"getFolderPublicPermissions":true,"getFolderStorageLayer":true}}}`
		write    = `{"write":{"file":{"createFile":true,"deleteFile":true,"overwriteFile":true},"folder":{"createVirtualFolder":true}}}`
	)
	tests := []struct {
		name                    string
		permissions             string
		download, details, list bool
	}{
		{"download", download, true, true, false},
		{"details", details, false, true, false},
		{"list", list, false, false, true},
		{"other reading", folder, false, false, false},
		{"writing", write, false, false, false},
		{"nothing", `{}`, false, false, false},
		{"no read", `{"read":{}}`, false, false, false},
		{"no slugs", `{"read":{"file":{"downloadFile":[]}}}`, false, false, false},
		{"false", `{"read":{"file":{"getFileDetails":false},"folder":{"listFolderChildren":false}}}`, false, false, false},
		{"everything", everything, true, true, true},
		{"in other case", `{"Read":{"file":{"downloadFile":["*"]}},"read":{"file":{"downloadfile":["*"]}}}`, false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, access(at("/u", "Children", tt.permissions)))
			if got := p.Admits("/u/a", "raw", Download); got != tt.download {
				t.Errorf("download: %t", got)
			}
			if got := p.Admits("/u/a", "raw", Details); got != tt.details {
				t.Errorf("details: %t", got)
			}
			if got := p.Admits("/u/a/", "raw", List); got != tt.list {
				t.Errorf("list: %t", got)
			}
			// The slash decides whether it is a file or a listing.
			if p.Admits("/u/a/", "raw", Download) || p.Admits("/u/a/", "raw", Details) || p.Admits("/u/a", "raw", List) {
				t.Error("a listing was taken for a file, or a file for a listing")
			}
			if p.Admits("/u/a", "raw", Operation(3)) || p.Admits("/u/a", "raw", Operation(-1)) {
				t.Error("an operation that does not exist was admitted")
			}
		})
	}
}

func TestPermissionsSlugs(t *testing.T) {
	tests := []struct {
		patterns []string
		slug     string
		want     bool
	}{
		{[]string{"*"}, "raw", true},
		{[]string{"*"}, "thumbnail-sm", true},
		{[]string{"*"}, "", false},
		{[]string{"raw"}, "raw", true},
		{[]string{"raw"}, "rawx", false},
		{[]string{"raw"}, "ra", false},
		{[]string{"raw"}, "Raw", false},
		{[]string{"raw"}, "image", false},
		{[]string{"thumbnail-*"}, "thumbnail-sm", true},
		{[]string{"thumbnail-*"}, "thumbnail-", true},
		{[]string{"thumbnail-*"}, "thumbnail", false},
		{[]string{"thumbnail-*"}, "xthumbnail-sm", false},
		{[]string{"thumbnail-*"}, "thumbnail-*", true},
		{[]string{"*-sm"}, "thumbnail-sm", false},
		{[]string{"t*m"}, "thumbnail-sm", false},
		{[]string{"t*m"}, "t*m", true},
		{[]string{"r.w"}, "raw", false},
		{[]string{"image", "raw"}, "raw", true},
		{[]string{"image", "thumbnail"}, "raw", false},
		{[]string{""}, "raw", false},
		{[]string{""}, "", false},
		{[]string{}, "raw", false},
		{[]string{}, "", false},
	}
	for _, tt := range tests {
		p := parse(t, access(at("/u", "Children", slugs(tt.patterns...))))
		if got := p.Admits("/u/a", tt.slug, Download); got != tt.want {
			t.Errorf("%q for %q: %t", tt.patterns, tt.slug, got)
		}
		if got := p.Admits("/u/a", tt.slug, Details); got != tt.want {
			t.Errorf("%q for the details of %q: %t", tt.patterns, tt.slug, got)
		}
	}
}

func TestPermissionsAreAUnion(t *testing.T) {
	p := parse(t, access(
		at("/u", "Children", slugs("image")),
		at("/u", "Children", `{"read":{"file":{"getFileDetails":true}}}`),
		at("/u", "Children", slugs("raw")),
		at("/u", "Children", slugs()),
		at("/u", "Grandchildren+", slugs("raw")),
		at("/u/d/b", "This", slugs("image")),
	))
	for _, slug := range []string{"raw", "image"} {
		for _, path := range []string{"/u/a", "/u/d/b"} {
			if !p.Admits(path, slug, Download) {
				t.Errorf("%s of %s refused", slug, path)
			}
		}
	}
	if p.Admits("/u/d/c", "image", Download) || p.Admits("/u", "raw", Download) || p.Admits("/u/a", "thumbnail", Download) {
		t.Error("admitted what no entry admits")
	}
}

// No entry may be completed by another: the path of one with the slug of the
// other opens nothing.
func TestPermissionsDoNotMix(t *testing.T) {
	p := parse(t, access(at("/u", "Children", slugs("image")), at("/v", "Children", slugs("raw"))))
	if p.Admits("/u/a", "raw", Download) || p.Admits("/v/a", "image", Download) {
		t.Error("the slug of one entry was admitted on the path of another")
	}
}

func TestVendorExample(t *testing.T) {
	p, unknown, err := ParsePermissions([]byte(vendorExample))
	if err != nil || len(unknown) > 0 {
		t.Fatal(err, unknown)
	}
	for path, want := range map[string]bool{
		"/users/user-xyz/a.jpg": true, "/users/user-xyz": false, "/users/user-xyz/d/a.jpg": false, "/users/user-xyzz/a.jpg": false,
	} {
		if got := p.Admits(path, "raw", Download); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
	if !p.Admits("/users/user-xyz/d/", "raw", List) || p.Admits("/users/user-xyz/", "raw", List) {
		t.Error("listing: the folder below is granted, the folder itself is not")
	}
}

func TestNothingAdmitsNothing(t *testing.T) {
	for name, p := range map[string]*Permissions{
		"nil": nil, "zero": {}, "empty": parse(t, `{}`), "no entries": parse(t, `{"pathPermissions":[]}`),
		"empty entry": parse(t, `{"pathPermissions":[{}]}`), "no match": parse(t, `{"pathPermissions":[{"permissions":`+everything+`}]}`),
		"no path":  parse(t, `{"pathPermissions":[{"match":{"scope":"Children"},"permissions":`+everything+`}]}`),
		"no scope": parse(t, `{"pathPermissions":[{"match":{"path":"/"},"permissions":`+everything+`}]}`),
	} {
		for _, path := range []string{"/", "/a", "/a/", "/a/b", "/a/b/", ""} {
			for _, op := range []Operation{Download, Details, List} {
				if p.Admits(path, "raw", op) {
					t.Errorf("%s permissions admit %d on %q", name, op, path)
				}
			}
		}
	}
}
