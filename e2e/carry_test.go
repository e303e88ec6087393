package e2e

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// carried is the guard of a site that carries tokens over; SCOPE and the rest follow.
const carried = `key HS256 "` + secret + `"
	max_ttl 10m
	`

// cookieOf is the one cookie that an answer sets.
func cookieOf(t testing.TB, a answer) *http.Cookie {
	t.Helper()
	cookies := a.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies: %q", len(cookies), a.Header["Set-Cookie"])
	}
	return cookies[0]
}

// browser keeps cookies as browsers do, and follows no redirect.
func browser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: client.Transport, CheckRedirect: client.CheckRedirect, Timeout: patience}
}

// visit is the status of a GET.
func (s *server) visit(b *http.Client, target string) int {
	s.t.Helper()
	resp, err := b.Get(s.url + target)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestCarryCookie opens what pages refer to, with two links in one browser.
func TestCarryCookie(t *testing.T) {
	files := map[string]string{
		"d/1/index.html": "one", "d/1/a.png": "1a", "d/1/deep/b.png": "1b",
		"d/2/index.html": "two", "d/2/a.png": "2a", "public.txt": "public",
	}
	s := start(t, files, `download_token {
		`+carried+`scope template dataset:{id} /d/{id}/*
		carry cookie
	}
	header >X-Seen "{http.request.orig_uri}|{http.request.header.Cookie}|{http.request.cookie.download_token}"
	file_server`)
	exp := time.Now().Add(5 * time.Minute).Truncate(time.Second)
	of := func(id string) string { return mint(t, claims{"scope": "dataset:" + id, "exp": exp.Unix()}) }
	one, two := of("1"), of("2")

	page := s.get("/d/1/?download_token="+one).wantBody(t, "one")
	c := cookieOf(t, page)
	if c.Name != "download_token" || c.Value != one || c.Path != "/d/1" || c.Domain != "" || !c.HttpOnly || c.Secure ||
		c.SameSite != http.SameSiteLaxMode || c.Partitioned || !c.Expires.Equal(exp) {
		t.Errorf("the cookie is %q", page.Header["Set-Cookie"])
	}
	if cc := page.Header.Get("Cache-Control"); !strings.Contains(cc, "private") || !slices.Contains(page.Header["Vary"], "Cookie") {
		t.Errorf("%q, Vary %q", cc, page.Header["Vary"])
	}

	b := browser(t)
	for _, step := range []struct {
		target string
		status int
	}{
		{"/d/1/a.png", 401},
		{"/d/1?download_token=" + one, 403}, // the scope opens what is in the folder
		{"/d/1/?download_token=" + one, 200},
		{"/d/1/a.png", 200},
		{"/d/1/deep/b.png", 200},
		{"/d/2/a.png", 401}, // no cookie comes along
		{"/public.txt", 401},
		{"/d/2/?download_token=" + two, 200},
		{"/d/1/a.png", 200}, // the two live side by side
		{"/d/2/a.png", 200},
		{"/d/1/a.png?download_token=" + two, 403}, // the query decides
		{"/d/1/a.png?download_token=" + one + "x", 401},
		{"/d/1/a.png?download_token=", 401},
		{"/d/1/nothing", 404},
		{"/d/1/a.png", 200},
	} {
		if status := s.visit(b, step.target); status != step.status {
			t.Errorf("%s: %d, want %d", step.target, status, step.status)
		}
	}

	// A newer one for the same folder replaces the older.
	newer := mint(t, claims{"scope": "dataset:1", "exp": exp.Add(time.Minute).Unix()})
	s.visit(b, "/d/1/?download_token="+newer)
	u, _ := url.Parse(s.url + "/d/1/a.png")
	if kept := b.Jar.Cookies(u); len(kept) != 1 || kept[0].Value != newer {
		t.Errorf("kept %v", kept)
	}

	// Of several the first decides, and nothing of any goes further.
	seen := s.get("/d/1/a.png?x=1", "Cookie", "a=b; download_token="+one+"; download_token="+two+"; c=d").wantBody(t, "1a")
	if got := seen.Header.Get("X-Seen"); got != "/d/1/a.png?x=1|a=b; c=d|" {
		t.Errorf("the next handler has seen %q", got)
	}
	if len(seen.Cookies()) > 0 || seen.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("with the cookie: %v", seen.Header)
	}
	s.get("/d/1/a.png", "Cookie", "download_token="+two+"; download_token="+one).want(t, 403)

	// None with anything else than a file.
	for target, method := range map[string]string{
		"/d/1/?download_token=" + one: "HEAD", "/d/1/nothing?download_token=" + one: "GET", "/d/2/?download_token=" + one: "GET",
	} {
		if a := s.do(method, target); len(a.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s %d: %q", method, a.StatusCode, a.Header["Set-Cookie"])
		}
	}
}

