//go:build unix

package e2e

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

const renewSecret = "planted-renewal-secret-0123456789-abcdefghijklmnop"

// cdn is what a test of RFC 9246 signs and encrypts with: the keys of its Appendix A.
type cdn struct {
	key    *ecdsa.PrivateKey
	secret []byte
	kid    string
}

func appendixA(t testing.TB) cdn {
	t.Helper()
	var vectors struct {
		JWKS jose.JSONWebKeySet `json:"jwks"`
	}
	if err := json.Unmarshal([]byte(readText(t, "../internal/cdni/testdata/rfc9246_appendix_a.json")), &vectors); err != nil {
		t.Fatal(err)
	}
	var c cdn
	for _, k := range vectors.JWKS.Keys {
		switch key := k.Key.(type) {
		case *ecdsa.PrivateKey:
			c.key, c.kid = key, k.KeyID
		case []byte:
			c.secret = key
		}
	}
	return c
}

// directive is a download_token with the profile, with more lines in it and in the profile.
func (c cdn) directive(t testing.TB, lines, profile string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&c.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("download_token {\n\t\tkey ES256 \"%s\" {\n\t\t\tkid %s\n\t\t}\n\t\t%s\n\t\tprofile rfc9246 {\n\t\t\tdecrypt dir base64:%s\n\t\t\t%s\n\t\t}\n\t}\n\tfile_server",
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), c.kid, lines, base64.StdEncoding.EncodeToString(c.secret), profile)
}

