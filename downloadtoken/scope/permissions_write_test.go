package scope

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// writing is permissions with these of the vendor's names.
func writing(names ...string) string {
	all := map[string][]string{}
	for _, name := range names {
		kind := "folder"
		if strings.HasSuffix(name, "File") {
			kind = "file"
		}
		all[kind] = append(all[kind], fmt.Sprintf("%q:true", name))
	}
	return fmt.Sprintf(`"write":{"file":{%s},"folder":{%s}}`, strings.Join(all["file"], ","), strings.Join(all["folder"], ","))
}

// TestPermissionsWrite: what each of the vendor's permissions, alone or with another,
// lets be done with a file or folder, and with nothing else.
func TestPermissionsWrite(t *testing.T) {
	const (
		raw     = `"read":{"file":{"downloadFile":["raw"]}}`
		image   = `"read":{"file":{"downloadFile":["image"]}}`
		details = `"read":{"file":{"getFileDetails":true}}`
		list    = `"read":{"folder":{"listFolderChildren":true}}`
	)
	for _, tt := range []struct {
		name, permissions string
		want              []Operation
	}{
		{"nothing", `{}`, nil},
		{"createFile", "{" + writing("createFile") + "}", []Operation{CreateFile}},
		{"overwriteFile", "{" + writing("overwriteFile") + "}", []Operation{OverwriteFile}},
		{"deleteFile", "{" + writing("deleteFile") + "}", []Operation{DeleteFile}},
		{"createVirtualFolder", "{" + writing("createVirtualFolder") + "}", []Operation{CreateFolder}},
		{"deleteVirtualFolder", "{" + writing("deleteVirtualFolder") + "}", []Operation{DeleteFolder}},
		{"setFolderDescription", "{" + writing("setFolderDescription") + "}", []Operation{Describe}},
		{"folder settings", "{" + writing("setFolderPublicPermissions", "setFolderStorageLayer") + "}", nil},
		{"in other case", `{"write":{"file":{"createfile":true},"File":{"deleteFile":true}},"Write":{"file":{"createFile":true}}}`, nil},
		{"in the wrong place", `{"write":{"folder":{"createFile":true},"file":{"createVirtualFolder":true}},"read":{"file":{"deleteFile":true}}}`, nil},
		{"false", `{"write":{"file":{"createFile":false},"folder":{"deleteVirtualFolder":false}}}`, nil},
		{"download", "{" + raw + "}", []Operation{Download, Details}},
		{"delete and download", "{" + raw + "," + writing("deleteFile") + "}", []Operation{Download, Details, DeleteFile, RenameFile}},
		{"delete and another slug", "{" + image + "," + writing("deleteFile") + "}", []Operation{DeleteFile}},
		{"delete and details", "{" + details + "," + writing("deleteFile") + "}", []Operation{Details, DeleteFile}},
		{"download and create", "{" + raw + "," + writing("createFile", "overwriteFile") + "}", []Operation{Download, Details, CreateFile, OverwriteFile}},
		{"delete a folder and list", "{" + list + "," + writing("deleteVirtualFolder") + "}", []Operation{List, DeleteFolder, RenameFolder}},
		{"delete a file and list", "{" + list + "," + writing("deleteFile") + "}", []Operation{List, DeleteFile}},
		{"delete a folder and download", "{" + raw + "," + writing("deleteVirtualFolder") + "}", []Operation{Download, Details, DeleteFolder}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, access(at("/u", "Children", tt.permissions)))
			for _, op := range modelOperations {
				path, other := "/u/a", "/u/a/"
				if op == List || op == Describe || op == Upload {
					path, other = other, path
				}
				if got, want := p.Admits(path, "raw", op), slices.Contains(tt.want, op); got != want {
					t.Errorf("operation %d: %t", op, got)
				}
				for _, path := range []string{other, "/u", "/v/a", "/u/a/b", "/u/../u/a", "/u/a//", "u/a", "", "/"} {
					if p.Admits(path, "raw", op) {
						t.Errorf("operation %d on %q", op, path)
					}
				}
			}
		})
	}
}

// TestPermissionsUpload: an upload page needs createFile for every name in the folder.
func TestPermissionsUpload(t *testing.T) {
	create := "{" + writing("createFile") + "}"
	for _, tt := range []struct {
		path, scope, folder string
		want                bool
	}{
		{"/u", "This", "/u/", false},
		{"/u", "Children", "/u/", true},
		{"/u", "Grandchildren+", "/u/", false},
		{"/u", "This", "/", false},
		{"/u", "Children", "/", false},
		{"/u", "Children", "/u/d/", false},
		{"/u", "Grandchildren+", "/u/d/", true},
		{"/u", "Grandchildren+", "/u/d/e/f/", true},
		{"/u/d", "This", "/u/", false}, // one name alone
		{"/u", "Children", "/ux/", false},
		{"/u", "Grandchildren+", "/ux/d/", false},
		{"/", "Children", "/", true},
		{"/", "Grandchildren+", "/", false},
		{"/", "Grandchildren+", "/u/", true},
		{"/", "Children", "/u/", false},
		{"/u", "Children", "/u", false},
		{"/u", "Children", "/u//", false},
	} {
		if got := parse(t, access(at(tt.path, tt.scope, create))).Admits(tt.folder, "raw", Upload); got != tt.want {
			t.Errorf("%s of %s for %s: %t", tt.scope, tt.path, tt.folder, got)
		}
	}
	for _, other := range []string{"overwriteFile", "deleteFile", "createVirtualFolder"} {
		if parse(t, access(at("/u", "Children", "{"+writing(other)+"}"))).Admits("/u/", "raw", Upload) {
			t.Errorf("%s was enough", other)
		}
	}
}

// TestPermissionsWriteUnion: two entries about the same path grant what one with both
// permissions would, and two about different paths do not.
func TestPermissionsWriteUnion(t *testing.T) {
	read, remove := slugs("raw"), "{"+writing("deleteFile")+"}"
	if !parse(t, access(at("/u", "Children", read), at("/u/a", "This", remove))).Admits("/u/a", "raw", RenameFile) {
		t.Error("what two entries grant on one path was refused")
	}
	if parse(t, access(at("/u", "Children", read), at("/v", "Children", remove))).Admits("/v/a", "raw", RenameFile) {
		t.Error("the permission of one path was admitted on another")
	}
}

func TestPermissionsBaseIsForReading(t *testing.T) {
	p := parse(t, access(at("/u", "Children", "{"+writing("createFile", "deleteVirtualFolder", "setFolderDescription")+"}"), at("/v/w", "Children", slugs("raw"))))
	if got := p.Base(); got != "/v/w" {
		t.Errorf("%q", got)
	}
}
