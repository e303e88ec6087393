package upload

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
)

const png = "\x89PNG\r\n\x1a\n0123456789"

func sumOf(text string) []byte { sum := sha256.Sum256([]byte(text)); return sum[:] }

func digestOf(text string) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sumOf(text)) + ":"
}

// TestPut: what becomes of a PUT, and that nothing is left of what is refused.
func TestPut(t *testing.T) {
	past := "Mon, 01 Jan 2001 00:00:00 GMT"
	for name, tt := range map[string]struct {
		u       Upload
		permits permits // default: creating
		claims  map[string]any
		path    string // default: /new.txt
		header  []string
		body    string
		status  int
		stored  string // default: where the path says, if status is 2xx
		allow   string
	}{
		"created":                   {body: "abc", status: 201},
		"empty":                     {status: 201},
		"in a folder":               {path: "/folder/new.txt", body: "abc", status: 201},
		"a name with a space":       {path: "/a%20b%C3%A4.txt", body: "abc", status: 201, stored: "a bä.txt"},
		"create, and there is one":  {path: "/old.txt", body: "abc", status: 412},
		"overwritten":               {permits: all, path: "/old.txt", body: "abc", status: 204},
		"overwrites only":           {permits: only(scope.OverwriteFile), path: "/old.txt", body: "abc", status: 204},
		"overwrites only, none":     {permits: only(scope.OverwriteFile), body: "abc", status: 403},
		"nothing":                   {permits: only(), body: "abc", status: 403},
		"nothing, and there is one": {permits: only(scope.CreateFolder), path: "/old.txt", body: "abc", status: 403},
		"another path":              {permits: func(op scope.Operation, path string) bool { return path == "/other.txt" }, body: "abc", status: 403},
		"this path":                 {permits: func(op scope.Operation, path string) bool { return path == "/folder/new.txt" }, path: "/folder/new.txt", body: "abc", status: 201},
		"If-None-Match":             {permits: all, path: "/old.txt", header: []string{"If-None-Match", "*"}, body: "abc", status: 412},
		"If-None-Match, none":       {header: []string{"If-None-Match", "*"}, body: "abc", status: 201},
		"If-None-Match of a tag":    {permits: all, path: "/old.txt", header: []string{"If-None-Match", `"a"`}, body: "abc", status: 412},
		"If-Match, none":            {header: []string{"If-Match", "*"}, body: "abc", status: 412},
		"If-Match":                  {permits: all, path: "/old.txt", header: []string{"If-Match", "*"}, body: "abc", status: 204},
		"If-Match of a tag":         {permits: all, path: "/old.txt", header: []string{"If-Match", `"a"`}, body: "abc", status: 412},
		"changed since":             {permits: all, path: "/old.txt", header: []string{"If-Unmodified-Since", past}, body: "abc", status: 412},
		"not changed since":         {permits: all, path: "/old.txt", header: []string{"If-Unmodified-Since", "Mon, 01 Jan 2101 00:00:00 GMT"}, body: "abc", status: 204},
		"a folder":                  {permits: all, path: "/folder/", body: "abc", status: 405, allow: "GET, HEAD, POST"},
		"a folder without a slash":  {permits: all, path: "/folder", body: "abc", status: 405, allow: "GET, HEAD"},
		"a link":                    {permits: all, path: "/link", body: "abc", status: 405, allow: "GET, HEAD"},
		"a link that leads out":     {permits: all, path: "/out/new.txt", body: "abc", status: 403},
		"no folder":                 {path: "/none/new.txt", body: "abc", status: 409},
		"a file for a folder":       {permits: all, path: "/old.txt/new.txt", body: "abc", status: 409},
		"mkdir":                     {u: Upload{Mkdir: true}, path: "/some/more/new.txt", body: "abc", status: 201},
		"mkdir, not permitted":      {u: Upload{Mkdir: true}, permits: only(scope.CreateFile), path: "/some/new.txt", body: "abc", status: 409},
		"mkdir, permitted above": {u: Upload{Mkdir: true}, permits: func(op scope.Operation, path string) bool { return op != scope.CreateFolder || path == "/some" },
			path: "/some/more/new.txt", body: "abc", status: 409},
		"mkdir, too large":          {u: Upload{Mkdir: true, MaxSize: 2}, path: "/some/more/new.txt", body: "abc", status: 413},
		"a hidden name":             {path: "/.htaccess", body: "abc", status: 400},
		"a device":                  {path: "/aux.txt", body: "abc", status: 400},
		"a colon":                   {path: "/a:b", body: "abc", status: 400},
		"a long name":               {path: "/" + strings.Repeat("a", 256), body: "abc", status: 400},
		"an encoded slash":          {path: "/folder%2Fnew.txt", body: "abc", status: 400},
		"a dot segment":             {path: "/folder/%2e%2e/new.txt", body: "abc", status: 400},
		"as large as it may be":     {u: Upload{MaxSize: 3}, body: "abc", status: 201},
		"too large":                 {u: Upload{MaxSize: 3}, body: "abcd", status: 413},
		"a claim allows less":       {u: Upload{MaxSize: 100}, claims: map[string]any{"max_size": 3}, body: "abcd", status: 413},
		"a claim allows more":       {u: Upload{MaxSize: 3}, claims: map[string]any{"max_size": 100}, body: "abcd", status: 413},
		"a claim alone":             {claims: map[string]any{"max_size": 3}, body: "abcd", status: 413},
		"the largest claim":         {claims: map[string]any{"max_size": int64(1<<63 - 1)}, body: "abcd", status: 201},
		"max_size of text":          {claims: map[string]any{"max_size": "3"}, body: "a", status: 403},
		"max_size zero":             {claims: map[string]any{"max_size": 0}, status: 403},
		"max_size below zero":       {claims: map[string]any{"max_size": -1}, status: 403},
		"max_size with a fraction":  {claims: map[string]any{"max_size": 3.5}, body: "a", status: 403},
		"max_size null":             {claims: map[string]any{"max_size": nil}, body: "a", status: 403},
		"a type":                    {u: Upload{ContentType: []string{"image/*"}}, path: "/a.png", header: []string{"Content-Type", "image/png"}, body: png, status: 201},
		"none declared":             {u: Upload{ContentType: []string{"image/*"}}, path: "/a.png", body: png, status: 201},
		"another declared":          {u: Upload{ContentType: []string{"image/*"}}, path: "/a.png", header: []string{"Content-Type", "text/html"}, body: png, status: 415},
		"declared in vain":          {u: Upload{ContentType: []string{"image/*"}}, path: "/a.png", header: []string{"Content-Type", "image"}, body: png, status: 415},
		"another name":              {u: Upload{ContentType: []string{"image/*"}}, path: "/a.html", header: []string{"Content-Type", "image/png"}, body: png, status: 415},
		"no extension":              {u: Upload{ContentType: []string{"image/*", "application/octet-stream"}}, path: "/a", header: []string{"Content-Type", "image/png"}, body: png, status: 415},
		"no extension, all":         {u: Upload{ContentType: []string{"*/*"}}, path: "/a", header: []string{"Content-Type", "image/png"}, body: png, status: 201},
		"another content":           {u: Upload{ContentType: []string{"image/*"}}, path: "/a.png", header: []string{"Content-Type", "image/png"}, body: "<!DOCTYPE html>", status: 415},
		"a type that is claimed":    {claims: map[string]any{"content_type": []string{"image/png", "image/gif"}}, path: "/a.png", body: png, status: 201},
		"both, and one does not":    {u: Upload{ContentType: []string{"image/*"}}, claims: map[string]any{"content_type": "text/*"}, path: "/a.png", body: png, status: 415},
		"content_type of a number":  {claims: map[string]any{"content_type": 1}, path: "/a.png", body: png, status: 403},
		"content_type of none":      {claims: map[string]any{"content_type": []string{}}, path: "/a.png", body: png, status: 403},
		"content_type of text":      {claims: map[string]any{"content_type": "png"}, path: "/a.png", body: png, status: 403},
		"sha256":                    {claims: map[string]any{"sha256": hex.EncodeToString(sumOf("abc"))}, body: "abc", status: 201},
		"sha256 in base64url":       {claims: map[string]any{"sha256": base64.RawURLEncoding.EncodeToString(sumOf("abc"))}, body: "abc", status: 201},
		"sha256, padded":            {claims: map[string]any{"sha256": base64.URLEncoding.EncodeToString(sumOf("abc"))}, body: "abc", status: 201},
		"sha256 of another":         {claims: map[string]any{"sha256": hex.EncodeToString(sumOf("abd"))}, body: "abc", status: 422},
		"sha256 that is short":      {claims: map[string]any{"sha256": "abcd"}, body: "abc", status: 403},
		"sha256 of a list":          {claims: map[string]any{"sha256": []string{hex.EncodeToString(sumOf("abc"))}}, body: "abc", status: 403},
		"Content-Digest":            {header: []string{"Content-Digest", digestOf("abc")}, body: "abc", status: 201},
		"Repr-Digest":               {header: []string{"Repr-Digest", "sha-512=:AAAA:, " + digestOf("abc")}, body: "abc", status: 201},
		"Content-Digest of another": {header: []string{"Content-Digest", digestOf("abd")}, body: "abc", status: 422},
		"Repr-Digest of another":    {header: []string{"Repr-Digest", digestOf("abd")}, body: "abc", status: 422},
		"one of two":                {header: []string{"Content-Digest", digestOf("abc"), "Repr-Digest", digestOf("abd")}, body: "abc", status: 422},
		"a digest that is none":     {header: []string{"Content-Digest", "sha-256=abc"}, body: "abc", status: 400},
		"another algorithm":         {header: []string{"Content-Digest", "sha-512=:AAAA:"}, body: "abc", status: 201},
		"a coding":                  {header: []string{"Content-Encoding", "gzip"}, body: "abc", status: 415},
		"a range":                   {header: []string{"Content-Range", "bytes 0-2/9"}, body: "abc", status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, &tt.u)
			s.put("old.txt", "old")
			s.put("folder/there.txt", "there")
			if err := os.Symlink(filepath.Join(s.root, "old.txt"), filepath.Join(s.root, "link")); err != nil {
				missing(t, err.Error())
			}
			if err := os.Symlink(t.TempDir(), filepath.Join(s.root, "out")); err != nil {
				t.Fatal(err)
			}
			if tt.permits != nil {
				s.permits = tt.permits
			}
			s.claims = claimsOf(t, tt.claims)
			if tt.path == "" {
				tt.path = "/new.txt"
			}
			before := s.files()
			got := s.do(http.MethodPut, tt.path, strings.NewReader(tt.body), tt.header...)
			if got.StatusCode != tt.status {
				t.Fatalf("%s: %s", got.Status, got.body)
			}
			if got.Header.Get("Allow") != tt.allow {
				t.Errorf("Allow: %q", got.Header.Get("Allow"))
			}
			want := maps.Clone(before)
			if tt.status < 300 {
				stored := strings.TrimPrefix(tt.path, "/")
				if tt.stored != "" {
					stored = tt.stored
				}
				want[stored] = tt.body
				if tt.u.Mkdir {
					want["some/"], want["some/more/"] = "", ""
				}
				location := got.Header.Get("Location")
				if (location == tt.path) != (tt.status == 201) || got.body != "" || got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("Location %q, %q, %v", location, got.body, got.Header)
				}
			} else if !strings.Contains(got.body, `"reason":`) || got.Header.Get("Location") != "" {
				t.Errorf("%s, %v", got.body, got.Header)
			}
			if left := s.files(); !maps.Equal(left, want) {
				t.Errorf("left %q, want %q", left, want)
			}
		})
	}
}

