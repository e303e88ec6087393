package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestFromPath: with the token in a parameter of the path, the file is served that the
// path is for without it, and no other; and nothing tells the token.
func TestFromPath(t *testing.T) {
	files := map[string]string{
		"a/b.txt": "b", "a/index.html": "index", "a/sub/c.txt": "c", "a/sub/index.html": "sub", "a/b.txt;v=1": "with a parameter", "a/p;q.txt": "semicolon",
		"secret.txt": "secret", "a;tok=x/secret.txt": "secret", "index.html": "root",
	}
	s := start(t, files, `download_token {
		from path tok
		key HS256 "`+secret+`"
		scope path
	}
	handle /respond/* {
		respond "{uri} {path} {http.request.orig_uri} {http.request.orig_uri.path}"
	}
	file_server
	handle_errors {
		respond "{err.status_code} {uri} {path} {http.request.orig_uri} {http.request.orig_uri.path}"
	}`)
	token := mint(t, claims{"scope": "download:/a/ download:/respond/"})
	link := ";tok=" + token
	for _, tt := range []struct {
		name, target string // in which § is the parameter
		status       int
		body         string // "": any
	}{
		{"at the end", "/a/b.txt§", 200, "b"},
		{"in a middle segment", "/a§/b.txt", 200, "b"},
		{"deeper", "/a/sub§/c.txt", 200, "c"},
		{"in front of another parameter", "/a/b.txt§;v=1", 200, "with a parameter"},
		{"behind another parameter", "/a/b.txt;v=1§", 200, "with a parameter"},
		{"with a query", "/a/b.txt§?x=1", 200, "b"},
		{"a name with a semicolon", "/a/p%3Bq.txt§", 200, "semicolon"},
		{"a folder", "/a§/", 200, "index"},
		{"a folder, behind its slash", "/a/§", 200, "index"},
		{"encoded", "/a/b.txt;%74o%6B=" + strings.ReplaceAll(token, ".", "%2E"), 200, "b"},

		{"outside of its scope", "/secret.txt§", 403, "403 /secret.txt /secret.txt /secret.txt /secret.txt"},
		{"the root", "/§", 403, "403 / / / /"},
		{"a name that begins with the scope's", "/a%3Btok=x/secret.txt§", 403, ""},
		{"up, behind it", "/a§/../secret.txt", 400, ""},
		{"up, in front of it", "/a/..§/secret.txt", 400, ""},
		{"up, encoded", "/a/%2e%2e§/secret.txt", 400, ""},
		{"a dot", "/a/.§/b.txt", 400, ""},
		{"a segment of its own", "/a/§/b.txt", 400, ""},
		{"an encoded slash", "/a%2Fb.txt§", 400, ""},
		{"twice", "/a§/b.txt§", 400, ""},
		{"twice in a segment", "/a/b.txt§§", 400, ""},
		{"twice, once empty", "/a/b.txt§;tok", 400, ""},
		{"empty", "/a/b.txt;tok=", 401, ""},
		{"cut off by a slash", "/a/b.txt" + link[:20] + "/" + link[20:], 401, ""},
		{"more behind it", "/a/b.txt§,x", 401, ""},
		{"other case", "/a/b.txt;TOK=" + token, 401, ""},
		{"a longer name", "/a/b.txt;tokk=" + token, 401, ""},
		{"an escaped semicolon", "/a/b.txt%3Btok=" + token, 401, ""},
		{"no semicolon", "/tok=" + token + "/a/b.txt", 401, ""},
		{"in the query", "/a/b.txt?§", 401, ""},
		{"none", "/a/b.txt", 401, ""},
		{"not there", "/a/missing.txt§?x=1", 404, "404 /a/missing.txt?x=1 /a/missing.txt /a/missing.txt?x=1 /a/missing.txt"},
		{"placeholders", "/respond/x§?y=1", 200, "/respond/x?y=1 /respond/x /respond/x?y=1 /respond/x"},
	} {
		a := s.raw(strings.ReplaceAll(tt.target, "§", link))
		if a.StatusCode != tt.status || tt.body != "" && a.body != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.name, a.StatusCode, a.body, tt.status, tt.body)
		}
		if tt.status/100 == 4 && tt.status != 401 && strings.Contains(a.body, token) {
			t.Errorf("%s: the token is told: %q", tt.name, a.body)
		}
	}
	// The redirects of file_server lead where the token is, and nobody keeps them.
	for target, want := range map[string]string{
		"/a/sub§?x=1":    "/a/sub§/?x=1",
		"/a/b.txt§/":     "/a/b.txt§",
		"/a§/b.txt/?x=1": "/a§/b.txt?x=1",
	} {
		a := s.raw(strings.ReplaceAll(target, "§", link)).want(t, http.StatusPermanentRedirect)
		if got := strings.ReplaceAll(a.Header.Get("Location"), link, "§"); got != want || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: to %q, %v", target, got, a.Header)
		}
	}
	if got := s.raw("/a/b.txt" + link).Header.Get("Cache-Control"); !strings.HasPrefix(got, "private, max-age=") {
		t.Errorf("Cache-Control %q", got) // the URL tells tokens apart
	}
	if !strings.Contains(s.logs(), `/a/b.txt;tok=jwt:`) {
		t.Error("no line of the log shows where the token was: this test shows nothing")
	}
}

// TestFromPathOnce: a one-time token in the path is used once, HEAD costs nothing, and
// behind handle_path it is found as well.
func TestFromPathOnce(t *testing.T) {
	s := start(t, map[string]string{"b.txt": "b"}, `handle_path /pub/* {
		download_token {
			from query download_token
			from path tok
			key HS256 "`+secret+`"
			scope path
			path_prefix /pub
			max_ttl 10m
			one_time
		}
		file_server
	}`)
	link := "/pub/b.txt;tok=" + mint(t, claims{"scope": "download:/pub/b.txt", "jti": "planted"})
	s.do(http.MethodHead, link).want(t, http.StatusOK)
	s.get(link).wantBody(t, "b")
	s.get(link).want(t, http.StatusUnauthorized)
	// The first source that is there decides.
	other := "/pub/b.txt;tok=" + mint(t, claims{"scope": "download:/pub/b.txt", "jti": "planted, too"})
	s.get(other+"?download_token=x").want(t, http.StatusUnauthorized)
	s.get(other).wantBody(t, "b")
}
