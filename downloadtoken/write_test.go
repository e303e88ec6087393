package downloadtoken

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/ticket"
)

// granting is a scope that permits operations, on all paths.
type granting []scope.Operation

func (g granting) Opens(q scopes.Query) scopes.Opening {
	if slices.Contains(g, q.Operation) {
		return scopes.Open
	}
	return scopes.Closed
}

func (g granting) Writes() bool                { return true }
func (g granting) Permits(q scopes.Query) bool { return slices.Contains(g, q.Operation) }

// writable is a directive with the methods of WebDAV and POST, whose files are those of
// a folder: a.txt, and dir with b.txt.
func writable(t *testing.T, h *Handler, granted ...scope.Operation) (*Handler, string) {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.txt", "dir/b.txt"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.Methods = &Methods{Method: []string{webdav, http.MethodPost}, Root: root}
	h.scopes = []scopes.Scope{opening(scopes.Closed), granting(granted)}
	h, _ = staged(t, h)
	return h, root
}

// ask is a request with a token, to a path.
func ask(t *testing.T, method, path, body string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, path+"?download_token="+signed(t, nil), strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// TestWhatGoesOn: a request that may do what it wants goes on in a way that lets it do
// nothing else.
func TestWhatGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		granted []scope.Operation
		method  string
		path    string
		header  []string
		want    int
		field   string // of the request that goes on
		value   string
	}{
		"create":                          {[]scope.Operation{scope.CreateFile}, "PUT", "/new.txt", nil, 200, "If-None-Match", "*"},
		"create, whatever the client has": {[]scope.Operation{scope.CreateFile}, "PUT", "/new.txt", []string{"If-None-Match", `"x"`}, 200, "If-None-Match", "*"},
		"create where there is something": {[]scope.Operation{scope.CreateFile}, "PUT", "/a.txt", nil, 403, "", ""},
		"overwrite":                       {[]scope.Operation{scope.OverwriteFile}, "PUT", "/a.txt", nil, 200, "If-None-Match", ""},
		"overwrite nothing":               {[]scope.Operation{scope.OverwriteFile}, "PUT", "/new.txt", nil, 403, "", ""},
		"read":                            {[]scope.Operation{scope.Download}, "PUT", "/new.txt", nil, 403, "", ""},
		"a part":                          {[]scope.Operation{scope.OverwriteFile}, "PUT", "/a.txt", []string{"Content-Range", "bytes 0-1/2"}, 400, "", ""},
		"a path that is not one":          {[]scope.Operation{scope.CreateFile}, "PUT", "/../new.txt", nil, 400, "", ""},
		"delete":                          {[]scope.Operation{scope.DeleteFile}, "DELETE", "/a.txt", nil, 200, "", ""},
		"delete a folder, not its file":   {[]scope.Operation{scope.DeleteFolder}, "DELETE", "/dir", nil, 403, "", ""},
		"delete a folder":                 {[]scope.Operation{scope.DeleteFolder, scope.DeleteFile}, "DELETE", "/dir/", nil, 200, "", ""},
		"make a folder":                   {[]scope.Operation{scope.CreateFolder}, "MKCOL", "/new/", nil, 200, "", ""},
		"copy":                            {[]scope.Operation{scope.Download, scope.CreateFile}, "COPY", "/a.txt", []string{"Destination", "http://example.com/c.txt"}, 200, "Overwrite", "F"},
		"copy to":                         {[]scope.Operation{scope.Download, scope.CreateFile}, "COPY", "/a.txt", []string{"Destination", "http://EXAMPLE.com:80/%63%20.txt?x=1"}, 200, "Destination", "/c%20.txt?x=1"},
		"copy, a token in the Destination": {
			[]scope.Operation{scope.Download, scope.CreateFile}, "COPY", "/a.txt",
			[]string{"Destination", "/c.txt?download_token=secret"}, 200, "Destination", "/c.txt",
		},
		"a token in a tagged list": {
			[]scope.Operation{scope.OverwriteFile}, "PUT", "/a.txt",
			[]string{"If", `</a.txt?download_token=secret&x=1> (<opaquelocktoken:1>) <http://example.com/?download_token=a> (["e"])`},
			200, "If", `</a.txt?x=1> (<opaquelocktoken:1>) <http://example.com/> (["e"])`,
		},
		"copy, its body":           {[]scope.Operation{scope.Download, scope.CreateFile}, "COPY", "/a.txt", []string{"Destination", "/c.txt", "Content-Type", "text/xml"}, 200, "Content-Type", ""},
		"copy onto something":      {[]scope.Operation{scope.Download, scope.CreateFile}, "COPY", "/a.txt", []string{"Destination", "/dir/b.txt", "Overwrite", "F"}, 403, "", ""},
		"copy over something":      {[]scope.Operation{scope.Download, scope.OverwriteFile}, "COPY", "/a.txt", []string{"Destination", "/dir/b.txt", "Overwrite", "T"}, 200, "Overwrite", "T"},
		"copy to another host":     {[]scope.Operation{scope.Download, scope.CreateFile}, "COPY", "/a.txt", []string{"Destination", "http://example.org/c.txt"}, 400, "", ""},
		"move":                     {[]scope.Operation{scope.RenameFile, scope.CreateFile}, "MOVE", "/a.txt", []string{"Destination", "/c.txt"}, 200, "Overwrite", "F"},
		"properties of a folder":   {[]scope.Operation{scope.Details}, "PROPFIND", "/dir/", []string{"Depth", "0"}, 200, "Depth", "0"},
		"a Depth for one hop only": {[]scope.Operation{scope.Details}, "PROPFIND", "/dir/", []string{"Depth", "0", "Connection", "Depth"}, 403, "", ""},
		"a condition for one hop":  {[]scope.Operation{scope.CreateFile}, "PUT", "/new.txt", []string{"Connection", "close, If-None-Match"}, 200, "Connection", "close"},
		"another method":           {[]scope.Operation{scope.CreateFile}, "PATCH", "/new.txt", nil, 405, "", ""},
		"another site, token sent": {[]scope.Operation{scope.CreateFile}, "PUT", "/new.txt", []string{"Origin", "https://evil.example"}, 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := writable(t, new(Handler), tt.granted...)
			w := httptest.NewRecorder()
			r := ask(t, tt.method, tt.path, "new", tt.header...)
			v := visiting(h, w, r)
			err := h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				if tt.field != "" && r.Header.Get(tt.field) != tt.value {
					t.Errorf("%s: %q, want %q", tt.field, r.Header.Get(tt.field), tt.value)
				}
				if body, err := io.ReadAll(r.Body); (len(body) == 0) != (tt.method == "COPY" || tt.method == "MOVE") || err != nil {
					t.Errorf("the body is %q, %v", body, err)
				}
				if ticket.Of(r) == nil || ticket.Of(r).Claims.ExpiresAt.IsZero() || !ticket.Of(r).Permits(tt.granted[0], "/x") {
					t.Error("the ticket is not right")
				}
				w.WriteHeader(http.StatusOK)
				return nil
			}))
			if err != nil || w.Code != tt.want {
				t.Errorf("%d, %v", w.Code, err)
			}
			if tt.want == http.StatusMethodNotAllowed && w.Header().Get("Allow") !=
				"GET, HEAD, OPTIONS, POST, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK" {
				t.Error(w.Header())
			}
		})
	}
}