// TestEveryRefusalSaysWhatToDo, to people and programs.
func TestEveryRefusalSaysWhatToDo(t *testing.T) {
	source, err := os.ReadFile("refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`&refusal\{http\.\w+, "(\w+)"\}`).FindAllStringSubmatch(string(source), -1)
	if len(reasons) < 15 {
		t.Errorf("%d refusals", len(reasons))
	}
	for _, match := range reasons {
		if confirm.UploadDetail(match[1]) == "" {
			t.Errorf("there is no text for %s", match[1])
		}
	}
}

// TestPage: people get the page, with the limits of the token, and with what was wrong.
func TestPage(t *testing.T) {
	for name, tt := range map[string]struct {
		method, path string // default: GET
		page         bool
		claims       map[string]any
		permits      permits
		status       int
		says         []string
		silent       []string
	}{
		"a folder":              {path: "/", page: true, status: 200, says: []string{"Send a file", "At most 2.0 KB", "<form"}, silent: []string{"name=\"name\"", "Accepted"}},
		"limits of the token":   {path: "/", page: true, claims: map[string]any{"max_size": 999, "content_type": "image/*"}, status: 200, says: []string{"At most 999 bytes", `accept="image/*"`, `data-max="999"`}},
		"a file":                {path: "/new.txt", page: true, status: 200, says: []string{"Send a file", "<form"}},
		"a file that is there":  {path: "/old.txt", page: true, status: 200, says: []string{"There is already a file of this name"}, silent: []string{"<form"}},
		"one to be overwritten": {path: "/old.txt", page: true, permits: all, status: 200, says: []string{"Send a file", "<form"}},
		"a claim":               {path: "/", page: true, claims: map[string]any{"max_size": "large"}, status: 403, says: []string{"cannot be understood"}, silent: []string{"<form"}},
		"created":               {method: "PUT", path: "/new.txt", status: 201, says: []string{"The file was received", "3 bytes"}, silent: []string{"<form"}},
		"overwritten":           {method: "PUT", path: "/old.txt", permits: all, status: 200, says: []string{"The file was received"}},
		"refused":               {method: "PUT", path: "/old.txt", status: 412, says: []string{"There is already a file of this name"}},
		"without a ticket":      {method: "PUT", path: "/new.txt", permits: func(scope.Operation, string) bool { return false }, status: 403, says: []string{"does not permit"}},
	} {
		s := newSite(t, &Upload{MaxSize: 2000})
		s.put("old.txt", "old")
		s.page, s.claims = tt.page, claimsOf(t, tt.claims)
		if tt.permits != nil {
			s.permits = tt.permits
		}
		method := tt.method
		if method == "" {
			method = http.MethodGet
		}
		got := s.do(method, tt.path, strings.NewReader("abc"), "Accept", "text/html")
		if got.StatusCode != tt.status || got.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %s, %v", name, got.Status, got.Header)
		}
		if location := got.Header.Get("Location"); (location != "") != (tt.status == 201) {
			t.Errorf("%s: Location %q", name, location)
		}
		for _, text := range tt.says {
			if !strings.Contains(got.body, text) {
				t.Errorf("%s: does not say %s: %s", name, text, got.body)
			}
		}
		for _, text := range tt.silent {
			if strings.Contains(got.body, text) {
				t.Errorf("%s: says %s: %s", name, text, got.body)
			}
		}
		if want := method == http.MethodGet; s.paged != want {
			t.Errorf("%s: the ticket has Page %v", name, s.paged)
		}
	}
}