// TestCarryCookiePlacement: the Path is one of the client's, wherever the directive is.
func TestCarryCookiePlacement(t *testing.T) {
	files := map[string]string{"d/1/a.txt": "a", "d/1/ä b/a.txt": "a", "d/1/x;y/a.txt": "a", "d/1/x;y/z/a.txt": "a", "v/a.txt": "a"}
	const guard = "download_token {\n" + carried + "scope template ds:{id} /d/{id}/*\ncarry cookie\n"
	for name, test := range map[string]struct{ site, claim, target, want string }{
		"in front of handle_path":       {"download_token {\n" + carried + "scope template ds:{id} /pub/d/{id}/*\ncarry cookie\n}\nhandle_path /pub/* {\nfile_server\n}", "ds:1", "/pub/d/1/a.txt", "/pub/d/1"},
		"in handle_path":                {"handle_path /pub/* {\n" + guard + "}\nfile_server\n}", "ds:1", "/pub/d/1/a.txt", "/pub/d/1"},
		"in handle_path with a prefix":  {"handle_path /pub/* {\ndownload_token {\n" + carried + "scope template ds:{id} /pub/d/{id}/*\npath_prefix /pub\ncarry cookie\n}\nfile_server\n}", "ds:1", "/pub/d/1/a.txt", "/pub/d/1"},
		"behind a rewrite that adds":    {"rewrite * /d{uri}\n" + guard + "}\nfile_server", "ds:1", "/1/a.txt", "/1"},
		"behind one that replaces":      {"rewrite /watch /d/1/a.txt?{query}\n" + guard + "}\nfile_server", "ds:1", "/watch", "/"},
		"behind one that takes off":     {"uri strip_prefix /pub\n" + guard + "}\nfile_server", "ds:1", "/pub/d/1/a.txt", "/pub/d/1"},
		"a path that is escaped":        {"download_token {\n" + carried + "scope path\ncarry cookie\n}\nfile_server", "download:/d/1/%C3%A4%20b", "/d/1/%c3%A4%20b/%61.txt", "/d/1/%c3%A4%20b"},
		"a semicolon":                   {"download_token {\n" + carried + "scope path\ncarry cookie\n}\nfile_server", "download:/d/1/x;y/z", "/d/1/x;y/z/a.txt", "/d/1"},
		"a semicolon below":             {guard + "}\nfile_server", "ds:1", "/d/1/x;y/a.txt", "/d/1"},
		"everything":                    {"download_token {\n" + carried + "scope any\ncarry cookie\n}\nfile_server", "", "/v/a.txt", "/"},
		"everything in a folder":        {"handle_path /pub/* {\ndownload_token {\n" + carried + "scope any\ncarry cookie\n}\nfile_server\n}", "", "/pub/v/a.txt", "/pub"},
		"the first scope that opens it": {guard + "scope path\n}\nfile_server", "download:/v", "/v/a.txt", "/v"},
		"one file":                      {"download_token {\n" + carried + "scope path\ncarry cookie\n}\nfile_server", "download:/v/a.txt", "/v/a.txt", "/v/a.txt"},
		"two folders":                   {"download_token {\n" + carried + "scope path\ncarry cookie\n}\nfile_server", "download:/d/1/x download:/d/1/x;y download:/d/10", "/d/1/x;y/a.txt", "/d"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, test.site)
			a := s.get(test.target+"?download_token="+mint(t, claims{"scope": test.claim})).wantBody(t, "a")
			if c := cookieOf(t, a); c.Path != test.want {
				t.Errorf("the Path is %q, want %q", c.Path, test.want)
			}
		})
	}
}