// TestHoldsUpNobody: a request of a token that may do none of it is refused before it
// waits for a path, so that it does not lock one either.
func TestHoldsUpNobody(t *testing.T) {
	for name, tt := range map[string]struct {
		granted []scope.Operation
		method  string
		path    string
		want    int
	}{
		"delete":          {[]scope.Operation{scope.Download, scope.Details, scope.List, scope.CreateFile}, "DELETE", "/dir/", 403},
		"list":            {[]scope.Operation{scope.Download, scope.CreateFile}, "PROPFIND", "/dir/", 403},
		"copy from":       {allWrites, "COPY", "/dir/", 403},
		"copy to":         {[]scope.Operation{scope.Download, scope.List}, "COPY", "/dir/", 403},
		"move":            {[]scope.Operation{scope.Download, scope.List, scope.CreateFile}, "MOVE", "/dir/", 403},
		"lock":            {[]scope.Operation{scope.Download, scope.List}, "LOCK", "/dir/", 403},
		"a path too long": {anything, "DELETE", strings.Repeat("/a", maxPath), 400},
		"who may":         {anything, "DELETE", "/dir/", 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, root := writable(t, new(Handler), tt.granted...)
			release, ok := locks.Exclusive(t.Context(), 0, ":"+filepath.ToSlash(root))
			if !ok {
				t.Fatal("the folder is locked")
			}
			defer release()
			w := httptest.NewRecorder()
			err := h.ServeHTTP(w, visiting(h, w, ask(t, tt.method, tt.path, "", "Destination", "/new")).r, answers(http.StatusOK))
			if err != nil || w.Code != tt.want {
				t.Errorf("%d, %v; want %d", w.Code, err, tt.want)
			}
		})
	}
}

