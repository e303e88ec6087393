package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	styleElement  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	scriptElement = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
)

// sourceOf is how Content-Security-Policy allows what stands in an element of a
// page.
func sourceOf(t testing.TB, element *regexp.Regexp, page string) string {
	t.Helper()
	found := element.FindAllStringSubmatch(page, -1)
	if len(found) != 1 {
		t.Fatalf("%d of %v", len(found), element)
	}
	sum := sha256.Sum256([]byte(found[0][1]))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func TestPageHeaders(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, "header Content-Disposition attachment\nheader Etag mine\n"+asking(oneTime, ""))
	token := once(t)
	page := s.open("/a.txt?x=%22%3E%3Cscript%3E&download_token="+token).wantPage(t, http.StatusOK, ready)
	used := s.open("/a.txt").wantPage(t, http.StatusUnauthorized, "This link is not complete")
	for _, a := range []answer{page, used} {
		want := "default-src 'none'; style-src " + sourceOf(t, styleElement, a.body) + "; script-src " + sourceOf(t, scriptElement, page.body) +
			"; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
		if got := a.Header.Get("Content-Security-Policy"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, part := range append(strings.Split(token, "."), "<script src", `"><script`, "style=", "onclick=", "action=", "://") {
			if strings.Contains(a.body, part) {
				t.Errorf("%q in %s", part, a.body)
			}
		}
	}
	if got := used.Header.Get("WWW-Authenticate"); got != "Bearer" {
		t.Errorf("WWW-Authenticate %q", got)
	}
	if a := s.press("/a.txt?download_token="+token).wantBody(t, "a"); a.Header.Get("Content-Disposition") != "attachment" {
		t.Errorf("the file lost what the site set: %v", a.Header)
	}
}

func TestPageNames(t *testing.T) {
	for file, shown := range map[string]string{
		"annual report.pdf":                     "annual report.pdf",
		"Jahresübersicht 漢字 🎉.pdf":              "Jahresübersicht 漢字 🎉.pdf",
		"تقرير سنوي.pdf":                        "تقرير سنوي.pdf",
		"gpj.\u202Efdp.exe":                     "gpj.fdp.exe",
		`<img src=x onerror=alert(1)>"'&.txt`:   `<img src=x onerror=alert(1)>"'&.txt`,
		`{{.Title}}.txt`:                        `{{.Title}}.txt`,
		strings.Repeat("long-", 40) + "name.gz": strings.Repeat("long-", 40) + "name.gz",
	} {
		t.Run(strings.Trim(shown, "{}"), func(t *testing.T) { // braces mean something in root
			s := start(t, map[string]string{file: strings.Repeat("x", 1_234_567)}, asking(oneTime, ""))
			link := "/" + url.PathEscape(file) + "?download_token=" + once(t)
			a := s.open(link).wantPage(t, http.StatusOK, ready)
			name := regexp.MustCompile(`<bdi>(.*?)</bdi>`).FindStringSubmatch(a.body)
			if name == nil || html.UnescapeString(name[1]) != shown {
				t.Errorf("shown as %q", name)
			}
			if strings.Contains(a.body, "<img") || strings.Contains(a.body, `"'&.txt`) {
				t.Errorf("not escaped: %s", a.body)
			}
			if !strings.Contains(a.body, "1.2 MB (1234567 bytes)") {
				t.Errorf("no size in %s", a.body)
			}
			if a := s.press(link).want(t, http.StatusOK); len(a.body) != 1_234_567 {
				t.Errorf("%d bytes", len(a.body))
			}
		})
	}
}

func TestPageSizes(t *testing.T) {
	for size, shown := range map[int]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 KB (1000 bytes)", 9_949: "9.9 KB (9949 bytes)", 9_950: "10 KB (9950 bytes)",
		999_499: "999 KB (999499 bytes)", 999_500: "1.0 MB (999500 bytes)",
	} {
		s := start(t, map[string]string{"a.txt": strings.Repeat("x", size)}, "encode gzip\n"+asking(limited, ""))
		a := s.open("/a.txt?download_token="+once(t), "Accept-Encoding", "gzip").wantPage(t, http.StatusOK, ready)
		if !strings.Contains(a.body, ">"+shown+"<") {
			t.Errorf("%d bytes: want %s in %s", size, shown, a.body)
		}
	}
}

