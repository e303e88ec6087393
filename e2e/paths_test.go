package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tricks are targets of requests that lead out of /pub, or nowhere.
func tricks(site string) []string {
	return []string{
		"/pub/../priv/x", "/pub/..%2fpriv/x", "/pub/..%2Fpriv%2Fx", "/pub/%2e%2e/priv/x", "/pub/%252e%252e/priv/x", "/pub/.%2e/a.txt",
		"/pub//..//priv/x", "//pub/x", "/PUB/x", "/pub%5c..%5cpriv%5cx", "/pub/x%00.txt", "/pub/x;a=b", "/pub",
		"/publish/x", "/pub./x", "/pub%20/x", "/pub::$DATA", "/sub%2f..%2fa.txt", "/pub%2f..%2fa.txt", "/%2e%2e%2fa.txt", "/../a.txt",
		"//a.txt", "/./a.txt", "/pub/./x", "/pub//x", "/pub%2Fx", "/pub\\x", "/pub%5cx", "/a.txt/.", "/a.txt", "/priv/x", "/", "*", "/link/x",
		site + "/a.txt", site + "/pub/../a.txt", "/pub/..", "/pub/../", "/pub/..;/a.txt", "/pub/%c0%ae%c0%ae/a.txt", "/pub/\t/../../a.txt",
		"/pub%3f/../a.txt", "/pub/x%2f..%2f..%2fa.txt", "/%70ub/../a.txt", "/pub/%2e%2e%2f%2e%2e%2fa.txt", "/pub/x/../../a.txt",
	}
}

// TestPathTricks sends every probe of the corpus with a token for /pub/*. A
// probe may be refused or open something in /pub; it must never open anything
// else.
func TestPathTricks(t *testing.T) {
	s := start(t, map[string]string{
		"pub/x":              "granted",
		"pub/x.txt":          "granted",
		"pub/dir/index.html": "granted",
		"pub/..hidden":       "granted",
		"pub/%41.txt":        "granted",
		"pub/sp ace.txt":     "granted",
		"pub/übung.txt":      "granted",
		"a.txt":              "planted-content",
		"priv/x":             "planted-content",
		"publish/x":          "planted-content",
		"PUB/x":              "planted-content",
		"pub./x":             "planted-content",
		"pub /x":             "planted-content",
		"pub\\x":             "planted-content",
		"index.html":         "planted-content",
	}, `download_token {
		key HS256 "`+secret+`"
		scope template folder:{name} /{name}/*
	}
	file_server browse`)
	if err := os.Symlink("pub", filepath.Join(s.root, "link")); err != nil {
		t.Fatal(err)
	}
	token := "download_token=" + mint(t, claims{"scope": "folder:pub"})
	for _, probe := range tricks(s.url) {
		s.t = t
		separator := "?"
		if strings.Contains(probe, "?") {
			separator = "&"
		}
		a := s.raw(probe + separator + token)
		if a.StatusCode < 400 || strings.Contains(a.body, "planted") {
			t.Errorf("%s: status %d, body %q", probe, a.StatusCode, a.body)
		}
	}
	for _, probe := range []string{
		"/pub/x", "/pub/x.txt", "/pub/dir/", "/pub/..hidden", "/pub/%2541.txt", "/pub/sp%20ace.txt", "/pub/%C3%BCbung.txt", "/%70ub/x",
		s.url + "/pub/x",
	} {
		a := s.raw(probe + "?" + token)
		if a.StatusCode != http.StatusOK || a.body != "granted" {
			t.Errorf("%s: status %d, body %q", probe, a.StatusCode, a.body)
		}
	}
	if a := s.raw("/pub/?" + token); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "x.txt") {
		t.Errorf("/pub/ is not listed: %d", a.StatusCode)
	}
}

func TestPathPrefix(t *testing.T) {
	s := start(t, map[string]string{"x.txt": "x"}, `handle_path /pub/* {
		download_token {
			key HS256 "`+secret+`"
			scope template file:{name} /pub/{name}
			path_prefix /pub
		}
		file_server
	}`)
	token := mint(t, claims{"scope": "file:x.txt"})
	s.get("/pub/x.txt?download_token="+token).wantBody(t, "x")
	s.get("/pub/y.txt?download_token="+token).want(t, http.StatusForbidden)
}

func TestCanonicalRedirect(t *testing.T) {
	s := start(t, map[string]string{
		"dir/index.html":            "index",
		"a.txt":                     "a",
		"sp ace/index.html":         "index",
		"übung/index.html":          "index",
		"q?d/index.html":            "index",
		"evil.example/x/index.html": "index",
	}, oneTime)
	for asked, want := range map[string]string{
		"/dir":        "/dir/",
		"/a.txt/":     "/a.txt",
		"/sp%20ace":   "/sp%20ace/",
		"/q%3Fd":      "/q%3Fd/",
		"/%c3%bcbung": "/%c3%bcbung/",
		"/%64ir":      "/%64ir/",
	} {
		t.Run(asked, func(t *testing.T) {
			s.t = t
			token := once(t)
			a := s.raw(asked + "?x=1&download_token=" + token + "&y=%20")
			a.want(t, http.StatusPermanentRedirect)
			location := a.Header.Get("Location")
			if location != want+"?x=1&download_token="+token+"&y=%20" {
				t.Fatalf("Location %q", location)
			}
			if got := a.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			if strings.Contains(a.body, token) {
				t.Error("the body has the token")
			}
			s.raw(location).want(t, http.StatusOK)
			s.raw(location).want(t, http.StatusUnauthorized)
		})
	}
	for _, asked := range []string{"/%5Cevil.example/x", "/%5C%5Cevil.example/x", "//evil.example/x", "/%2Fevil.example/x", "/.//evil.example/x", "/\\evil.example/x"} {
		t.Run(asked, func(t *testing.T) {
			s.t = t
			a := s.raw(asked + "?download_token=" + once(t))
			a.want(t, http.StatusBadRequest)
			if got := a.Header.Get("Location"); got != "" {
				t.Errorf("Location %q", got)
			}
		})
	}
}

func TestCanonicalRedirectElsewhere(t *testing.T) {
	files := map[string]string{"dir/index.html": "index"}
	directive := `download_token {
			from query download_token
			from cookie session
			key HS256 "` + secret + `"
			scope any
		}`
	t.Run("handle_path", func(t *testing.T) {
		s := start(t, files, directive+"\n\thandle_path /pub/* {\n\t\tfile_server\n\t}")
		token := mint(t, nil)
		a := s.get("/pub/dir?download_token="+token).want(t, http.StatusPermanentRedirect)
		if got := a.Header.Get("Location"); got != "/pub/dir/?download_token="+token {
			t.Errorf("Location %q", got)
		}
	})
	t.Run("a token in a cookie does not go into the URL", func(t *testing.T) {
		s := start(t, files, directive+"\n\tfile_server")
		token := mint(t, nil)
		a := s.get("/dir?x=1", "Cookie", "session="+token).want(t, http.StatusPermanentRedirect)
		if got := a.Header.Get("Location"); got != "/dir/?x=1" {
			t.Errorf("Location %q", got)
		}
	})
	t.Run("another redirect gets no token", func(t *testing.T) {
		s := start(t, files, directive+"\n\troute {\n\t\tredir /dir https://evil.example/dir/ 308\n\t}")
		a := s.get("/dir?download_token="+mint(t, nil)).want(t, http.StatusPermanentRedirect)
		if got := a.Header.Get("Location"); got != "https://evil.example/dir/" {
			t.Errorf("Location %q", got)
		}
	})
}