// TestReadersLockNothing that they may see anyway, whatever comes to be there; so by reading
// slowly they keep no one from writing.
func TestReadersLockNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		scope        scopes.Scope
		path         string
		depth        string
		folder, file bool // can be locked for writing while it is read
	}{
		"all":                {granting{scope.Details, scope.List}, "/dir/", "infinity", true, true},
		"no Depth":           {granting{scope.Details, scope.List}, "/dir/", "", true, true},
		"a file":             {granting{scope.Details, scope.List}, "/dir/b.txt", "0", true, true},
		"what is below":      {belowDir{scope.Details, scope.List}, "/dir/", "infinity", false, true},
		"the listing":        {belowDir{scope.List}, "/dir/", "1", false, true},
		"folders, not files": {granting{scope.List}, "/dir/", "infinity", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := writable(t, new(Handler))
			h.scopes = []scopes.Scope{tt.scope}
			free := func(name string) bool {
				release, ok := locks.Exclusive(t.Context(), 0, ":"+filepath.ToSlash(root)+name)
				if ok {
					release()
				}
				return ok
			}
			w := httptest.NewRecorder()
			err := h.ServeHTTP(w, visiting(h, w, ask(t, "PROPFIND", tt.path, "", "Depth", tt.depth)).r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				if free("/dir") != tt.folder || free("/dir/b.txt") != tt.file {
					t.Errorf("the folder is free: %t; the file: %t", free("/dir"), free("/dir/b.txt"))
				}
				w.WriteHeader(http.StatusMultiStatus)
				return nil
			}))
			if err != nil || w.Code != http.StatusMultiStatus {
				t.Errorf("%d, %v", w.Code, err)
			}
		})
	}
}

// belowDir is a scope that grants operations in /dir, of which it is not open as a file.
type belowDir []scope.Operation

func (b belowDir) Opens(q scopes.Query) scopes.Opening {
	if strings.HasPrefix(q.Path, "/dir/") {
		return granting(b).Opens(q)
	}
	return scopes.Closed
}

// TestAmbient: a token that a browser sends by itself writes nothing for another site.
func TestAmbient(t *testing.T) {
	for name, tt := range map[string]struct {
		header []string
		want   int
	}{
		"a program":        {nil, 200},
		"the same site":    {[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		"another site":     {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another host":     {[]string{"Sec-Fetch-Site", "same-site"}, 403},
		"an older browser": {[]string{"Origin", "https://evil.example"}, 403},
	} {
		for _, carry := range []string{"cookie", "basic"} {
			t.Run(name+", "+carry, func(t *testing.T) {
				source := Source{In: carry}
				r := httptest.NewRequest(http.MethodPut, "/new.txt", nil)
				if carry == "basic" {
					r.SetBasicAuth("me", signed(t, nil))
				} else {
					source.Name = []string{"token"}
					r.AddCookie(&http.Cookie{Name: "token", Value: signed(t, nil)})
				}
				for i := 0; i < len(tt.header); i += 2 {
					r.Header.Add(tt.header[i], tt.header[i+1])
				}
				h, _ := writable(t, &Handler{From: []Source{source}}, scope.CreateFile)
				w := httptest.NewRecorder()
				v := visiting(h, w, r)
				if err := h.ServeHTTP(w, v.r, answers(200)); err != nil || w.Code != tt.want {
					t.Errorf("%d, %v", w.Code, err)
				}
				if reason := v.placeholder("http.download_token.reason"); (reason == "cross_origin") != (tt.want == 403) {
					t.Error(reason)
				}
			})
		}
	}
}

// answers is a handler behind that has only a status.
func answers(status int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(status)
		return nil
	}
}

// TestOptionalWrites: without a token nothing is written.
func TestOptionalWrites(t *testing.T) {
	for method, want := range map[string]int{
		"GET": 200, "HEAD": 200, "OPTIONS": 200, "PROPFIND": 200,
		"PUT": 401, "POST": 401, "DELETE": 401, "MKCOL": 401, "COPY": 401, "LOCK": 401, "PATCH": 401, "BREW": 401,
	} {
		h, _ := writable(t, &Handler{Optional: true}, scope.CreateFile)
		w := httptest.NewRecorder()
		v := visiting(h, w, httptest.NewRequest(method, "/a.txt", nil))
		v.r.Header.Set("X-Http-Method-Override", "PUT")
		err := h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			if r.Header.Get("X-Http-Method-Override") != "" {
				t.Error(method, "with another method in it")
			}
			return nil
		}))
		if err != nil || w.Code != want {
			t.Errorf("%s: %d, %v", method, w.Code, err)
		}
	}
}