// TestPageIsAboutWhatWouldBeServed: whatever is not a file is answered as it is
// without confirm.
func TestPageIsAboutWhatWouldBeServed(t *testing.T) {
	files := map[string]string{"a.txt": "a", "dir/index.html": "index", "bare/x.txt": "x"}
	config := strings.Replace(asking(oneTime, ""), "confirm", "confirm\n\t\tattachment \"given.txt\"", 1)
	s := start(t, files, strings.Replace(config, "file_server", `handle_path /pub/* {
		file_server
	}
	handle /bad/* {
		rewrite * /a.txt
		file_server
	}
	handle /gone {
		error 410
	}
	handle /away {
		redir https://other.example/x 302
	}
	handle /text {
		respond "not yours" 418
	}
	handle {
		fault off
		file_server browse
	}`, 1))
	query := "?download_token=" + once(t)
	for target, status := range map[string]int{"/none.txt": 404, "/gone": 410, "/bad/other.txt": 500} {
		s.open(target+query).want(t, status)
	}
	if a := s.open("/away"+query).want(t, http.StatusFound); a.Header.Get("Location") != "https://other.example/x" {
		t.Errorf("Location %q", a.Header.Get("Location"))
	}
	if a := s.open("/text"+query).want(t, http.StatusTeapot); a.body != "not yours" {
		t.Errorf("body %q", a.body)
	}
	if a := s.open("/dir"+query).want(t, http.StatusPermanentRedirect); a.Header.Get("Location") != "/dir/"+query {
		t.Errorf("Location %q", a.Header.Get("Location"))
	}
	for _, target := range []string{"/a.txt", "/dir/", "/bare/", "/pub/a.txt"} {
		if a := s.open(target+query).wantPage(t, http.StatusOK, ready); !strings.Contains(a.body, "<bdi>given.txt</bdi>") {
			t.Errorf("%s: %s", target, a.body)
		}
	}
	// one that does not know HEAD says nothing about the file
	for _, status := range []string{"405", "501"} {
		if a := s.open("/a.txt"+query, "Fault", status).wantPage(t, http.StatusOK, ready); strings.Contains(a.body, "byte") {
			t.Errorf("a size: %s", a.body)
		}
	}
	s.open("/a.txt"+query, "Fault", "header, then error").want(t, http.StatusBadGateway)
	s.press("/pub/a.txt"+query).wantBody(t, "a")
}

