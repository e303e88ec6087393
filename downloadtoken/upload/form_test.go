package upload

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// TestForm: what becomes of a form, and under which name.
func TestForm(t *testing.T) {
	folder := func(op scope.Operation, path string) bool { // as Upload is granted by
		name, ok := strings.CutPrefix(path, "/folder/")
		return ok && op == scope.CreateFile && name != "" && !strings.Contains(name, "/")
	}
	for name, tt := range map[string]struct {
		u         Upload
		permits   permits // default: folder
		path      string  // default: /folder/
		fields    [][2]string
		file      string // its name
		mediaType string
		header    []string
		body      string // instead of the form
		status    int
		stored    string
	}{
		"a file":                      {file: "new.txt", status: 201, stored: "folder/new.txt"},
		"a path of Windows":           {file: `C:\Users\me\new.txt`, status: 201, stored: "folder/new.txt"},
		"a path":                      {file: "../../new.txt", status: 201, stored: "folder/new.txt"},
		"a name with spaces":          {file: " my new ä.txt ", status: 201, stored: "folder/my new ä.txt"},
		"a name that turns":           {file: "a\u202etxt.exe", status: 201, stored: "folder/atxt.exe"},
		"a hidden name":               {file: ".bashrc", status: 400},
		"dots":                        {file: "..", status: 400},
		"a device":                    {file: "con.txt", status: 400},
		"a dot at the end":            {file: "new.", status: 400},
		"not UTF-8":                   {file: "a\xff.txt", status: 400},
		"a long name":                 {file: strings.Repeat("a", 252) + ".txt", status: 400},
		"as long as it may be":        {file: strings.Repeat("a", 251) + ".txt", status: 201, stored: "folder/" + strings.Repeat("a", 251) + ".txt"},
		"no name":                     {file: "", status: 400},
		"another name":                {file: "there.txt", fields: [][2]string{{"a", "b"}, {"name", "other.txt"}}, status: 201, stored: "folder/other.txt"},
		"another name that is none":   {file: "new.txt", fields: [][2]string{{"name", "../.x"}}, status: 400},
		"an empty one counts as none": {file: "new.txt", fields: [][2]string{{"name", ""}}, status: 201, stored: "folder/new.txt"},
		"a name that is there":        {file: "there.txt", status: 412},
		"one that may be overwritten": {permits: all, file: "there.txt", status: 204, stored: "folder/there.txt"},
		"not in this folder":          {path: "/", file: "new.txt", status: 403},
		"a path that has the name":    {permits: creating, path: "/folder/mine.txt", file: "new.txt", status: 201, stored: "folder/mine.txt"},
		"and cannot have it":          {permits: creating, path: "/folder/.mine", file: "new.txt", status: 400},
		"a folder without a slash":    {permits: creating, path: "/folder", file: "new.txt", status: 405},
		"no folder":                   {permits: creating, path: "/none/", file: "new.txt", status: 409},
		"mkdir":                       {u: Upload{Mkdir: true}, permits: creating, path: "/none/", file: "new.txt", status: 201, stored: "none/new.txt"},
		"mkdir, a hidden folder":      {u: Upload{Mkdir: true}, permits: creating, path: "/none/.git/", file: "new.txt", status: 400},
		"mkdir, a device":             {u: Upload{Mkdir: true}, permits: creating, path: "/con/none/", file: "new.txt", status: 400},
		"as large as it may be":       {u: Upload{MaxSize: 7}, file: "new.txt", status: 201, stored: "folder/new.txt"},
		"too large":                   {u: Upload{MaxSize: 6}, file: "new.txt", status: 413},
		"a large field":               {file: "new.txt", fields: [][2]string{{"a", strings.Repeat("a", 1025)}}, status: 400},
		"many fields":                 {file: "new.txt", fields: make([][2]string, formParts), status: 400},
		"too large around it":         {u: Upload{MaxSize: 7}, file: "new.txt", header: []string{"Content-Length", "100000"}, body: strings.Repeat("x", 100000), status: 413},
		"its type":                    {u: Upload{ContentType: []string{"text/plain"}}, file: "new.txt", mediaType: "text/plain", status: 201, stored: "folder/new.txt"},
		"another type":                {u: Upload{ContentType: []string{"text/plain"}}, file: "new.txt", mediaType: "image/png", status: 415},
		"the type of the given name":  {u: Upload{ContentType: []string{"text/plain"}}, file: "new.txt", fields: [][2]string{{"name", "new.html"}}, status: 415},
		"no form":                     {body: "abc", status: 400},
		"a form that breaks off":      {body: "--b\r\nContent-Disposition: form-data; name=file; filename=new.txt\r\n\r\nabc", status: 400},
		"two files": {body: "--b\r\nContent-Disposition: form-data; name=file; filename=new.txt\r\n\r\nabc\r\n" +
			"--b\r\nContent-Disposition: form-data; name=file; filename=more.txt\r\n\r\nabc\r\n--b--\r\n", status: 400},
		"a field behind it": {body: "--b\r\nContent-Disposition: form-data; name=file; filename=new.txt\r\n\r\ncontent\r\n" +
			"--b\r\nContent-Disposition: form-data; name=name\r\n\r\nabc\r\n--b--\r\nend", status: 201, stored: "folder/new.txt"},
		"a large header": {body: "--b\r\nX: " + strings.Repeat("x", 2*formBytes) + "\r\nContent-Disposition: form-data; name=file; filename=new.txt\r\n\r\ncontent\r\n--b--\r\n", status: 400},
		"a large header behind it": {body: "--b\r\nContent-Disposition: form-data; name=file; filename=new.txt\r\n\r\ncontent\r\n" +
			"--b\r\nX: " + strings.Repeat("x", 2*formBytes) + "\r\nContent-Disposition: form-data; name=name\r\n\r\nabc\r\n--b--\r\n", status: 400},
		"a large preamble": {body: strings.Repeat("x\r\n", formBytes) + "--b\r\nContent-Disposition: form-data; name=file; filename=new.txt\r\n\r\ncontent\r\n--b--\r\n", status: 400},
		"a large end":      {body: "--b\r\nContent-Disposition: form-data; name=file; filename=new.txt\r\n\r\ncontent\r\n--b--\r\n" + strings.Repeat("x", 2*formBytes), status: 400},
		"only fields":      {body: "--b\r\nContent-Disposition: form-data; name=name\r\n\r\nabc\r\n--b--\r\n", status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, &tt.u)
			s.put("folder/there.txt", "there")
			s.permits = folder
			if tt.permits != nil {
				s.permits = tt.permits
			}
			if tt.path == "" {
				tt.path = "/folder/"
			}
			var body io.Reader = strings.NewReader(tt.body)
			contentType := "multipart/form-data; boundary=b"
			if tt.body == "" {
				body, contentType = form(tt.fields, tt.file, tt.mediaType, "content")
			}
			want := s.files()
			got := s.do(http.MethodPost, tt.path, body, append(tt.header, "Content-Type", contentType)...)
			if got.StatusCode != tt.status {
				t.Fatalf("%s: %s", got.Status, got.body)
			}
			if tt.stored != "" {
				want[tt.stored] = "content"
				if dir, _, _ := strings.Cut(tt.stored, "/"); dir != "folder" {
					want[dir+"/"] = ""
				}
				if location := got.Header.Get("Location"); (tt.status == 201) != (location == "/"+strings.TrimSuffix(escaped("/" + tt.stored)[1:], "")) {
					t.Errorf("Location: %q", location)
				}
			}
			if left := s.files(); !maps.Equal(left, want) {
				t.Errorf("left %q, want %q", left, want)
			}
		})
	}
}