// TestOneTimeWrites: a write spends its token when it is done, whatever its answer is like
// and whether or not it arrives; what is not done costs nothing.
func TestOneTimeWrites(t *testing.T) {
	gone := func(read bool) func(context.CancelFunc) caddyhttp.HandlerFunc {
		return func(leave context.CancelFunc) caddyhttp.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) error {
				if read {
					_, _ = r.Body.Read(make([]byte, 10))
				}
				leave()
				return caddyhttp.Error(http.StatusBadGateway, context.Canceled)
			}
		}
	}
	with := func(next caddyhttp.HandlerFunc) func(context.CancelFunc) caddyhttp.HandlerFunc {
		return func(context.CancelFunc) caddyhttp.HandlerFunc { return next }
	}
	const spent, kept = true, false
	for name, tt := range map[string]struct {
		method string
		next   func(context.CancelFunc) caddyhttp.HandlerFunc
		want   bool
	}{
		"created":     {"PUT", with(answers(201)), spent},
		"no content":  {"DELETE", with(answers(204)), spent},
		"207":         {"PROPPATCH", with(answers(207)), spent},
		"no answer":   {"PUT", with(func(http.ResponseWriter, *http.Request) error { return nil }), spent},
		"refused":     {"PUT", with(answers(412)), kept},
		"failed":      {"PUT", with(answers(507)), kept},
		"an error":    {"PUT", with(func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(500, nil) }), kept},
		"sent on":     {"PUT", with(answers(307)), kept},
		"options":     {"OPTIONS", with(answers(200)), kept},
		"properties":  {"PROPFIND", with(answers(207)), kept},
		"rewritten":   {"PUT", with(func(w http.ResponseWriter, r *http.Request) error { r.URL.Path = "/x"; w.WriteHeader(201); return nil }), spent},
		"gone before": {"PUT", gone(false), kept},
		"gone after":  {"PUT", gone(true), spent},
		"gone when it was done": {"PUT", func(leave context.CancelFunc) caddyhttp.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) error { leave(); w.WriteHeader(201); return nil }
		}, spent},
		"gone, 499": {"DELETE", func(leave context.CancelFunc) caddyhttp.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) error { leave(); w.WriteHeader(499); return nil }
		}, spent},
		"gone, and refused": {"DELETE", func(leave context.CancelFunc) caddyhttp.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) error { leave(); w.WriteHeader(409); return nil }
		}, kept},
		"gone, nothing to send": {"DELETE", gone(false), spent},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(patient)
			h, _ := writable(t, &Handler{OneTime: &OneTime{Resume: &Resume{Window: 1e10}}, store: p}, everything...)
			w := httptest.NewRecorder()
			body := "new"
			if tt.method != "PUT" {
				body = ""
			}
			r := ask(t, tt.method, "/a.txt", body, "Depth", "0")
			ctx, leave := context.WithCancel(r.Context())
			defer leave()
			func() {
				defer func() { _ = recover() }() // the connection is broken off
				_ = h.ServeHTTP(w, visiting(h, w, r.WithContext(ctx)).r, tt.next(leave))
			}()
			if tt.method == "OPTIONS" || tt.method == "PROPFIND" {
				if !slices.Equal(p.asked, []string{"look"}) {
					t.Error(p.asked)
				}
				return
			}
			if got := len(p.use.committed) > 0; got != tt.want || p.use.released == 0 {
				t.Errorf("spent: %v, released %d times", got, p.use.released)
			}
			if len(p.queries[0].Grants) > 0 || tt.want && p.use.committed[0] != nil {
				t.Error("a write can be resumed")
			}
			if release, ok := locks.Exclusive(t.Context(), 0, ":"+h.Methods.Root); !ok {
				t.Error("the path is still locked")
			} else {
				release()
			}
		})
	}
	t.Run("the store fails when it is done", func(t *testing.T) {
		p := &patient{use: &used{err: rules.ErrUnavailable}}
		h, _ := writable(t, &Handler{OneTime: new(OneTime), store: p}, everything...)
		w := httptest.NewRecorder()
		r := visiting(h, w, ask(t, "DELETE", "/a.txt", "")).r
		if err := h.ServeHTTP(w, r, answers(204)); err != nil || w.Code != 503 || p.use.released > 0 {
			t.Errorf("%d, %v; released %d times", w.Code, err, p.use.released)
		}
	})
}

