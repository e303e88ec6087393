package scope

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParsePermissionsRefuses(t *testing.T) {
	tests := []struct {
		name, claim string
	}{
		{"nothing", ``},
		{"null", `null`},
		{"string", `"secret"`},
		{"list", `[]`},
		{"two values", `{}{}`},
		{"cut", `{"pathPermissions":[`},
		{"list is null", `{"pathPermissions":null}`},
		{"list is an object", `{"pathPermissions":{}}`},
		{"entry is null", `{"pathPermissions":[null]}`},
		{"entry is a string", `{"pathPermissions":["/secret"]}`},
		{"match is null", `{"pathPermissions":[{"match":null}]}`},
		{"match is a string", `{"pathPermissions":[{"match":"/secret"}]}`},
		{"path is a number", `{"pathPermissions":[{"match":{"path":1}}]}`},
		{"path is a list", `{"pathPermissions":[{"match":{"path":["/secret"]}}]}`},
		{"scope is null", `{"pathPermissions":[{"match":{"scope":null}}]}`},
		{"scope is a list", `{"pathPermissions":[{"match":{"scope":["This"]}}]}`},
		{"permissions is a list", `{"pathPermissions":[{"permissions":[]}]}`},
		{"downloadFile is true", `{"pathPermissions":[{"permissions":{"read":{"file":{"downloadFile":true}}}}]}`},
		{"downloadFile is a string", `{"pathPermissions":[{"permissions":{"read":{"file":{"downloadFile":"*"}}}}]}`},
		{"slug is null", `{"pathPermissions":[{"permissions":{"read":{"file":{"downloadFile":[null]}}}}]}`},
		{"slug is a number", `{"pathPermissions":[{"permissions":{"read":{"file":{"downloadFile":[1]}}}}]}`},
		{"getFileDetails is a string", `{"pathPermissions":[{"permissions":{"read":{"file":{"getFileDetails":"true"}}}}]}`},
		{"getFileDetails is a number", `{"pathPermissions":[{"permissions":{"read":{"file":{"getFileDetails":1}}}}]}`},
		{"listFolderChildren is null", `{"pathPermissions":[{"permissions":{"read":{"folder":{"listFolderChildren":null}}}}]}`},
		{"write is null", `{"pathPermissions":[{"permissions":{"write":null}}]}`},
		{"write is a list", `{"pathPermissions":[{"permissions":{"write":["secret"]}}]}`},
		{"write.file is true", `{"pathPermissions":[{"permissions":{"write":{"file":true}}}]}`},
		{"createFile is a string", `{"pathPermissions":[{"permissions":{"write":{"file":{"createFile":"secret"}}}}]}`},
		{"overwriteFile is null", `{"pathPermissions":[{"permissions":{"write":{"file":{"overwriteFile":null}}}}]}`},
		{"deleteFile is a list", `{"pathPermissions":[{"permissions":{"write":{"file":{"deleteFile":["*"]}}}}]}`},
		{"createVirtualFolder is a number", `{"pathPermissions":[{"permissions":{"write":{"folder":{"createVirtualFolder":1}}}}]}`},
		{"deleteVirtualFolder is an object", `{"pathPermissions":[{"permissions":{"write":{"folder":{"deleteVirtualFolder":{}}}}}]}`},
		{"setFolderDescription is null", `{"pathPermissions":[{"permissions":{"write":{"folder":{"setFolderDescription":null}}}}]}`},
		{"duplicate createFile", `{"pathPermissions":[{"permissions":{"write":{"file":{"createFile":false,"createFile":true}}}}]}`},
		{"duplicate member", `{"pathPermissions":[],"pathPermissions":[]}`},
		{"duplicate unknown member", `{"secret":1,"secret":2}`},
		{"duplicate path", `{"pathPermissions":[{"match":{"path":"/secret","path":"/"}}]}`},
		{"duplicate in escapes", `{"pathPermissions":[{"match":{"path":"/secret","p\u0061th":"/"}}]}`},
		{"duplicate in what is ignored", `{"tagPermissions":{"write":[],"write":[]}}`},
		{"lone surrogate", `{"pathPermissions":[{"match":{"path":"/secret\ud800"}}]}`},
		{"not utf-8", "{\"pathPermissions\":[{\"match\":{\"path\":\"/secret\xff\"}}]}"},
		{"comment", `{/**/}`},
		{"trailing comma", `{"pathPermissions":[],}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, unknown, err := ParsePermissions([]byte(tt.claim))
			if p != nil || unknown != nil || !errors.Is(err, ErrPermissions) {
				t.Fatalf("%v, %q, %v", p, unknown, err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q quotes the claim", err)
			}
		})
	}
}

func TestParsePermissionsIgnores(t *testing.T) {
	p := parse(t, `{"tagPermissions":null,"PathPermissions":7,"new":{"a":[null]},"pathPermissions":[{"note":null,`+
		`"match":{"path":"/u","scope":"This","Scope":"Children","priority":1},`+
		`"permissions":{"write":{"tag":null,"file":{"tag":0}},"admin":true,"read":{"tag":{},"file":{"downloadFile":["raw"],"streamFile":1}}}}]}`)
	if !p.Admits("/u", "raw", Download) || p.Admits("/u/a", "raw", Download) {
		t.Error("unknown members changed the answer")
	}
}

func TestPermissionsPathLength(t *testing.T) {
	for _, tt := range []struct {
		name string
		path string
		want bool
	}{
		{"longest", "/" + strings.Repeat("a", 511), true},
		{"too long", "/" + strings.Repeat("a", 512), false},
		{"longest in characters", "/" + strings.Repeat("é", 511), true},
		{"too long in characters", "/" + strings.Repeat("é", 512), false},
	} {
		p := parse(t, access(at(tt.path, "This", everything)))
		if got := p.Admits(tt.path, "raw", Download); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestUnknownScopes(t *testing.T) {
	tests := []struct {
		name   string
		scopes []string
		want   []string
	}{
		{"none", []string{"This", "Children", "Grandchildren+"}, nil},
		{"one", []string{"Descendants", "This"}, []string{"Descendants"}},
		{"once each", []string{"Exact", "Descendants", "Exact"}, []string{"Exact", "Descendants"}},
		{"other case", []string{"this"}, []string{"this"}},
		{"empty", []string{""}, []string{"?"}},
		{"no word", []string{"a b", "x\ny", "eyJ.eyJ.x", "42"}, []string{"?"}},
		{"longest", []string{strings.Repeat("a", 32)}, []string{strings.Repeat("a", 32)}},
		{"too long", []string{strings.Repeat("a", 33)}, []string{"?"}},
		{"at most eight", strings.Split("a b c d e f g h i j k", " "), strings.Split("a b c d e f g h", " ")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var entries []string
			for _, s := range tt.scopes {
				entries = append(entries, at("/u", s, everything))
			}
			_, got, err := ParsePermissions([]byte(access(entries...)))
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