// TestCarryCookieAndCaches: an answer that a shared cache may keep sets none.
func TestCarryCookieAndCaches(t *testing.T) {
	for name, test := range map[string]struct {
		site string
		sets bool
	}{
		"private":             {`header Cache-Control "max-age=60, Private"`, true},
		"no-store":            {`header Cache-Control no-store`, true},
		"public":              {`header Cache-Control public`, false},
		"nothing said":        {`header Cache-Control max-age=60`, false},
		"private fields":      {`header Cache-Control "private=\"Set-Cookie\""`, false},
		"a quoted word":       {`header Cache-Control "ext=\"a, private, b\""`, false},
		"another for the CDN": {"header Cache-Control private\nheader CDN-Cache-Control max-age=60", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "a"}, "download_token {\n"+carried+"scope any\ncarry cookie\n}\n"+test.site+"\nfile_server")
			a := s.get("/a.txt?download_token="+mint(t, nil)).wantBody(t, "a")
			if sets := len(a.Header["Set-Cookie"]) == 1; sets != test.sets {
				t.Errorf("%q: %q", a.Header["Cache-Control"], a.Header["Set-Cookie"])
			}
		})
	}
}

// TestCarryCookieOfAPage: a page of confirm sets none, the button does; a token that is
// too long never, and is warned of once.
func TestCarryCookieOfAPage(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a", "b.txt": "b"}, "download_token {\n"+carried+"scope path\none_time {\nper path\n}\nconfirm\n"+
		"carry cookie pass {\nsame_site none\npartitioned\n}\n}\nfile_server")
	token := mint(t, claims{"jti": "j", "scope": "download:/"})
	if page := s.open("/a.txt?download_token=" + token); page.StatusCode != 200 || len(page.Header["Set-Cookie"]) > 0 {
		t.Errorf("the page: %d %q", page.StatusCode, page.Header["Set-Cookie"])
	}
	got := s.press("/a.txt?download_token="+token).wantBody(t, "a")
	c := cookieOf(t, got)
	if c.Name != "pass" || !c.Secure || !c.Partitioned || c.SameSite != http.SameSiteNoneMode {
		t.Errorf("the cookie is %q", got.Header["Set-Cookie"])
	}
	s.get("/b.txt", "Cookie", "pass="+token).wantBody(t, "b")
	s.get("/b.txt", "Cookie", "pass="+token).want(t, 401)

	for i := range 2 {
		long := mint(t, claims{"jti": "j" + string(rune('0'+i)), "scope": "download:/", "x": strings.Repeat("x", 3000)})
		if a := s.get("/b.txt?download_token="+long).wantBody(t, "b"); len(a.Header["Set-Cookie"]) > 0 {
			t.Errorf("a long one was set: %d bytes", len(long))
		}
	}
	if n := strings.Count(s.logs(), "was not made a cookie"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// TestCarryPathTricks sends every probe of the corpus with a cookie for /pub, and for
// what stands beside it.
func TestCarryPathTricks(t *testing.T) {
	s := start(t, map[string]string{
		"pub/x": "granted", "a.txt": "planted", "priv/x": "planted", "publish/x": "planted", "PUB/x": "planted", "pub /x": "planted", "pub\\x": "planted",
	}, "download_token {\n"+carried+"scope template folder:{name} /{name}/*\ncarry cookie\n}\nfile_server browse")
	page := s.get("/pub/x?download_token="+mint(t, claims{"scope": "folder:pub"})).wantBody(t, "granted")
	c := cookieOf(t, page)
	line := "Cookie: " + c.Name + "=" + c.Value
	for _, probe := range tricks(s.url) {
		if a := s.raw(probe, line); a.StatusCode < 400 || strings.Contains(a.body, "planted") {
			t.Errorf("%s: status %d, body %q", probe, a.StatusCode, a.body)
		}
	}
	s.raw("/pub/x", line).wantBody(t, "granted")
}

// TestCarryOverTLS: over TLS, here with HTTP/2, the cookie is Secure.
func TestCarryOverTLS(t *testing.T) {
	s := prepare(t, map[string]string{"v/a.txt": "a"}, "auto_https disable_redirects")
	address := steadyAddress(t)
	site := "download_token {\n" + carried + "scope path\ncarry cookie {\nsame_site strict\n}\ncarry playlists\n}\nfile_server"
	config := s.caddyfile("respond nothing") + "\nhttps://" + address + " {\n\t" + ownTLS(t) + "\n\troot " + s.root + "\n\t" + site + "\n}\n"
	if err := caddy.Load(s.adaptWhole(config), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	s.put("v/i.m3u8", "#EXTM3U\nhttps://"+address+"/v/a.txt\nhttp://"+address+"/v/a.txt\n")
	secure := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: patience}
	defer secure.CloseIdleConnections()
	token := mint(t, claims{"scope": "download:/v"})
	for target, want := range map[string]string{
		"/v/a.txt":  "a",
		"/v/i.m3u8": "#EXTM3U\nhttps://" + address + "/v/a.txt?download_token=" + token + "\nhttp://" + address + "/v/a.txt\n",
	} {
		resp, err := secure.Get("https://" + address + target + "?download_token=" + token)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != want || resp.ProtoMajor != 2 {
			t.Errorf("%s: %s %q, %v", target, resp.Proto, body, err)
		}
		if c := cookieOf(t, answer{Response: resp}); !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/v" {
			t.Errorf("the cookie is %q", resp.Header["Set-Cookie"])
		}
	}
}

var signedRef = regexp.MustCompile(`[^"\s]*download_token=[\w.-]+`)

// TestCarryPlaylists follows a playlist to its segments, without and with short-lived
// copies.
func TestCarryPlaylists(t *testing.T) {
	files := map[string]string{
		"v/1/master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhi/i.m3u8\n",
		"v/1/hi/i.m3u8":   "#EXTM3U\n#EXTINF:2,\nseg0.ts\n#EXTINF:2,\nseg1.ts?x=1\n#EXTINF:2,\nhttps://cdn.example/s.ts\n#EXTINF:2,\n../../2/s.ts\n",
		"v/1/hi/seg0.ts":  "seg0", "v/1/hi/seg1.ts": "seg1", "v/1/lo/seg0.ts": "lo", "v/2/s.ts": "other",
	}
	for name, block := range map[string]string{
		"the token itself": "", "copies": " {\nttl 2s\nsign_key HS256 carry-secret-0123456789-0123456789-0123\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, "download_token {\n"+carried+"issuer me\naudience here\nrequire typ download\nscope template film:{id} /v/{id}/*\ncarry playlists"+block+"\n}\nfile_server")
			all := claims{"scope": "film:1", "jti": "j1", "sub": "u", "iss": "me", "aud": "here", "typ": "download"}
			token := mint(t, all)
			master := s.get("/v/1/master.m3u8?download_token="+token).want(t, 200)
			if want := "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhi/i.m3u8?download_token=" + token + "\n"; master.body != want {
				t.Fatalf("the master playlist is %q", master.body)
			}
			media := s.get("/v/1/hi/i.m3u8?download_token="+token).want(t, 200)
			refs := signedRef.FindAllString(media.body, -1)
			if len(refs) != 2 || !strings.HasPrefix(refs[0], "seg0.ts?download_token=") || !strings.HasPrefix(refs[1], "seg1.ts?x=1&download_token=") ||
				!strings.Contains(media.body, "\nhttps://cdn.example/s.ts\n") || !strings.HasSuffix(media.body, "\n../../2/s.ts\n") {
				t.Fatalf("the media playlist is %q", media.body)
			}
			if cc := media.Header.Get("Cache-Control"); cc != "private, no-store" {
				t.Errorf("Cache-Control %q", cc)
			}
			s.get("/v/1/hi/"+refs[0]).wantBody(t, "seg0")
			s.get("/v/1/hi/"+refs[1]).wantBody(t, "seg1")
			child := strings.TrimPrefix(refs[0], "seg0.ts?download_token=")
			if block == "" {
				if child != token {
					t.Errorf("the segment has another token")
				}
				return
			}
			if child == token || !strings.HasSuffix(refs[1], child) {
				t.Errorf("the segments of a folder have %q", refs)
			}
			// It is for its folder, and has no other powers.
			s.get("/v/1/lo/seg0.ts?download_token="+child).want(t, 403)
			s.get("/v/1/master.m3u8?download_token="+child).want(t, 403)
			s.get("/v/2/s.ts?download_token="+child).want(t, 403)
			s.get("/v/1/hi/seg0.ts?download_token="+child+"x").want(t, 401)
			// A playlist that is opened with it hands on nothing that lasts longer.
			again := s.get("/v/1/hi/i.m3u8?download_token="+child).want(t, 200)
			time.Sleep(time.Second)
			later := signedRef.FindString(s.get("/v/1/hi/i.m3u8?download_token="+child).want(t, 200).body)
			s.eventually(func() bool { return s.get("/v/1/hi/seg0.ts?download_token="+child).StatusCode == 401 })
			s.get("/v/1/hi/"+later).want(t, 401)
			s.get("/v/1/hi/"+signedRef.FindString(again.body)).want(t, 401)
			s.wantLog("expired")
			s.get("/v/1/hi/seg0.ts?download_token="+token).wantBody(t, "seg0") // the parent goes on

			// Revoked with its parent, whatever that is revoked by.
			fresh := func() string {
				return strings.TrimPrefix(signedRef.FindString(s.get("/v/1/hi/i.m3u8?download_token="+token).want(t, 200).body), "seg0.ts?download_token=")
			}
			child = fresh()
			fingerprint := s.line("msg", "request refused")["fingerprint"]
			if status, text := s.revoke(`{"fingerprint": "` + fingerprint.(string) + `"}`); status/100 != 2 {
				t.Fatal(status, text)
			}
			s.get("/v/1/hi/seg0.ts?download_token="+child).want(t, 401)
			s.get("/v/1/hi/seg0.ts?download_token="+token).want(t, 401)
		})
	}
}

// TestCarryListings walks down a listing.
func TestCarryListings(t *testing.T) {
	files := map[string]string{"d/1/a.txt": "a", "d/1/e/f/b.txt": "b", "d/1/z.txt": "z"}
	s := start(t, files, "download_token {\n"+carried+"scope path_permissions\nscope path\ncarry listings\n}\nfile_server browse")
	walk := func(token string) {
		t.Helper()
		target := "/d/1/?download_token=" + token
		for _, name := range []string{"e/", "f/", "b.txt"} {
			page := s.get(target, "Accept", "text/html").want(t, 200)
			refs := signedRef.FindAllString(page.body, -1)
			i := slices.IndexFunc(refs, func(ref string) bool { return strings.HasPrefix(ref, "./"+name+"?") })
			if i < 0 {
				t.Fatalf("%s: %q in %s", name, refs, page.body)
			}
			folder, _, _ := strings.Cut(target, "?")
			target = folder + strings.TrimPrefix(refs[i], "./")
		}
		s.get(target).wantBody(t, "b")
	}
	walk(mint(t, claims{"scope": "download:/d/1"}))
	read := func(path, reach string, grants claims) claims {
		return claims{"match": claims{"path": path, "scope": reach}, "permissions": claims{"read": grants}}
	}
	both := claims{"folder": claims{"listFolderChildren": true}, "file": claims{"downloadFile": []string{"*"}}}
	walk(mint(t, claims{"access": claims{"pathPermissions": []any{
		read("/d/1", "This", both), read("/d/1", "Children", both), read("/d/1", "Grandchildren+", both),
	}}}))
}

// TestCarryPlaylistPlacement: URIs are those of clients, wherever the directive is.
func TestCarryPlaylistPlacement(t *testing.T) {
	const playlist = "#EXTM3U\n#EXTINF:2,\nseg.ts\n#EXTINF:2,\n/v/1/seg.ts\n#EXTINF:2,\n/pub/v/1/seg.ts\n#EXTINF:2,\n/1/seg.ts\n"
	files := map[string]string{"v/1/i.m3u8": playlist, "v/1/seg.ts": "seg"}
	const guard = "download_token {\n" + carried + "scope template film:{id} /v/{id}/*\ncarry playlists {\nttl 1m\nsign_key HS256 carry-secret-0123456789-0123456789-0123\n}\n"
	for name, test := range map[string]struct {
		site, target string
		opens        []string
	}{
		"alone":                        {guard + "}\nfile_server", "/v/1/", []string{"seg.ts", "/v/1/seg.ts"}},
		"in front of encode":           {guard + "}\nencode\nfile_server", "/v/1/", []string{"seg.ts", "/v/1/seg.ts"}},
		"behind encode":                {"route {\nencode\n" + guard + "}\nfile_server\n}", "/v/1/", []string{"seg.ts", "/v/1/seg.ts"}},
		"in handle_path":               {"handle_path /pub/* {\n" + guard + "}\nfile_server\n}", "/pub/v/1/", []string{"seg.ts", "/pub/v/1/seg.ts"}},
		"in handle_path with a prefix": {"handle_path /pub/* {\n" + strings.Replace(guard, "/v/{id}/*", "/pub/v/{id}/*\npath_prefix /pub", 1) + "}\nfile_server\n}", "/pub/v/1/", []string{"seg.ts", "/pub/v/1/seg.ts"}},
		"behind a rewrite":             {"rewrite * /v{uri}\n" + guard + "}\nfile_server", "/1/", []string{"seg.ts", "/1/seg.ts"}},
		"for a reverse proxy":          {guard + "}\nreverse_proxy {\nto UPSTREAM\n}", "/v/1/", []string{"seg.ts", "/v/1/seg.ts"}},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.RequestURI, "token") || r.Header.Get("Cookie") != "" {
					t.Errorf("the upstream was asked for %s", r.RequestURI)
				}
				w.Header().Set("Content-Type", map[bool]string{true: "application/vnd.apple.mpegurl", false: "video/mp2t"}[strings.HasSuffix(r.URL.Path, ".m3u8")])
				http.ServeContent(w, r, r.URL.Path, time.Time{}, strings.NewReader(files[r.URL.Path[1:]]))
			}))
			defer upstream.Close()
			s := start(t, files, strings.Replace(test.site, "UPSTREAM", strings.TrimPrefix(upstream.URL, "http://"), 1))
			link := test.target + "i.m3u8?download_token=" + mint(t, claims{"scope": "film:1"})
			whole := s.get(link).want(t, 200)
			var opens []string
			for _, ref := range signedRef.FindAllString(whole.body, -1) {
				bare, _, _ := strings.Cut(ref, "?")
				opens = append(opens, bare)
				if !strings.HasPrefix(ref, "/") {
					ref = test.target + ref
				}
				s.get(ref).wantBody(t, "seg")
			}
			if !slices.Equal(opens, test.opens) || signedRef.ReplaceAllStringFunc(whole.body, func(ref string) string {
				return ref[:strings.Index(ref, "?")]
			}) != playlist {
				t.Errorf("signed are %q in %q", opens, whole.body)
			}
			// However it is asked for, it is the whole, and the header is that of GET.
			for _, fields := range [][]string{{"Accept-Encoding", "gzip"}, {"Range", "bytes=3-9"}, {"If-None-Match", "*"}, {"If-Modified-Since", "Fri, 27 Nov 2099 00:00:00 GMT"}} {
				a := s.get(link, fields...)
				if a.StatusCode != 200 || a.Header.Get("Content-Encoding") == "" && len(a.body) != len(whole.body) {
					t.Errorf("%s: %d, %d bytes of %d", fields, a.StatusCode, len(a.body), len(whole.body))
				}
			}
			if head := s.do("HEAD", link); head.StatusCode != 200 || head.ContentLength != whole.ContentLength && whole.ContentLength >= 0 {
				t.Errorf("HEAD: %d, %d bytes, want %d", head.StatusCode, head.ContentLength, whole.ContentLength)
			}
		})
	}
}

// TestCarryOncePerPath: each file once, however its token came along.
func TestCarryOncePerPath(t *testing.T) {
	files := map[string]string{"v/i.m3u8": "#EXTM3U\nseg.ts\n", "v/seg.ts": "seg", "v/a.png": "a"}
	for name, once := range map[string]string{"plain": "", "resume": "resume 5m\n"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, "download_token {\n"+carried+"scope path\none_time {\nper path\n"+once+"}\ncarry cookie\ncarry playlists\ncarry listings only\n}\nfile_server browse")
			token := mint(t, claims{"jti": "j", "scope": "download:/v"})
			if head := s.do("HEAD", "/v/i.m3u8?download_token="+token); head.StatusCode != 200 {
				t.Errorf("HEAD: %d", head.StatusCode)
			}
			media := s.get("/v/i.m3u8?download_token="+token, "Range", "bytes=0-3").want(t, 200)
			c := cookieOf(t, media)
			segment := "/v/" + signedRef.FindString(media.body)
			s.get("/v/i.m3u8?download_token="+token).want(t, 401)
			s.get(segment).wantBody(t, "seg")
			if once == "" {
				s.get("/v/seg.ts", "Cookie", c.Name+"="+c.Value).want(t, 401)
			}
			s.get("/v/a.png", "Cookie", c.Name+"="+c.Value).wantBody(t, "a")
			if once == "" {
				s.get("/v/a.png?download_token="+token).want(t, 401)
			}
			page := s.get("/v/?download_token="+token, "Accept", "text/html").want(t, 200)
			if refs := signedRef.FindAllString(page.body, -1); len(refs) < 3 {
				t.Errorf("the listing has %q", refs)
			}
			s.get("/v/?download_token="+token, "Accept", "text/html").want(t, 401)
		})
	}
}