// TestRefusalsForPeople: with confirm or without, whoever accepts HTML gets a
// page, and the header stays what it is for programs.
func TestRefusalsForPeople(t *testing.T) {
	for name, config := range map[string]string{"without confirm": oneTime, "with confirm": asking(oneTime, "")} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "a"}, config)
			used := once(t)
			s.get("/a.txt?download_token="+used).wantBody(t, "a")
			s.revoke(`{"nonce":"revoked"}`)
			for _, tt := range []struct {
				status                int
				told, heading, target string
			}{
				{401, "used", "Already used", "/a.txt?download_token=" + used},
				{401, "expired", "Too late", "/a.txt?download_token=" + mint(t, claims{"exp": time.Now().Unix() - 1})},
				{401, "missing", "This link is not complete", "/a.txt"},
				{401, "malformed", "This link is damaged", "/a.txt?download_token=x"},
				{400, "malformed", "This link is damaged", "//a.txt?download_token=" + once(t)},
				{401, "invalid", "This link does not work", "/a.txt?download_token=" + mint(t, claims{"jti": "revoked"})},
				{401, "invalid", "This link does not work", "/a.txt?download_token=" + once(t) + "A"},
			} {
				person, program := s.open(tt.target).wantPage(t, tt.status, tt.heading), s.get(tt.target).want(t, tt.status)
				wantProblem(t, program, tt.told)
				if got, want := person.Header.Get("WWW-Authenticate"), program.Header.Get("WWW-Authenticate"); got != want {
					t.Errorf("%s: WWW-Authenticate %q, want %q", tt.told, got, want)
				}
			}
			if a := s.open("/a.txt?download_token="+once(t), "Early-Data", "1").wantPage(t, http.StatusTooEarly, "One moment"); !strings.Contains(a.body, `<a href="">Try again</a>`) {
				t.Error("cannot be tried again")
			}
		})
	}
	t.Run("error routes come first", func(t *testing.T) {
		s := start(t, map[string]string{"a.txt": "a"}, asking(oneTime, "")+"\n\thandle_errors {\n\t\trespond \"mine {err.status_code} {http.download_token.reason}{header.If-Match}\"\n\t}")
		link := "/a.txt?download_token=" + once(t)
		if a := s.press(link, "Sec-Fetch-Mode", "navigate").want(t, http.StatusForbidden); a.body != "mine 403 unconfirmed" {
			t.Errorf("body %q", a.body)
		}
		s.press(link).wantBody(t, "a")
		if a := s.open(link).want(t, http.StatusUnauthorized); a.body != "mine 401 replayed" {
			t.Errorf("body %q", a.body)
		}
		if a := s.open("/none?download_token="+once(t), "If-Match", "restored").want(t, http.StatusNotFound); a.body != "mine 404 restored" {
			t.Errorf("body %q", a.body)
		}
	})
}

func TestPageTemplate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(`<title>{{.State}}</title>{{if eq .State "page"}}<style>p { color: green }</style>
<form method=post><p>{{.Name}}|{{.Size}}|{{.Bytes}}|{{.Status}}<button>Go</button></form>{{else}}<style>p { color: red }</style>
<p>{{.Title}}|{{.Detail}}|{{.Status}}|{{.Retry}}{{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, map[string]string{"a&b.txt": "ab"}, asking(oneTime, file))
	if err := os.WriteFile(file, []byte("broken {{"), 0o600); err != nil { // it was read at load
		t.Fatal(err)
	}
	link := "/a&b.txt?download_token=" + once(t)
	page := s.open(link).want(t, http.StatusOK)
	if !strings.Contains(page.body, "<p>a&amp;b.txt|2 bytes|2|200<") {
		t.Errorf("body %s", page.body)
	}
	s.press(link).wantBody(t, "ab")
	used := s.open(link).want(t, http.StatusUnauthorized)
	if !strings.Contains(used.body, "<p>Already used|This link has been used already. Ask for a new one.|401|false") {
		t.Errorf("body %s", used.body)
	}
	for _, a := range []answer{page, used} {
		sum := sha256.Sum256([]byte(styleElement.FindStringSubmatch(a.body)[1]))
		if !strings.Contains(a.Header.Get("Content-Security-Policy"), base64.StdEncoding.EncodeToString(sum[:])) {
			t.Errorf("its style is blocked: %s", a.Header.Get("Content-Security-Policy"))
		}
	}
}

// TestDocsPage loads the template of the documents.
func TestDocsPage(t *testing.T) {
	for _, b := range blocksOf(t, "../docs/confirm.md") {
		if b.info != "html" {
			continue
		}
		file := filepath.Join(t.TempDir(), "page.html")
		write(t, file, b.text)
		s := start(t, map[string]string{"a.txt": "a"}, asking(oneTime, file))
		link := "/a.txt?download_token=" + once(t)
		s.open(link).wantPage(t, http.StatusOK, ready)
		s.press(link).wantBody(t, "a")
		s.open(link).wantPage(t, http.StatusUnauthorized, "Already used")
		return
	}
	t.Error("no template found")
}

// sha256Of is the digest of a file, in hexadecimal.
func sha256Of(content string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
}
