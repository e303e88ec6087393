package e2e

import (
	"strings"
	"testing"
)

// TestOptional has public and private files under one tree, told apart behind the
// directive by whether there was a token.
func TestOptional(t *testing.T) {
	const site = `download_token {
		key HS256 SECRET
		from query download_token
		from header Authorization
		max_ttl 10m
		scope path
		optional
		ONE_TIME
	}
	@stranger {
		path /private/*
		vars {http.download_token.fingerprint} ""
	}
	error @stranger 401
	header >X-Seen "{http.download_token.fingerprint}|{http.download_token.reason}|{http.request.orig_uri}"
	file_server`
	files := map[string]string{"public/a.txt": "public", "private/b.txt": "private"}
	for name, oneTime := range map[string]string{"any number of times": "", "one_time": "one_time"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, strings.NewReplacer("SECRET", `"`+secret+`"`, "ONE_TIME", oneTime).Replace(site))
			of := func(path string) string { return mint(t, claims{"jti": t.Name() + path, "scope": "download:" + path}) }
			public := s.get("/public/a.txt?x=1")
			if public.StatusCode != 200 || public.body != "public" || public.Header.Get("X-Seen") != "||/public/a.txt?x=1" ||
				!strings.Contains(strings.Join(public.Header["Vary"], ","), "Authorization") || public.Header.Get("Cache-Control") != "" {
				t.Errorf("without a token: %d %q %v", public.StatusCode, public.body, public.Header)
			}
			if resp := s.get("/private/b.txt"); resp.StatusCode != 401 || strings.Contains(resp.body, "private") {
				t.Errorf("a private file without a token: %d", resp.StatusCode)
			}
			private := s.get("/private/b.txt?download_token=" + of("/private"))
			if private.StatusCode != 200 || private.body != "private" || !strings.HasSuffix(private.Header.Get("X-Seen"), "||/private/b.txt") ||
				len(private.Header.Get("X-Seen")) != 16+len("||/private/b.txt") {
				t.Errorf("a private file with a token: %d %q %v", private.StatusCode, private.body, private.Header)
			}
			// A token that is refused is no better than it is at a private file.
			for name, bad := range map[string][]string{
				"forged":        {"?download_token=" + of("/public") + "x"},
				"empty":         {"?download_token="},
				"twice":         {"?download_token=a&download_token=b"},
				"of elsewhere":  {"?download_token=" + of("/private")},
				"empty Bearer":  {"", "Authorization", "Bearer"},
				"after another": {"?download_token=x", "Authorization", "Bearer " + of("/public")},
			} {
				if resp := s.get("/public/a.txt"+bad[0], bad[1:]...); resp.StatusCode < 400 || resp.StatusCode > 403 {
					t.Errorf("%s: %d", name, resp.StatusCode)
				}
			}
			// What is not one of the sources is no token.
			if resp := s.get("/public/a.txt?token=x", "Authorization", "Basic eDp5"); resp.StatusCode != 200 {
				t.Errorf("another parameter: %d", resp.StatusCode)
			}
		})
	}
}
