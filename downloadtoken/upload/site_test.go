package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/ticket"
)

// permits says what a ticket permits.
type permits func(op scope.Operation, path string) bool

// only permits some operations, everywhere.
func only(ops ...scope.Operation) permits {
	return func(op scope.Operation, _ string) bool { return slices.Contains(ops, op) }
}

var (
	creating = only(scope.CreateFile, scope.CreateFolder)
	all      = only(scope.CreateFile, scope.CreateFolder, scope.OverwriteFile)
)

// site is a server with the handler behind what stands for download_token.
type site struct {
	*httptest.Server
	t    testing.TB
	root string
	logs *observer.ObservedLogs

	mu      sync.Mutex
	claims  *token.Claims
	permits permits // nil: there is no ticket
	page    bool    // PageOnly
	paged   bool    // of the last ticket
}

func newSite(t testing.TB, u *Upload) *site {
	t.Helper()
	s := &site{t: t, root: t.TempDir(), permits: creating, claims: claimsOf(t, nil)}
	if filepath.IsAbs(u.Root) {
		s.root = u.Root
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := u.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	u.logger, s.logs = zap.New(core), logs
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repl := caddy.NewReplacer()
		r = caddyhttp.PrepareRequest(r, repl, w, new(caddyhttp.Server))
		caddyhttp.SetVar(r.Context(), "root", s.root)
		repl.Set("http.vars.root", s.root)
		s.mu.Lock()
		var given *ticket.Ticket
		if s.permits != nil {
			given = &ticket.Ticket{Claims: s.claims, Permits: s.permits, PageOnly: s.page}
			r = ticket.With(r, given)
		}
		s.mu.Unlock()
		if err := u.ServeHTTP(w, r, next); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		s.mu.Lock()
		s.paged = given != nil && given.Page
		s.mu.Unlock()
	}))
	t.Cleanup(s.Server.Close)
	return s
}

// claimsOf are the claims of a token.
func claimsOf(t testing.TB, members map[string]any) *token.Claims {
	t.Helper()
	const secret = "secret-of-the-uploads-0123456789-abcdefghij"
	payload := jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(payload, members)
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, payload).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := token.ParseKey("HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := (&token.Verifier{Keys: keys}).Verify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return &verified.Claims
}

// put makes a file of the site.
func (s *site) put(name, content string) {
	s.t.Helper()
	file := filepath.Join(s.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// files are those of the site, with their content, folders with a slash; whatever their
// names begin with.
func (s *site) files() map[string]string {
	s.t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == s.root {
			return err
		}
		name, _ := filepath.Rel(s.root, path)
		if d.IsDir() {
			found[filepath.ToSlash(name)+"/"] = ""
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // a draft that is gone since
			return nil
		}
		found[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// answer is what a client got.
type answer struct {
	*http.Response
	body string
}

// do sends a request; header is name, value, name, value...
func (s *site) do(method, path string, body io.Reader, header ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(text)}
}

// form is a body with fields in this order, and a file; its type is guessed by nothing.
func form(fields [][2]string, name, mediaType, content string) (body *bytes.Buffer, contentType string) {
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for _, field := range fields {
		_ = w.WriteField(field[0], field[1])
	}
	header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename="%s"`, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name))}}
	if mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	part, _ := w.CreatePart(header)
	_, _ = io.WriteString(part, content)
	_ = w.Close()
	return body, w.FormDataContentType()
}

// post sends a form.
func (s *site) post(path, name, content string, header ...string) answer {
	s.t.Helper()
	body, contentType := form(nil, name, "application/octet-stream", content)
	return s.do(http.MethodPost, path, body, append(header, "Content-Type", contentType)...)
}

func (s *site) mkdir(name string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.root, name), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) remove(name string) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.root, filepath.FromSlash(name))); err != nil {
		s.t.Fatal(err)
	}
}

// The types of extensions that not every system knows.
func init() {
	for extension, mediaType := range map[string]string{
		".txt": "text/plain", ".ico": "image/vnd.microsoft.icon", ".zip": "application/zip", ".ogg": "audio/ogg", ".mp4": "video/mp4",
		".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	} {
		if err := mime.AddExtensionType(extension, mediaType); err != nil {
			panic(err)
		}
	}
}

// missing ends a test that cannot run on this machine; if DOWNLOAD_TOKEN_STRICT is set, it
// has failed.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DOWNLOAD_TOKEN_STRICT") != "" {
		t.Fatal("missing: " + what)
	}
	t.Skip("missing: " + what)
}
