package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestIssuerAnswers(t *testing.T) {
	s := start(t, nil, issuing(`link https://files.example.com:8443/a/{http.request.uri.query.file}?v=1&download_token={token}&n={http.request.uri.query.n}
			claim sub {http.auth.user.id}
			one_time`))
	t.Run("JSON", func(t *testing.T) {
		s.t = t
		a := s.as("cube", http.MethodPost, "/tokens?file=b/c%23d.txt&n=%C3%A9%26x", "Accept", "text/html, */*").want(t, http.StatusCreated)
		got := a.wantToken(t)
		if want := "https://files.example.com:8443/a/b/c%23d.txt?v=1&download_token=" + got.Token + "&n=%C3%A9%26x"; got.Link != want {
			t.Errorf("link %s, want %s", got.Link, want)
		}
		if got.ExpiresIn != 600 || got.ExpiresAt.Location() != time.UTC {
			t.Errorf("%+v", got)
		}
		if strings.Contains(got.location, got.Token) || !strings.HasPrefix(got.location, "/tokens/") {
			t.Errorf("Location %s", got.location)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "application/json", "Vary": "Accept",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
	for _, tt := range []struct {
		name, user, method, target string
		status                     int
		reason                     string
		header                     map[string]string
	}{
		{"GET", "cube", "GET", "/tokens", 405, "method", map[string]string{"Allow": "POST, DELETE"}},
		{"PUT", "cube", "PUT", "/tokens", 405, "method", map[string]string{"Allow": "POST, DELETE"}},
		{"a link without its file", "cube", "POST", "/tokens?n=1", 400, "claim", nil},
		{"a backslash", "cube", "POST", "/tokens?n=1&file=a%5Cb", 422, "bad_path", nil},
		{"a tab", "cube", "POST", "/tokens?n=1&file=a%09b", 422, "bad_path", nil},
		{"a line feed", "cube", "POST", "/tokens?n=1&file=a%0Ab", 422, "bad_path", nil},
		{"dot segments", "cube", "POST", "/tokens?n=1&file=../b", 422, "bad_path", nil},
		{"a doubled slash", "cube", "POST", "/tokens?n=1&file=/b", 422, "bad_path", nil},
		{"nothing to revoke", "cube", "DELETE", "/tokens", 404, "unknown", nil},
		{"a token that is none", "cube", "DELETE", "/tokens?download_token=abc", 404, "unknown", nil},
		{"an empty token", "cube", "DELETE", "/tokens?token=", 400, "malformed", nil},
		{"two tokens", "cube", "DELETE", "/tokens?token=a&token=b", 400, "malformed", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			a := s.as(tt.user, tt.method, tt.target).want(t, tt.status)
			wantProblem(t, a, tt.reason)
			if tt.header == nil {
				tt.header = map[string]string{}
			}
			tt.header["Cache-Control"], tt.header["Referrer-Policy"] = "no-store", "no-referrer"
			for name, want := range tt.header {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	t.Run("OPTIONS", func(t *testing.T) {
		s.t = t
		if a := s.as("cube", http.MethodOptions, "/tokens").want(t, http.StatusNoContent); a.Header.Get("Allow") != "POST, DELETE" {
			t.Errorf("Allow %q", a.Header.Get("Allow"))
		}
	})
	t.Run("a body", func(t *testing.T) {
		for size, want := range map[int]int{100: http.StatusCreated, 64<<10 + 1: http.StatusRequestEntityTooLarge} {
			req, err := http.NewRequest(http.MethodPost, s.url+"/tokens?file=a&n=1", strings.NewReader(strings.Repeat("x", size)))
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("cube", "cube1234")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%d bytes: %d, want %d", size, resp.StatusCode, want)
			}
		}
	})
}

func TestIssuerNeedsAUser(t *testing.T) {
	const body = `download_token_issuer /known* {
		key HS256 "` + secret + `"
		ttl 10m
	}
	download_token_issuer /anybody* {
		key HS256 "` + secret + `"
		ttl 10m
		claim sub {http.auth.user.id}
		claim scope "user:{http.request.header.X}"
		anonymous
	}`
	s := start(t, nil, body)
	a := s.do(http.MethodPost, "/known").want(t, http.StatusUnauthorized)
	wantProblem(t, a, "unauthenticated")
	if a.Header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
	wantProblem(t, s.do(http.MethodDelete, "/known/x").want(t, http.StatusUnauthorized), "unauthenticated")
	token := s.do(http.MethodPost, "/anybody", "X", "1").want(t, http.StatusCreated).wantToken(t)
	if payload := payloadOf(t, token.Token); len(payload) != 3 || payload["scope"] != "user:1" {
		t.Errorf("payload %v", payload)
	}
	// "user:" alone would say something that was not meant.
	wantProblem(t, s.do(http.MethodPost, "/anybody").want(t, http.StatusBadRequest), "claim")
	wantProblem(t, s.do(http.MethodPost, "/anybody", "X", strings.Repeat("x", 8000)).want(t, http.StatusBadRequest), "claim")
	wantProblem(t, s.do(http.MethodPost, "/anybody", "X", "\xff").want(t, http.StatusBadRequest), "claim")
}

func TestIssuerErrorRoutes(t *testing.T) {
	s := start(t, nil, issuing("one_time")+`
	handle_errors 401 405 {
		respond "custom {err.status_code} {err.message}" {err.status_code}
	}`)
	a := s.as("cube", http.MethodGet, "/tokens").want(t, http.StatusMethodNotAllowed)
	if a.body != "custom 405 download_token_issuer: method" || a.Header.Get("Allow") == "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q, %v", a.body, a.Header)
	}
	wantProblem(t, s.as("cube", http.MethodDelete, "/tokens/x").want(t, http.StatusNotFound), "unknown") // has no route
}

// TestIssuerCORS lets a page of another site make a token, as in docs/issuer.md.
func TestIssuerCORS(t *testing.T) {
	s := start(t, nil, strings.Replace(issuing("one_time"), users, `header Access-Control-Allow-Origin https://app.example.com
		@signed-in not method OPTIONS
		`+strings.Replace(users, "basic_auth", "basic_auth @signed-in", 1), 1))
	for method, want := range map[string]int{http.MethodOptions: http.StatusNoContent, http.MethodPost: http.StatusUnauthorized} {
		a := s.do(method, "/tokens", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST").want(t, want)
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example.com" {
			t.Errorf("%s: Access-Control-Allow-Origin %q", method, got)
		}
	}
	s.as("cube", http.MethodPost, "/tokens", "Origin", "https://app.example.com").want(t, http.StatusCreated)
}

// TestDocsIssuerGrammar compares docs/issuer.md with the grammar in the godoc of
// the directives.
func TestDocsIssuerGrammar(t *testing.T) {
	document := readText(t, "../docs/issuer.md")
	for _, file := range []string{"issuer.go", "session.go"} {
		source := readText(t, filepath.Join("..", "caddyfile", file))
		_, grammar, found := strings.Cut(source, "Syntax:\n//\n")
		grammar, _, _ = strings.Cut(grammar, "//\n// ")
		var block strings.Builder
		for line := range strings.Lines(grammar) {
			block.WriteString(strings.TrimPrefix(strings.TrimPrefix(line, "//"), "\t"))
		}
		if want := "```text\n" + block.String() + "```\n"; !found || !strings.Contains(document, want) {
			t.Errorf("docs/issuer.md lacks the grammar of %s:\n%s", file, want)
		}
	}
}
