package e2e

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCacheControl: what is decided about caching reaches the client through file_server
// and header directives, for files, for what has not changed, and for what is refused.
func TestCacheControl(t *testing.T) {
	files := map[string]string{"a.txt": "a"}
	directive := func(options string) string {
		return `download_token {
		from query t
		from cookie c
		from header Authorization
		from header x-token
		key HS256 "` + secret + `"
		scope any
		` + options + `
	}
	file_server`
	}
	site := func(value, options string) string {
		return "header Cache-Control `" + value + "`\n" + directive(options)
	}
	once := "max_ttl 10m\n\t\tone_time"
	for _, tt := range []struct {
		name, config, in string
		life             int
		want             string
	}{
		{"in the query", directive(""), "query", 600, "private, max-age=60"},
		{"in the query, and the site's own", site("public, max-age=9", ""), "query", 600, "public, max-age=9"},
		{"in a cookie, and the site's own", site("public, max-age=9, s-maxage=99", ""), "cookie", 600, "private, no-cache"},
		{"one-time, and the site's own", site("public, max-age=9", once), "query", 600, "private, no-store"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, files, "header CDN-Cache-Control max-age=9\nheader Surrogate-Control max-age=9\nheader Edge-Control max-age=9\nheader X-Accel-Expires 9\n"+tt.config)
			s.put("dir/index.html", "i")
			targeted := func(a answer) string {
				return a.Header.Get("Cdn-Cache-Control") + a.Header.Get("Surrogate-Control") + a.Header.Get("Edge-Control") + a.Header.Get("X-Accel-Expires")
			}
			carried := func(token string) (query string, header []string) {
				switch tt.in {
				case "query":
					return "?t=" + token, nil
				case "cookie":
					return "", []string{"Cookie", "c=" + token}
				case "Authorization":
					return "", []string{"Authorization", "Bearer " + token}
				}
				return "", []string{tt.in, token}
			}
			get := func(path string, more ...string) answer {
				query, header := carried(mint(t, claims{"jti": rand.Text(), "exp": time.Now().Unix() + int64(tt.life)}))
				return s.get(path+query, append(header, more...)...)
			}
			varies := func(a answer) {
				t.Helper()
				var names []string
				for _, name := range strings.Split(strings.Join(a.Header.Values("Vary"), ","), ",") {
					names = append(names, strings.TrimSpace(name))
				}
				for _, name := range []string{"Cookie", "Authorization", "X-Token"} {
					if n := len(slices.DeleteFunc(slices.Clone(names), func(have string) bool { return have != name })); n != 1 {
						t.Errorf("status %d: %s is %d times in Vary %q", a.StatusCode, name, n, names)
					}
				}
			}
			a := get("/a.txt").want(t, http.StatusOK)
			if got := a.Header.Get("Cache-Control"); got != tt.want && !(tt.life < 60 && strings.HasPrefix(got, tt.want)) {
				t.Errorf("Cache-Control %q, want %q", got, tt.want)
			}
			if kept := strings.HasPrefix(tt.want, "public"); (targeted(a) != "") != kept {
				t.Errorf("caches in front are told %q", targeted(a))
			}
			if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
				t.Errorf("Referrer-Policy %q", got)
			}
			varies(a)
			same := get("/a.txt", "If-None-Match", a.Header.Get("Etag")).want(t, http.StatusNotModified)
			if got := same.Header.Get("Cache-Control"); got != a.Header.Get("Cache-Control") && tt.life > 60 {
				t.Errorf("304: Cache-Control %q", got)
			}
			varies(same)
			query, header := carried("x")
			refused := s.get("/a.txt"+query, header...).want(t, http.StatusUnauthorized)
			if got := refused.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("401: Cache-Control %q", got)
			}
			moved := get("/dir").want(t, http.StatusPermanentRedirect)
			page := s.get("/a.txt"+query, append(header, "Accept", "text/html")...).want(t, http.StatusUnauthorized)
			for name, a := range map[string]answer{"401": refused, "401, a page": page, "308": moved} {
				if got := targeted(a); got != "" && !(name == "308" && tt.in != "query" && strings.HasPrefix(tt.want, "public")) {
					t.Errorf("%s: caches in front are told %q", name, got)
				}
			}
			varies(refused)
			gone := get("/gone").want(t, http.StatusNotFound)
			if got := gone.Header.Get("Cache-Control"); tt.in != "query" && !strings.HasPrefix(got, "private, no-") {
				t.Errorf("404: Cache-Control %q", got)
			}
			varies(gone)
		})
	}
}

