package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCacheControl(t *testing.T) {
	files := map[string]string{"a.txt": "a"}
	directive := func(options string) string {
		return `download_token {
		from query t
		from cookie c
		key HS256 "` + secret + `"
		scope any
		` + options + `
	}
	file_server`
	}
	for _, tt := range []struct{ name, config, cookie, want string }{
		{"time-limited", directive(""), "", "private, max-age="},
		{"one-time", directive("max_ttl 10m\n\t\tone_time"), "", "private, no-store"},
		{"one-time and the site's own", "header Cache-Control \"public, max-age=9\"\n" + directive("max_ttl 10m\n\t\tone_time"), "", "private, no-store"},
		{"the site's own", "header Cache-Control \"public, max-age=9\"\n" + directive(""), "", "public, max-age=9"},
		{"the site's own, with a cookie", "header Cache-Control \"public, max-age=9, s-maxage=99\"\n" + directive(""), "c=", "private, max-age=9"},
		{"with a cookie", directive(""), "c=", "private, max-age="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, files, tt.config)
			var a answer
			if tt.cookie != "" {
				a = s.get("/a.txt", "Cookie", tt.cookie+mint(t, claims{"jti": "j"}))
			} else {
				a = s.get("/a.txt?t=" + mint(t, claims{"jti": "j", "exp": time.Now().Unix() + 60}))
			}
			a.want(t, http.StatusOK)
			got := a.Header.Get("Cache-Control")
			if seconds, ok := strings.CutPrefix(got, tt.want); ok && strings.HasSuffix(tt.want, "max-age=") {
				if n, err := strconv.Atoi(seconds); err != nil || n < 50 || n > 60 {
					t.Errorf("Cache-Control %q", got)
				}
			} else if got != tt.want {
				t.Errorf("Cache-Control %q, want %q", got, tt.want)
			}
			if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
				t.Errorf("Referrer-Policy %q", got)
			}
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
