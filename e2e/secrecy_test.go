package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNoSecretIsLogged plants tokens and keys in every place that a client or
// an operator can put them, runs through every outcome at level DEBUG, and
// then reads the log.
func TestNoSecretIsLogged(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI+" "+r.Header.Get("Cookie")+r.Header.Get("X-Token")+r.Header.Get("Authorization"))
	}))
	defer upstream.Close()
	s := start(t, map[string]string{"a.txt": "a", "dir/index.html": "i"}, `download_token {
		from query download_token
		from header Authorization
		from cookie session
		key HS256 "`+secret+`"
		scope any
		max_ttl 10m
		one_time
	}
	rewrite /rewritten /a.txt
	handle /bad/* {
		rewrite * /a.txt
		file_server
	}
	handle /proxy {
		reverse_proxy `+strings.TrimPrefix(upstream.URL, "http://")+`
	}
	handle /template {
		templates {
			mime text/plain
		}
		respond "{uri} {query} {http.request.orig_uri} {http.request.header.Authorization} {http.request.cookie.session}"
	}
	fault off
	file_server`)
	var planted []string
	token := func(c claims) string {
		minted := mint(t, c)
		planted = append(planted, minted, strings.Split(minted, ".")[2])
		return minted
	}
	jti := 0
	fresh := func() string {
		jti++
		return token(claims{"jti": "planted-nonce-" + strings.Repeat("x", jti), "sub": "planted-subject", "scope": "planted-scope"})
	}
	for _, target := range []string{"/a.txt", "/dir", "/missing", "/bad/x", "/rewritten", "/proxy", "/template", "/%5Cevil.example/x", "/x/../a.txt"} {
		for _, suffix := range []string{"", "&download_token=twice", "%0A", "&x=%zz", ";y"} {
			a := s.raw(target + "?download_token=" + fresh() + suffix)
			if suffix == "" && target != "/dir" {
				for _, p := range planted {
					if strings.Contains(a.body, p) {
						t.Errorf("%s hands the token on: %q", target, a.body)
					}
				}
			}
		}
		s.get(target, "Cookie", "a=b; session="+fresh(), "Referer", s.url+"/?download_token="+fresh())
		s.get(target, "Authorization", "Bearer "+fresh())
		s.get(target, "Cookie", "session="+token(claims{"exp": 1}))
		s.do(http.MethodHead, target+"?download_token="+fresh())
		s.do(http.MethodPost, target+"?download_token="+fresh())
	}
	for _, fault := range []string{"error", "header, then error", "read error", "announced body"} {
		s.get("/a.txt?download_token="+fresh(), "Fault", fault)
	}
	again := fresh()
	s.get("/a.txt?download_token="+again).want(t, http.StatusOK)
	s.get("/a.txt?download_token="+again).want(t, http.StatusUnauthorized)
	if err := s.reload(strings.Replace(oneTime, "HS256", "HS666", 1)); err == nil {
		t.Error("an unknown algorithm was loaded")
	} else if strings.Contains(err.Error(), secret) {
		t.Error("the error has the key")
	}

	// The key stands in the configuration, which Caddy itself logs and shows;
	// everything else is checked in whole.
	for _, line := range strings.Split(s.logs(), "\n") {
		for _, p := range planted {
			if strings.Contains(line, p) {
				t.Fatalf("token in the log: %s", line)
			}
		}
		if strings.Contains(line, "http.handlers.download_token") {
			for _, p := range []string{secret, "planted-nonce", "planted-subject", "planted-scope"} {
				if strings.Contains(withoutReader(line), p) {
					t.Fatalf("%s in a line of our own: %s", p, line)
				}
			}
		}
	}
	if !strings.Contains(s.logs(), `"logger":"http.handlers.download_token"`) {
		t.Error("no line of our own: this test shows nothing")
	}
}

// TestOwnLinesNeedNoFilter checks the lines of the plugin without the filter.
func TestOwnLinesNeedNoFilter(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	s.plain = true
	config := strings.Replace(s.caddyfile(oneTime), "format redact_jwt", "format json", 1)
	if err := s.post(s.adaptWhole(config)); err != nil {
		t.Fatal(err)
	}
	token := once(t)
	for range 2 {
		s.get("/a.txt?download_token=" + token)
	}
	seen := 0
	for _, line := range strings.Split(s.logs(), "\n") {
		if !strings.Contains(line, `"logger":"http.handlers.download_token"`) {
			continue
		}
		seen++
		if strings.Contains(line, token) || strings.Contains(line, strings.Split(token, ".")[1]) {
			t.Errorf("token in %s", line)
		}
	}
	if seen < 2 {
		t.Errorf("%d lines", seen)
	}
	if !strings.Contains(s.logs(), token) {
		t.Error("Caddy's own lines have no token either, so the filter was active and this test shows nothing")
	}
}

func TestForward(t *testing.T) {
	body := `download_token {
		from query download_token
		from cookie session
		key HS256 "` + secret + `"
		scope any
		OPTION
	}
	respond "{query}|{http.request.orig_uri}|{http.request.cookie.session}|{http.request.cookie.a}"`
	token := mint(t, nil)
	target := "/a?x=%31&download_token=" + token + "&y"
	t.Run("stripped", func(t *testing.T) {
		s := start(t, nil, strings.Replace(body, "OPTION", "", 1))
		s.get(target, "Cookie", "a=1; session="+token+"; b=2").wantBody(t, "x=%31&y|/a?x=%31&y||1")
	})
	t.Run("forwarded", func(t *testing.T) {
		s := start(t, nil, strings.Replace(body, "OPTION", "forward", 1))
		s.get(target, "Cookie", "a=1; session="+token).wantBody(t, "x=%31&download_token="+token+"&y|"+target+"|"+token+"|1")
	})
}

// withoutReader takes out of a line what it may say of the claims: the line "delivered",
// and at DEBUG the event of that, which Caddy logs, say who the token was for. No other
// line, and no other field, says any.
func withoutReader(line string) string {
	if !strings.Contains(line, `"msg":"delivered"`) && !strings.Contains(line, `"name":"download_token_delivered"`) {
		return line
	}
	return strings.Replace(line, `,"sub":"planted-subject"`, "", 1)
}