// everything is all that can be granted.
var everything = anything

// TestPageOnly: where a token may only upload, a GET sees nothing but the page for it, and
// nothing is spent on that.
func TestPageOnly(t *testing.T) {
	page := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if !ticket.Of(r).PageOnly {
			t.Error("more than the page may be served")
		}
		ticket.Of(r).Page = true
		return answers(200)(w, r)
	})
	for name, tt := range map[string]struct {
		granted []scope.Operation
		path    string
		next    caddyhttp.HandlerFunc
		want    int
	}{
		"the page of a folder":           {[]scope.Operation{scope.Upload}, "/dir/", page, 200},
		"the page of a file":             {[]scope.Operation{scope.CreateFile}, "/new.txt", page, 200},
		"the file":                       {[]scope.Operation{scope.CreateFile}, "/a.txt", answers(200), 403},
		"that there is none":             {[]scope.Operation{scope.CreateFile}, "/new.txt", answers(404), 403},
		"that there is none, as error":   {[]scope.Operation{scope.CreateFile}, "/x", func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(404, nil) }, 403},
		"that nothing answers":           {[]scope.Operation{scope.CreateFile}, "/x", func(http.ResponseWriter, *http.Request) error { return nil }, 403},
		"a redirect":                     {[]scope.Operation{scope.Upload}, "/dir/", answers(308), 403},
		"a folder, of which only a file": {[]scope.Operation{scope.CreateFile}, "/dir/", page, 403},
		"nothing to upload":              {[]scope.Operation{scope.DeleteFile}, "/a.txt", page, 403},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(name+", "+method, func(t *testing.T) {
				p := new(patient)
				h, _ := writable(t, &Handler{OneTime: new(OneTime), store: p}, tt.granted...)
				w := httptest.NewRecorder()
				w.Header().Set("X-Of-The-Site", "1")
				err := h.ServeHTTP(w, visiting(h, w, ask(t, method, tt.path, "")).r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					w.Header().Set("Repr-Digest", "sha-256=:of the file:")
					return tt.next(w, r)
				}))
				if err != nil || w.Code != tt.want {
					t.Errorf("%d, %v", w.Code, err)
				}
				if told := w.Header().Get("Repr-Digest") != ""; told != (tt.want == 200) || w.Header().Get("X-Of-The-Site") != "1" {
					t.Errorf("%d, with %v", w.Code, w.Header())
				}
				if slices.Contains(p.asked, "admit") {
					t.Error("the token was reserved")
				}
			})
		}
	}
}

// TestPageNeedsPOST: the form of the page is sent by POST.
func TestPageNeedsPOST(t *testing.T) {
	h, _ := writable(t, new(Handler), scope.Upload, scope.CreateFile)
	for admits, want := range map[string]string{http.MethodPost: "", http.MethodPut: "scope"} {
		h.Methods.admitted = []string{http.MethodGet, admits}
		for _, path := range []string{"/dir/", "/new.txt"} {
			if reason, _, _ := h.Explain(visiting(h, nil, ask(t, "GET", path, "")).r); reason != want {
				t.Errorf("GET %s and %s: %q, want %q", path, admits, reason, want)
			}
		}
	}
}