// TestLargeFile: what bounds the rest of a form does not bound its file.
func TestLargeFile(t *testing.T) {
	s, content := newSite(t, new(Upload)), strings.Repeat("x", 3*formBytes)
	body, contentType := form(nil, "new.txt", "", content)
	if got := s.do(http.MethodPost, "/", body, "Content-Type", contentType); got.StatusCode != 201 || s.files()["new.txt"] != content {
		t.Errorf("%s, %d bytes", got.Status, len(s.files()["new.txt"]))
	}
}

// TestFormDigest: the digest is that of the whole body.
func TestFormDigest(t *testing.T) {
	for name, tt := range map[string]struct {
		of     func(body string) string
		status int
	}{
		"of the body": {func(body string) string { return body }, 201},
		"of the file": {func(string) string { return "content" }, 422},
	} {
		s := newSite(t, new(Upload))
		body, contentType := form(nil, "new.txt", "", "content")
		got := s.do(http.MethodPost, "/", body, "Content-Type", contentType, "Content-Digest", digestOf(tt.of(body.String())))
		if _, stored := s.files()["new.txt"]; got.StatusCode != tt.status || stored != (tt.status == 201) {
			t.Errorf("%s: %s, %q", name, got.Status, s.files())
		}
	}
}

// TestNext: what is none of its business goes on, and writes nothing.
func TestNext(t *testing.T) {
	html := []string{"Accept", "text/html"}
	for name, tt := range map[string]struct {
		permits permits
		page    bool
		method  string
		header  []string
		status  int
	}{
		"GET":                      {creating, false, "GET", html, 418},
		"GET of a program":         {creating, true, "GET", nil, 418},
		"GET without a ticket":     {nil, false, "GET", html, 418},
		"the page":                 {creating, true, "GET", html, 200},
		"HEAD of the page":         {creating, true, "HEAD", html, 200},
		"DELETE":                   {creating, false, "DELETE", nil, 418},
		"POST of something else":   {creating, false, "POST", []string{"Content-Type", "application/json"}, 418},
		"POST of nothing":          {creating, false, "POST", nil, 418},
		"PUT without a ticket":     {nil, false, "PUT", nil, 403},
		"a form without a ticket":  {nil, false, "POST", []string{"Content-Type", "multipart/form-data; boundary=b"}, 403},
		"a form that is malformed": {creating, false, "POST", []string{"Content-Type", "multipart/form-data"}, 400},
	} {
		s := newSite(t, new(Upload))
		s.permits, s.page = tt.permits, tt.page
		got := s.do(tt.method, "/new.txt", nil, tt.header...)
		if got.StatusCode != tt.status || len(s.files()) > 0 {
			t.Errorf("%s: %s, %q", name, got.Status, s.files())
		}
		if want := strings.Contains(name, "page"); s.paged != want {
			t.Errorf("%s: the ticket has Page %v", name, s.paged)
		}
		if said := s.logs.FilterMessageSnippet("put one in front").Len() > 0; said != (tt.status == 403) {
			t.Errorf("%s: the log says what to put in front: %v", name, said)
		}
	}
}
