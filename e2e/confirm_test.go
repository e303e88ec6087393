package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// asking is config with confirm.
func asking(config, arguments string) string {
	return strings.Replace(config, "scope any", strings.TrimSpace("confirm "+arguments)+"\n\t\tscope any", 1)
}

// accepted is what Chromium sends with a navigation.
const accepted = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"

// open is a navigation, as a browser or whoever makes previews sends it.
func (s *server) open(target string, header ...string) answer {
	s.t.Helper()
	return s.get(target, append([]string{"Accept", accepted}, header...)...)
}

// press is what the button sends.
func (s *server) press(target string, header ...string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, target, append([]string{"Accept", accepted}, header...)...)
}

// wantPage checks that a is a page with the heading.
func (a answer) wantPage(t testing.TB, status int, heading string) answer {
	t.Helper()
	a.want(t, status)
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex", "Content-Disposition": "", "Etag": "", "Accept-Ranges": "",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(a.body, "<h1>"+heading+"</h1>") {
		t.Errorf("no heading %q in %s", heading, a.body)
	}
	if button := strings.Contains(a.body, "<button"); button != (heading == ready) {
		t.Errorf("button: %v", button)
	}
	return a
}

// ready is the heading of the page with the button.
const ready = "Ready to download"

func TestPreviewsSpendNothing(t *testing.T) {
	configs := map[string]string{
		"once": oneTime, "resumable": resumable("1h"), "spend request": strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tspend request\n\t\t}", 1),
	}
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "content of a"}, asking(config, ""))
			link := "/a.txt?download_token=" + once(t)
			for range 20 {
				s.open(link).wantPage(t, http.StatusOK, ready)
				s.open(link, "If-None-Match", "*").wantPage(t, http.StatusOK, ready)
				s.do(http.MethodHead, link, "Accept", accepted).want(t, http.StatusOK)
				s.do(http.MethodOptions, link, "Origin", "https://a.example", "Access-Control-Request-Method", "GET").want(t, http.StatusNoContent)
				s.press(link, "Sec-Fetch-Site", "same-origin").want(t, http.StatusForbidden)
			}
			if strings.Contains(s.logs(), "token spent") {
				t.Fatal("spent")
			}
			s.press(link).wantBody(t, "content of a")
			if name == "resumable" {
				return
			}
			s.press(link).wantPage(t, http.StatusUnauthorized, "Already used")
			s.open(link).wantPage(t, http.StatusUnauthorized, "Already used")
			wantProblem(t, s.get(link).want(t, http.StatusUnauthorized), "used")
			if n := strings.Count(s.logs(), "token spent"); n != 1 {
				t.Errorf("spent %d times", n)
			}
		})
	}
}

// TestPressedIsGET: the next handlers see a GET without a body.
func TestPressedIsGET(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %q %d %q", r.Method, r.RequestURI, body, r.ContentLength, r.Header.Get("Content-Type"))
	}))
	defer upstream.Close()
	s := start(t, nil, strings.Replace(asking(oneTime, ""), "file_server", "reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://"), 1))
	link := "/a?x=1&download_token=" + once(t)
	s.open(link).wantPage(t, http.StatusOK, ready)
	s.send(http.MethodPost, link, "a=b", "Content-Type", "application/x-www-form-urlencoded").wantBody(t, `GET /a?x=1 "" 0 ""`)
}

// TestUpstreamRefusesHEAD: an answer to HEAD has a length and no body.
func TestUpstreamRefusesHEAD(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			http.Error(w, "gone", http.StatusGone)
		} else if r.Method == http.MethodHead {
			http.Error(w, "no HEAD here", http.StatusMethodNotAllowed)
		}
	}))
	defer upstream.Close()
	s := start(t, nil, strings.Replace(asking(oneTime, ""), "file_server", "reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://"), 1))
	query := "?download_token=" + once(t)
	s.open("/gone"+query).want(t, http.StatusGone)
	if a := s.open("/a.txt"+query).wantPage(t, http.StatusOK, ready); strings.Contains(a.body, "byte") {
		t.Errorf("a size: %s", a.body)
	}
}

// TestPressedDownloads: what spends a token and what does not is the same as
// for a GET.
func TestPressedDownloads(t *testing.T) {
	config := strings.Replace(asking(oneTime, ""), "file_server", "fault off\n\tfile_server", 1)
	s := start(t, map[string]string{"a.txt": "content of a"}, config)
	link := "/a.txt?download_token=" + once(t)
	for _, fault := range []string{"error", "header, then error", "502", "announced body", "read error"} {
		if a := s.press(link, "Fault", fault); a.StatusCode < 500 {
			t.Errorf("%s: %d", fault, a.StatusCode)
		}
	}
	s.press("/missing?"+strings.SplitN(link, "?", 2)[1]).want(t, http.StatusNotFound)
	s.open(link).wantPage(t, http.StatusOK, ready)
	results := make(chan int, 8)
	for range cap(results) {
		go func() { results <- s.press(link).StatusCode }()
	}
	served := 0
	for range cap(results) {
		if <-results == http.StatusOK {
			served++
		}
	}
	if served != 1 {
		t.Errorf("served %d times", served)
	}
}

// TestPageAndGrant: once the download has begun, nobody is asked.
func TestPageAndGrant(t *testing.T) {
	content := random(t, 100_000)
	for _, arguments := range []string{"", "always"} {
		s := start(t, map[string]string{"f.bin": content}, asking(resumable("1h 4"), arguments))
		link := "/f.bin?download_token=" + once(t)
		s.open(link).wantPage(t, http.StatusOK, ready)
		etag := s.press(link).wantBody(t, content).Header.Get("Etag")
		a := s.get(link, "Range", "bytes=50000-", "If-Range", etag).want(t, http.StatusPartialContent)
		if a.body != content[50_000:] {
			t.Error("another part")
		}
		s.open(link, "Range", "bytes=99990-").want(t, http.StatusPartialContent)
		if a := s.open(link).want(t, http.StatusOK); strings.Contains(a.body, ready) {
			t.Error("asked again")
		}
		for range 3 {
			s.get(link, "Range", "bytes=0-1").want(t, http.StatusPartialContent)
		}
	}
}