// sign makes a token that is good for a minute, unless a claim says otherwise.
func (c cdn) sign(t testing.TB, more claims) string {
	t.Helper()
	all := claims{"exp": time.Now().Add(time.Minute).Unix()}
	for name, value := range more {
		all[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	token.Header = map[string]any{"alg": "ES256", "kid": c.kid}
	text, err := token.SignedString(c.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (c cdn) encrypt(t testing.TB, text string) string {
	t.Helper()
	e, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: c.secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := e.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := sealed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// hashed and matching are containers.
func hashed(uri string) string {
	sum := sha256.Sum256([]byte(uri))
	return "hash:sha-256;" + base64.RawURLEncoding.EncodeToString(sum[:])
}

func matching(base, path string) string { return "regex:" + strings.ReplaceAll(base, ".", `\.`) + path }

const packageQuery = "?URISigningPackage="

// TestURISigning shows tokens of the shape of RFC 9246 Appendix A to a whole server, and
// each case that is derived from them; the code of each is in both logs and in the metric.
func TestURISigning(t *testing.T) {
	c := appendixA(t)
	p := newProcess(t, map[string]string{"bar": "the file", "secret": "another", "001.png": "001", "002.png": "002", "01.png": "no"},
		"log\n\t"+c.directive(t, "issuer \"uCDN Inc\"\n\t\taudience \"dCDN LLC\"\n\t\tstatus 401 missing", ""))
	p.start() // which has asked for / without a token
	uri := p.url + "/bar"
	simple := func(more claims) string {
		all := claims{"iss": "uCDN Inc", "aud": "dCDN LLC", "cdniuc": hashed(uri)}
		for name, value := range more {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return c.sign(t, all)
	}
	now := time.Now().Unix()
	complexOne := func(more claims) string {
		all := claims{
			"sub": c.encrypt(t, "UserToken"), "cdniip": c.encrypt(t, "[127.0.0.1/8]"), "cdniv": 1, "iat": now - 1, "nbf": now - 1,
			"cdniuc": matching(p.url, `/[0-9]{3}\.png`), "exp": now + 60,
		}
		for name, value := range more {
			all[name] = value
		}
		return simple(all)
	}
	forged := c.sign(t, nil)
	for _, tt := range []struct {
		name, target, code, reason string
	}{
		{"A.1", "/bar" + packageQuery + simple(nil), "200", ""},
		{"A.1 in the path", "/bar;URISigningPackage=" + simple(nil), "200", ""},
		{"A.1 without aud and iss", "/bar" + packageQuery + c.sign(t, claims{"cdniuc": hashed(uri)}), "401", "issuer"},
		{"A.2", "/001.png" + packageQuery + complexOne(nil), "200", ""},
		{"A.2 for another file", "/01.png" + packageQuery + complexOne(nil), "411", "scope"},
		{"A.2 with more behind it", "/001.png" + packageQuery + complexOne(nil) + "&x=y", "411", "scope"},
		{"no token", "/bar", "000", "missing"},
		{"two tokens", "/bar" + packageQuery + simple(nil) + "&URISigningPackage=x", "500", "ambiguous"},
		{"no token in it", "/bar" + packageQuery + "x", "500", "malformed"},
		{"another signature", "/bar" + packageQuery + forged[:strings.LastIndexByte(forged, '.')] + ".AAAA", "400", "signature"},
		{"another algorithm", "/bar" + packageQuery + mint(t, claims{"cdniuc": hashed(uri)}), "400", "unknown_key"},
		{"another issuer", "/bar" + packageQuery + simple(claims{"iss": "other"}), "401", "issuer"},
		{"a plain subject", "/bar" + packageQuery + simple(claims{"sub": "UserToken"}), "402", "subject"},
		{"another audience", "/bar" + packageQuery + simple(claims{"aud": "other"}), "403", "audience"},
		{"no audience", "/bar" + packageQuery + simple(claims{"aud": nil}), "403", "audience"},
		{"expired", "/bar" + packageQuery + simple(claims{"exp": 1646867369}), "404", "expired"},
		{"not yet", "/bar" + packageQuery + simple(claims{"nbf": now + 600}), "405", "not_yet_valid"},
		{"cdnistt alone", "/bar" + packageQuery + simple(claims{"cdnistt": 1}), "406", "renewal"},
		{"cdniets alone", "/bar" + packageQuery + simple(claims{"cdniets": 30}), "406", "renewal"},
		{"version 2", "/bar" + packageQuery + simple(claims{"cdniv": 2}), "408", "version"},
		{"critical", "/bar" + packageQuery + simple(claims{"cdnicrit": "x", "x": 1}), "409", "critical"},
		{"another client", "/001.png" + packageQuery + complexOne(claims{"cdniip": c.encrypt(t, "192.0.2.0/24")}), "410", "client_ip"},
		{"another URI", "/secret" + packageQuery + simple(nil), "411", "scope"},
		{"another URI in the path", "/secret;URISigningPackage=" + simple(nil), "411", "scope"},
		{"out of the path", "/bar;URISigningPackage=" + simple(nil) + "/../secret", "500", "bad_path"},
		{"no container", "/bar" + packageQuery + simple(claims{"cdniuc": nil}), "411", "scope"},
	} {
		before, _ := p.scrape()
		resp := p.ask(tt.target)
		want := map[string]int{"": 200, "missing": 401, "ambiguous": 400, "bad_path": 400}[tt.reason]
		if tt.reason != "" && want == 0 {
			want = 403
		}
		if resp.StatusCode != want || (tt.reason == "") == (resp.Header.Get("Cache-Control") == "no-store") {
			t.Errorf("%s: %d, want %d, %v", tt.name, resp.StatusCode, want, resp.Header)
		}
		series := `uri_signing_total{code="` + tt.code + `"}`
		eventually(t, func() bool { after, _ := p.scrape(); return after[series] == before[series]+1 })
		if reason := p.lastCode(); reason != [2]string{tt.code, tt.reason} {
			t.Errorf("%s: the access log says %q", tt.name, reason)
		}
	}
	if !strings.Contains(string(p.log()), `"s-uri-signing":"408","s-uri-signing-deny-reason":"version","reason":"version"`) {
		t.Error("the line of a refusal has no code")
	}
}

// ask sends a target as it is, which a client would clean.
func (p *process) ask(target string, header ...string) answer {
	p.t.Helper()
	s := server{t: p.t, url: p.url}
	return s.raw(target, header...)
}

// lastCode is what the access log's last line has of RFC 9246.
func (p *process) lastCode() (code [2]string) {
	p.t.Helper()
	eventually(p.t, func() bool {
		code = [2]string{}
		for text := range strings.Lines(string(p.log())) {
			var line struct {
				Logger string
				Code   string `json:"s-uri-signing"`
				Reason string `json:"s-uri-signing-deny-reason"`
			}
			if json.Unmarshal([]byte(text), &line) == nil && strings.HasPrefix(line.Logger, "http.log.access") {
				code = [2]string{line.Code, line.Reason}
			}
		}
		return code[0] != ""
	})
	return code
}

// TestURISigningOtherFile: what Caddy makes of a target in front of the directive is not
// what RFC 3986 makes of it, and neither is what net/http reads in one; no file is opened
// whose URI the container is not for.
func TestURISigningOtherFile(t *testing.T) {
	c := appendixA(t)
	guard := c.directive(t, "", "")
	s := start(t, map[string]string{"a/b/1.ts": "open", "b/1.ts": "secret", "1.ts": "secret"},
		"handle_path /films/* {\n"+guard+"\n}\nhandle /tried/* {\nuri strip_prefix /tried\ntry_files {path} {path}.ts\n"+guard+"\n}\nhandle {\n"+guard+"\n}")
	for _, prefix := range []string{"", "/films", "/tried"} {
		token := "URISigningPackage=" + c.sign(t, claims{"cdniuc": hashed(s.url + prefix + "/a/b/1.ts")})
		s.raw(prefix+"/a/b/1.ts?"+token).wantBody(t, "open")
		for _, target := range []string{
			prefix + "/a//../b/1.ts?" + token, prefix + "/a/b//../../1.ts?" + token, prefix + "/a;" + token + "/b//../1.ts",
			"x:" + prefix + "/b/1.ts?" + token + "&y=://z" + prefix + "/a/b/1.ts", "http:" + prefix + "/1.ts?" + token + "&y=" + s.url + prefix + "/a/b/1.ts",
		} {
			s.raw(target).want(t, http.StatusBadRequest)
		}
	}
}

// TestURISigningOnce opens each file that the container matches once for each jti, in
// each store, also with the token that it was renewed to, and after a restart.
func TestURISigningOnce(t *testing.T) {
	c := appendixA(t)
	for name, globals := range map[string]func(t *testing.T) string{
		"memory": func(*testing.T) string { return "" },
		"bolt":   func(t *testing.T) string { return inFile(filepath.Join(t.TempDir(), "tokens.bolt")) },
		"redis": func(t *testing.T) string {
			return "download_token {\n\t\tstore redis 127.0.0.1:" + startRedis(t).port + " {\n\t\t\tskew 200ms\n\t\t}\n\t}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, map[string]string{"1.ts": "one", "2.ts": "two", "3.ts": "three"},
				c.directive(t, "status 401 missing", "renew HS256 "+renewSecret))
			p.globals = globals(t)
			p.start()
			fresh := func(more claims) string {
				all := claims{"jti": rand.Text(), "iat": float64(time.Now().UnixMicro()) / 1e6, "cdniuc": matching(p.url, `/[0-9]\.ts`)}
				for name, value := range more {
					all[name] = value
				}
				return c.sign(t, all)
			}
			eventually(t, func() bool { return p.ask("/1.ts"+packageQuery+fresh(nil)).StatusCode == 200 }) // Redis has an epoch
			token := fresh(claims{"cdniets": 60, "cdnistt": 1})
			first := p.ask("/1.ts"+packageQuery+token).wantBody(t, "one")
			cookie := "Cookie: URISigningPackage=" + cookieOf(t, first).Value
			p.ask("/1.ts"+packageQuery+token).want(t, 403)
			p.ask("/1.ts;URISigningPackage="+token).want(t, 403)
			p.ask("/1.ts", cookie).want(t, 403)
			second := p.ask("/2.ts", cookie).wantBody(t, "two")
			p.ask("/2.ts"+packageQuery+token).want(t, 403)
			p.ask("/2.ts", "Cookie: URISigningPackage="+cookieOf(t, second).Value).want(t, 403)
			p.stop()
			p.start()
			for target, field := range map[string]string{"/1.ts": cookie, "/2.ts": cookie, "/1.ts" + packageQuery + token: "X-A: b"} {
				if a := p.ask(target, field); a.StatusCode != 403 {
					t.Errorf("%s after a restart: %d", target, a.StatusCode)
				}
			}
			if !strings.Contains(string(p.log()), `"s-uri-signing":"407"`) {
				t.Error("the log has no code 407")
			}
			many := fresh(claims{"jti": "same"})
			others := fresh(claims{"jti": "same"}) // another token, with the same nonce
			p.ask("/3.ts"+packageQuery+many).wantBody(t, "three")
			p.ask("/3.ts"+packageQuery+others).want(t, 403)
			p.ask("/1.ts"+packageQuery+others).wantBody(t, "one")
		})
	}
}

// TestURISigningRenewal plays a film with curl: each segment brings the token for the next,
// and nothing opens cdniets after the last.
func TestURISigningRenewal(t *testing.T) {
	tool(t, "curl")
	c := appendixA(t)
	s := start(t, map[string]string{
		"film/index.m3u8": "#EXTM3U\n#EXTINF:2,\n000.ts\n", "film/000.ts": "0", "film/001.ts": "1", "film/002.ts": "2", "film/003.ts": "3", "film/004.ts": "4", "other/000.ts": "x",
	}, c.directive(t, "", "renew HS256 "+renewSecret))
	jar := filepath.Join(t.TempDir(), "jar")
	curl := func(target string) string {
		t.Helper()
		out, err := exec.Command("curl", "-s", "-b", jar, "-c", jar, "-w", "%{http_code}", s.url+target).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	lastToken := func() string {
		kept := readText(t, jar)
		if !strings.Contains(kept, "\t/film\t") || strings.Count(kept, "URISigningPackage") != 1 {
			t.Fatalf("curl has kept %s", kept)
		}
		return strings.Fields(kept[strings.Index(kept, "URISigningPackage"):])[1]
	}
	// play tells when it asked for the last segment, which is more than a token's life
	// after the first; not ok: a segment was refused.
	play := func(life time.Duration) (last time.Time, ok bool) {
		_ = os.Remove(jar)
		begun := time.Now()
		token := c.sign(t, claims{
			"exp": begun.Add(life).Unix(), "cdniets": int(life.Seconds()), "cdnistt": 1, "cdnistd": 1,
			"cdniuc": matching(s.url, `/film/([0-9]{3}\.ts|index\.m3u8)`),
		})
		got, want := curl("/film/index.m3u8"+packageQuery+token), "#EXTM3U\n#EXTINF:2,\n000.ts\n200"
		for i := range 5 {
			if got != want {
				t.Logf("with tokens of %v, before segment %d: %s", life, i, got)
				return last, false
			}
			time.Sleep(time.Until(begun.Add(time.Duration(i+1) * life * 2 / 5)))
			got, want = curl(fmt.Sprintf("/film/%03d.ts", i)), strconv.Itoa(i)+"200"
		}
		last = time.Now()
		return last, got == want && s.get("/film/000.ts", "Cookie", "URISigningPackage="+lastToken()).body == "0"
	}
	life := 3 * time.Second
	last, ok := play(life)
	if !ok { // perhaps the machine stood still for a while
		life = 15 * time.Second
		if last, ok = play(life); !ok {
			t.Fatal("a segment was refused")
		}
	}
	if got := curl("/other/000.ts"); !strings.HasSuffix(got, "403") {
		t.Errorf("another film: %s", got)
	}
	value := lastToken()
	time.Sleep(time.Until(last.Add(life)))
	s.get("/film/000.ts", "Cookie", "URISigningPackage="+value).want(t, 403)
	if got := curl("/film/000.ts"); !strings.HasSuffix(got, "403") {
		t.Errorf("cdniets after the last segment: %s", got)
	}
	if strings.Contains(s.logs(), value) {
		t.Error("a token in the log")
	}
}

// TestURISigningRedirect renews in the query of a redirect to another host, which accepts
// it.
func TestURISigningRedirect(t *testing.T) {
	c := appendixA(t)
	guard := strings.TrimSuffix(c.directive(t, "", "renew HS256 "+renewSecret), "\n\tfile_server")
	s := start(t, map[string]string{"film.m3u8": "#EXTM3U\n"}, "route {\n\t"+guard+`
	redir /old/* http://localhost{http.request.orig_uri.path} 302
	file_server
	}`)
	token := c.sign(t, claims{"cdniets": 30, "cdnistt": 2, "cdniuc": `regex:http://(localhost|` + strings.ReplaceAll(strings.TrimPrefix(s.url, "http://"), ".", `\.`) + `)/.*`})
	a := s.get("/old/film.m3u8"+packageQuery+token).want(t, http.StatusFound)
	location := a.Header.Get("Location")
	if !strings.HasPrefix(location, "http://localhost/old/film.m3u8?URISigningPackage=ey") || strings.Contains(location, token) || len(a.Cookies()) > 0 {
		t.Fatalf("it leads to %s", location)
	}
	if cc := a.Header.Get("Cache-Control"); !strings.Contains(cc, "private") {
		t.Errorf("it may be kept: %s", cc)
	}
	renewed := strings.TrimPrefix(location, "http://localhost/old/film.m3u8")
	s.get("/film.m3u8"+renewed).wantBody(t, "#EXTM3U\n")
	s.get("/film.m3u8"+packageQuery+c.sign(t, claims{"cdniuc": hashed("x")})).want(t, 403)
}

// TestURISigningBehindProxies compares with the scheme that a trusted proxy tells.
func TestURISigningBehindProxies(t *testing.T) {
	c := appendixA(t)
	s := startWith(t, map[string]string{"a.txt": "a"}, "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}", c.directive(t, "", ""))
	secure := strings.Replace(s.url, "http:", "https:", 1)
	token := c.sign(t, claims{"cdniuc": hashed(secure + "/a.txt")})
	s.get("/a.txt"+packageQuery+token).want(t, 403)
	s.get("/a.txt"+packageQuery+token, "X-Forwarded-Proto", "https").wantBody(t, "a")
}