// TestTypes: what the first bytes may show, by the type of the name.
func TestTypes(t *testing.T) {
	const zip, pdf, html, ogg, mp4 = "PK\x03\x04", "%PDF-1.7", "<html>", "OggS\x00", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
	for _, tt := range []struct {
		types, name, head string
		want              bool
	}{
		{"image/*", "a.png", png, true},
		{"image/*", "a.jpg", png, true}, // another image, of those that are welcome
		{"image/jpeg", "a.jpg", png, false},
		{"image/*", "a.png", html, false},
		{"image/*", "a.png", "plain text", false},
		{"image/*", "a.png", pdf, false},
		{"image/*", "a.png", "\x00\x01\x02", true},
		{"image/*", "a.png", "", true},
		{"image/*", "a.svg", "<?xml version='1.0'?><svg>", true},
		{"image/*", "a.svg", "<!-- a comment --><svg>", true},
		{"image/*", "a.ico", "\x00\x00\x01\x00", true},
		{"application/pdf", "a.pdf", pdf, true},
		{"application/pdf", "a.pdf", html, false},
		{"application/pdf", "a.pdf", zip, false},
		{"application/zip", "a.zip", zip, true},
		{"application/*", "a.docx", zip, true},
		{"application/json", "a.json", "{}", true},
		{"text/*", "a.txt", html, true}, // which is not run: it is served as plain text
		{"text/plain", "a.txt", png, false},
		{"audio/*", "a.ogg", ogg, true},
		{"video/*", "a.mp4", mp4, true},
		{"video/*", "a.mp4", html, false},
		{"*/*", "a.png", html, true},
	} {
		parsed, err := parseTypes([]string{tt.types})
		if err != nil {
			t.Fatal(err)
		}
		l := limits{types: []types{parsed}}
		if !l.admitsName(tt.name, "") {
			t.Errorf("%s does not admit %s, which is %q", tt.types, tt.name, servedAs(tt.name))
		}
		if got := l.admitsContent(tt.name, []byte(tt.head)); got != tt.want {
			t.Errorf("%s, %s, %q: %v", tt.types, tt.name, tt.head, got)
		}
	}
}

// TestUnserved: a type that is written in a way that no extension has stores nothing.
func TestUnserved(t *testing.T) {
	all := types{"image/jpeg", "application/pdf", "image/*", "*/*", "image/jpg", "text/plain", "application/x-no-such"}
	if got, want := all.unserved(), []string{"image/jpg", "application/x-no-such"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