// TestWhatWasMissing: of a write that is refused it is said what it would have done.
func TestWhatWasMissing(t *testing.T) {
	h, root := writable(t, new(Handler), scope.CreateFile)
	for _, tt := range []struct{ method, path, root, want string }{
		{"PUT", "/a.txt", root, "no scope of the token opens this path: it would have to permit to overwrite the file"},
		{"PUT", "/a.txt", root, "to overwrite the file"}, // nothing is locked
		{"DELETE", "/dir", root, "to delete the folder"},
		{"PROPPATCH", "/a.txt", root, "to overwrite the file"},
		{"PROPFIND", "/a.txt", root, "to see its details"},
		{"POST", "/dir/", root, "to upload into the folder"},
		{"PUT", "/new.txt", root + "/none", "to overwrite the file; what is there is not known: see whether the root of methods"},
	} {
		h.Methods.Root = tt.root
		reason, _, err := h.Explain(visiting(h, nil, ask(t, tt.method, tt.path, "", "Depth", "0")).r)
		if reason != "scope" || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s %s: %s, %v; want %q", tt.method, tt.path, reason, err, tt.want)
		}
	}
}

// TestWhoSendsAFileIsToldOfFiles: what the client is told fits what it wanted.
func TestWhoSendsAFileIsToldOfFiles(t *testing.T) {
	h, _ := writable(t, new(Handler), scope.CreateFile)
	for method, want := range map[string]string{"PUT": "store this file here", "POST": "store this file here", "DELETE": "for another file"} {
		w := httptest.NewRecorder()
		err := h.ServeHTTP(w, visiting(h, w, ask(t, method, "/a.txt", "")).r, answers(200))
		if body := w.Body.String(); err != nil || w.Code != 403 || !strings.Contains(body, want) || !strings.Contains(body, `"reason":"forbidden"`) {
			t.Errorf("%s: %d %s, %v", method, w.Code, body, err)
		}
	}
}

// TestMatrix takes each method to each kind of path: what the table demands is enough, and
// without any of it the request is refused, before the store is asked.
func TestMatrix(t *testing.T) {
	count := 0
	for _, method := range []string{"OPTIONS", "POST", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK"} {
		for _, path := range []string{"/a.txt", "/dir", "/dir/", "/new.txt", "/dir/new"} {
			for _, field := range []string{"", "0", "1", "/new2", "/a.txt", "/dir"} {
				e := errand{method: method, path: path}
				var header []string
				switch destined := method == "COPY" || method == "MOVE"; {
				case destined && strings.HasPrefix(field, "/"):
					e.destination, header = field, []string{"Destination", field}
				case method == "PROPFIND" && !strings.HasPrefix(field, "/"):
					e.depth, header = field, []string{"Depth", field}
				case field != "" || destined:
					continue
				}
				try := func(want int, granted ...scope.Operation) {
					p := new(patient)
					h, _ := writable(t, &Handler{store: p}, granted...)
					w := httptest.NewRecorder()
					err := h.ServeHTTP(w, visiting(h, w, ask(t, method, path, "", header...)).r, answers(200))
					if err != nil || w.Code != want || want == 403 && len(p.asked) > 0 {
						t.Errorf("%s %s %q with %v: %d, %v; asked: %q", method, path, header, granted, w.Code, err, p.asked)
					}
					count++
				}
				h, _ := writable(t, new(Handler), anything...)
				plan, err := e.planFor(visiting(h, nil, get("/")).files())
				if err != nil {
					try(400, anything...)
					continue
				}
				var needed []scope.Operation
				for _, d := range plan.demands {
					needed = append(needed, d.anyOf[0])
					try(403, slices.DeleteFunc(slices.Clone(anything), func(op scope.Operation) bool { return slices.Contains(d.anyOf, op) })...)
				}
				try(200, needed...)
				try(403)
			}
		}
	}
	if count < 200 {
		t.Errorf("only %d were tried", count)
	}
}

// TestLockName: two spellings of a root are one place.
func TestLockName(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := filepath.Abs("files")
	if err != nil {
		t.Fatal(err)
	}
	site := os.DirFS("/")
	one, ok := (&files{system: site, root: "files"}).lockName("/a")
	other, ok2 := (&files{system: site, root: here + "/"}).lockName("/a")
	if one != other || !ok || !ok2 {
		t.Errorf("%s, %s", one, other)
	}
}