func TestAttachment(t *testing.T) {
	files := map[string]string{"a b.txt": "a", "übung \"1\".txt": "u", "dir/index.html": "i"}
	directive := func(filename string) string {
		return `download_token {
		key HS256 "` + secret + `"
		scope any
		attachment ` + filename + `
	}
	file_server`
	}
	t.Run("last segment", func(t *testing.T) {
		s := start(t, files, directive(""))
		query := "?download_token=" + mint(t, nil)
		for target, want := range map[string]string{
			"/a%20b.txt":                `attachment; filename="a b.txt"`,
			"/%C3%BCbung%20%221%22.txt": `attachment; filename="_bung \"1\".txt"; filename*=UTF-8''%C3%BCbung%20%221%22.txt`,
			"/dir/":                     "attachment",
		} {
			if got := s.get(target+query).want(t, http.StatusOK).Header.Get("Content-Disposition"); got != want {
				t.Errorf("%s: %q, want %q", target, got, want)
			}
		}
		if got := s.get("/none"+query).want(t, http.StatusNotFound).Header.Get("Content-Disposition"); got != "" {
			t.Errorf("404 with Content-Disposition %q", got)
		}
	})
	t.Run("given", func(t *testing.T) {
		s := start(t, files, directive(`"report of {http.request.uri.path.file}"`))
		got := s.get("/a%20b.txt?download_token="+mint(t, nil)).want(t, http.StatusOK).Header.Get("Content-Disposition")
		if got != `attachment; filename="report of a b.txt"` {
			t.Errorf("%q", got)
		}
	})
}

func TestPlaceholders(t *testing.T) {
	s := start(t, nil, `download_token {
		key HS256 "`+secret+`"
		scope any
		max_ttl 10m
		one_time
	}
	respond "{http.download_token.sub}|{http.download_token.nonce}|{http.download_token.scope}|{http.download_token.issuer}|{http.download_token.expires}|{http.download_token.reason}|{http.auth.user.id}|{http.download_token.fingerprint}"`)
	exp := time.Now().Add(time.Minute).Truncate(time.Second)
	token := mint(t, claims{"sub": "s {env.PATH}", "jti": "n", "scope": "c", "iss": "i", "exp": exp.Unix(), "user": "u"})
	got := s.get("/?download_token="+token).want(t, http.StatusOK).body
	want := "s {env.PATH}|n|c|i|" + exp.UTC().Format(time.RFC3339) + "||s {env.PATH}|"
	if fingerprint, ok := strings.CutPrefix(got, want); !ok || len(fingerprint) != 16 {
		t.Errorf("%q, want %q and a fingerprint", got, want)
	}
	if !strings.Contains(s.logs(), `"user_id":"s {env.PATH}"`) {
		t.Error("the access log has no user_id")
	}
}

func TestLargeFileIsDeliveredWhole(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
	s := start(t, map[string]string{"large.bin": large}, oneTime)
	s.get("/large.bin?download_token="+once(t)).wantBody(t, large)
	token := mint(t, claims{"jti": "r"})
	a := s.get("/large.bin?download_token="+token, "Accept-Encoding", "gzip, br", "Range", "bytes=0-9")
	a.wantBody(t, large)
}

func TestEncodeBehindTheDirective(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<12)
	s := start(t, map[string]string{"a.txt": large}, "encode gzip\n"+oneTime)
	a := s.get("/a.txt?download_token="+once(t), "Accept-Encoding", "gzip").wantBody(t, large)
	if got := a.Header.Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding %q", got)
	}
}
