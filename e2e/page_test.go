package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

// TestErrorRoutesComeBeforePages: a site that has an answer of its own gives it, to people
// as well.
func TestErrorRoutesComeBeforePages(t *testing.T) {
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
