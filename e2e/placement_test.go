package e2e

import (
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const placementFile = "../docs/placement.md"

// placed is a Caddy with the directive somewhere in its site, in one of the two
// ways in which tokens are used.
type placed struct {
	*server
	once bool
}

// place runs test with a site whose tokens last, and with one whose tokens can be
// used once. In site, GUARD stands for the subdirectives of download_token. A
// token opens the paths in its scope, "download:/pub/x.txt".
//
// No test may ever be answered with a file that has "planted" in it.
func place(t *testing.T, files map[string]string, site string, test func(t *testing.T, p *placed)) {
	t.Helper()
	for _, mode := range []struct{ name, config string }{{"time-limited", ""}, {"one-time", "\none_time"}} {
		t.Run(mode.name, func(t *testing.T) {
			test(t, &placed{start(t, files, strings.ReplaceAll(site, "GUARD", guard+mode.config)), mode.config != ""})
		})
	}
}

const guard = "key HS256 \"" + secret + "\"\nscope path\nmax_ttl 10m"

// beside is site with another block of the Caddyfile after it, such as a second
// site.
func beside(site, address, block string) string {
	return site + "\n}\n\n" + address + " {\n" + block // the harness writes the last brace
}

// link mints a token that opens the paths, as a query parameter.
func (p *placed) link(paths ...string) string {
	p.t.Helper()
	var scopes []string
	for _, path := range paths {
		scopes = append(scopes, "download:"+(&url.URL{Path: path}).EscapedPath())
	}
	return "download_token=" + mint(p.t, claims{"scope": strings.Join(scopes, " "), "jti": rand.Text()})
}

// opens fails the test unless target is answered with body: to a time-limited
// token each time, to a one-time token once.
func (p *placed) opens(target, link, body string, header ...string) {
	p.t.Helper()
	p.get(with(target, link), header...).wantBody(p.t, body)
	if again := p.get(with(target, link), header...); p.once {
		again.want(p.t, http.StatusUnauthorized)
	} else {
		again.wantBody(p.t, body)
	}
}

// refuses fails the test unless target is answered with status and no file, each
// time: a one-time token is not spent by it, which opens can show afterwards.
func (p *placed) refuses(target, link string, status int, header ...string) {
	p.t.Helper()
	for range 2 {
		a := p.raw(with(target, link))
		if len(header) > 0 {
			a = p.get(with(target, link), header...)
		}
		a.want(p.t, status)
		if strings.Contains(a.body, "granted") || strings.Contains(a.body, "planted") {
			p.t.Fatalf("%s: body %q", target, a.body)
		}
	}
}

// breaks is refuses for what reverse_proxy has begun to copy: where it cannot, it
// breaks the connection off, so that the client may get no status.
func (p *placed) breaks(target, link string) {
	p.t.Helper()
	for range 2 {
		resp, err := client.Get(p.url + with(target, link))
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusInternalServerError || len(body) > 0 {
			p.t.Fatalf("%s: status %d, body %q", target, resp.StatusCode, body)
		}
	}
}

// with adds a token to a target.
func with(target, link string) string {
	switch {
	case link == "":
		return target
	case strings.Contains(target, "?"):
		return target + "&" + link
	}
	return target + "?" + link
}

// wantRemedy fails the test unless the log says what to do about a path that was
// changed behind the directive.
func (p *placed) wantRemedy() {
	p.t.Helper()
	p.eventually(func() bool {
		return strings.Contains(p.logs(), "put rewrite, uri and try_files before download_token")
	})
}

// guarded is the directive in front of everything else of the site.
const guarded = "download_token {\nGUARD\n}\n"

var pubFiles = map[string]string{
	"pub/x.txt":  "granted x",
	"pub/y.txt":  "planted y",
	"secret.txt": "planted secret",
	"x.txt":      "planted x of the root",
	"index.html": "planted index",
}

func TestPlacementRewriteBefore(t *testing.T) {
	place(t, pubFiles, `rewrite /latest.txt /pub/x.txt
	rewrite /alias.txt /secret.txt
	uri replace /old/ /pub/
	uri strip_prefix /files
	`+guarded+`file_server`, func(t *testing.T, p *placed) {
		for _, asked := range []string{"/latest.txt", "/old/x.txt", "/files/pub/x.txt"} {
			link := p.link("/pub/x.txt")
			p.refuses("/alias.txt", link, http.StatusForbidden)
			p.opens(asked, link, "granted x")
			p.refuses(asked, p.link(asked), http.StatusForbidden)
		}
		p.refuses("/alias.txt", p.link("/alias.txt"), http.StatusForbidden)
	})
}

func TestPlacementTryFilesBefore(t *testing.T) {
	place(t, pubFiles, `try_files {path} /index.html
	`+guarded+`file_server`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt", "/pub/gone.txt")
		p.refuses("/pub/gone.txt", link, http.StatusForbidden)
		p.opens("/pub/x.txt", link, "granted x")
		p.get(with("/app/route", p.link("/index.html"))).want(t, http.StatusOK)
	})
}

func TestPlacementQueryBefore(t *testing.T) {
	place(t, map[string]string{"x.txt": "granted x", "pub/x.txt": "planted x"}, `uri /pub/* query -download_token
	rewrite /set /x.txt?lang=en
	rewrite /kept /x.txt?lang=en&{query}
	`+guarded+`file_server`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		p.refuses("/pub/x.txt", link, http.StatusUnauthorized)
		p.refuses("/set", link, http.StatusUnauthorized)
		p.wantLog("missing")
		p.opens("/kept", p.link("/x.txt"), "granted x")
	})
}

func TestPlacementRedirBefore(t *testing.T) {
	place(t, pubFiles, `redir /old.txt /pub/x.txt
	redir /moved.txt /pub/x.txt?{query}
	`+guarded+`file_server`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		if got := p.get("/old.txt?"+link).want(t, http.StatusFound).Header.Get("Location"); got != "/pub/x.txt" {
			t.Errorf("Location %q", got)
		}
		p.refuses("/pub/x.txt", "", http.StatusUnauthorized)
		moved := p.get("/moved.txt?"+link).want(t, http.StatusFound).Header.Get("Location")
		if moved != "/pub/x.txt?"+link {
			t.Fatalf("Location %q", moved)
		}
		p.opens(moved, "", "granted x")
	})
}

func TestPlacementMapAndVarsBefore(t *testing.T) {
	place(t, pubFiles, `map {query.download_token} {mapped} {
		~^(.+)$ "${1}"
		default none
	}
	vars copied {query.download_token}
	`+guarded+`header /pub/* {
		X-Mapped {mapped}
		X-Uri {uri}
		defer
	}
	header /pub/shown X-Copied {query}
	respond /pub/shown {vars.copied}
	file_server`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		a := p.get("/pub/x.txt?"+link).wantBody(t, "granted x")
		if mapped, uri := a.Header.Get("X-Mapped"), a.Header.Get("X-Uri"); mapped != "none" || uri != "/pub/x.txt" {
			t.Errorf("map has %q, {uri} is %q", mapped, uri)
		}
		// vars and header make their copies at once: why the documents warn
		shown := p.link("/pub/shown")
		a = p.get("/pub/shown?"+shown).wantBody(t, strings.TrimPrefix(shown, "download_token="))
		if got := a.Header.Get("X-Copied"); got != shown {
			t.Errorf("header copied %q", got)
		}
	})
}

func TestPlacementForwardAuthBefore(t *testing.T) {
	var mu sync.Mutex
	var uri string
	allow := true
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		uri = r.Header.Get("X-Forwarded-Uri")
		if !allow {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer gate.Close()
	place(t, pubFiles, `forward_auth `+gate.Listener.Addr().String()+` {
		uri /check
	}
	`+guarded+`file_server`, func(t *testing.T, p *placed) {
		set := func(to bool) { mu.Lock(); defer mu.Unlock(); allow = to }
		link := p.link("/pub/x.txt")
		set(false)
		p.refuses("/pub/x.txt", link, http.StatusForbidden)
		set(true)
		p.refuses("/secret.txt", link, http.StatusForbidden)
		p.opens("/pub/x.txt", link, "granted x")
		mu.Lock()
		defer mu.Unlock()
		if uri != "/pub/x.txt?"+link {
			t.Errorf("X-Forwarded-Uri %q: the documents say that it has the token", uri)
		}
	})
}

func TestPlacementEncodeBefore(t *testing.T) {
	files := map[string]string{"pub/x.html": strings.Repeat("granted ", 500), "secret.html": "planted secret"}
	for name, site := range map[string]string{
		"before": "route {\nencode gzip\n" + guarded + "file_server\n}",
		"behind": guarded + "encode gzip\nfile_server",
	} {
		t.Run(name, func(t *testing.T) {
			place(t, files, site, func(t *testing.T, p *placed) {
				link := p.link("/pub/x.html")
				p.refuses("/secret.html", link, http.StatusForbidden, "Accept-Encoding", "gzip")
				a := p.get("/pub/x.html?"+link, "Accept-Encoding", "gzip").want(t, http.StatusOK)
				// behind the directive, one-time downloads are not encoded
				if encoded := name == "before" || !p.once; !encoded {
					a.wantBody(t, files["pub/x.html"])
				} else if got := gunzip(t, a.body); a.Header.Get("Content-Encoding") != "gzip" || got != files["pub/x.html"] {
					t.Errorf("body %.20q, decoded %.20q", a.body, got)
				}
				if p.once {
					p.refuses("/pub/x.html", link, http.StatusUnauthorized)
				}
			})
		})
	}
}

func gunzip(t *testing.T, text string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestPlacementInterceptBefore(t *testing.T) {
	const intercept = `intercept {
		@ok status 2xx
		handle_response @ok {
			header -Content-Length
			respond "something else" 203
		}
	}
	`
	place(t, pubFiles, "route {\n"+intercept+guarded+"file_server\n}", func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		p.refuses("/secret.txt", link, http.StatusForbidden)
		if a := p.get("/pub/x.txt?" + link); a.StatusCode != http.StatusNonAuthoritativeInfo || a.body != "something else" {
			t.Errorf("status %d, body %q", a.StatusCode, a.body)
		}
		if p.once { // it was spent for bytes that intercept threw away
			p.refuses("/pub/x.txt", link, http.StatusUnauthorized)
		}
	})
}

func TestPlacementInterceptBehind(t *testing.T) {
	place(t, pubFiles, guarded+`intercept {
		@other header X-Other *
		handle_response @other {
			rewrite * /secret.txt
			file_server
		}
	}
	handle /pub/other.txt {
		header X-Other yes
		respond other
	}
	file_server`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt", "/pub/other.txt")
		p.refuses("/pub/other.txt", link, http.StatusInternalServerError)
		p.wantRemedy()
		p.opens("/pub/x.txt", link, "granted x")
	})
}

func TestPlacementCacheBefore(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		place(t, pubFiles, "route {\nshared_cache\n"+guarded+"file_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt")
			p.opens("/pub/x.txt", link, "granted x")
			p.refuses("/pub/x.txt", "", http.StatusUnauthorized)
			p.refuses("/pub/x.txt", p.link("/secret.txt"), http.StatusForbidden)
		})
	})
	t.Run("before, and the site says public", func(t *testing.T) {
		site := "route {\nshared_cache\ndownload_token {\nGUARD\nfrom cookie dt\n}\nheader Cache-Control \"public, max-age=600\"\nfile_server\n}"
		place(t, pubFiles, site, func(t *testing.T, p *placed) {
			cookie := strings.Replace(p.link("/pub/x.txt"), "download_token", "dt", 1)
			p.opens("/pub/x.txt", "", "granted x", "Cookie", cookie)
			p.refuses("/pub/x.txt", "", http.StatusUnauthorized)
		})
	})
	t.Run("behind, and the site says public", func(t *testing.T) {
		place(t, pubFiles, "route {\n"+guarded+"shared_cache\nheader Cache-Control \"public, max-age=600\"\nfile_server\n}", func(t *testing.T, p *placed) {
			p.opens("/pub/x.txt", p.link("/pub/x.txt"), "granted x")
			a := p.get(with("/pub/x.txt", p.link("/pub/x.txt"))).wantBody(t, "granted x")
			if a.Header.Get("X-Cache") != "hit" {
				t.Error("not from the cache: its key has the token")
			}
			p.refuses("/pub/x.txt", "", http.StatusUnauthorized)
			p.refuses("/pub/x.txt", p.link("/secret.txt"), http.StatusForbidden)
		})
	})
}

func TestPlacementMatcherOnTheDirective(t *testing.T) {
	alias := func(p *placed) {
		if err := os.Symlink("pub", filepath.Join(p.root, "alias")); err != nil {
			p.t.Fatal(err)
		}
	}
	t.Run("what the matcher does not name is open", func(t *testing.T) {
		place(t, pubFiles, "@private path /pub/*\ndownload_token @private {\nGUARD\n}\nfile_server", func(t *testing.T, p *placed) {
			alias(p)
			for _, asked := range []string{"/pub/x.txt", "/PUB/x.txt", "/pub%2Fx.txt", "//pub/x.txt", "/./pub/x.txt", "/secret/../pub/x.txt", "/%70ub/x.txt"} {
				if a := p.raw(asked); a.StatusCode == http.StatusOK || strings.Contains(a.body, "granted") {
					t.Errorf("%s: status %d", asked, a.StatusCode)
				}
			}
			p.opens("/pub/x.txt", p.link("/pub/x.txt"), "granted x")
			p.get("/alias/x.txt").wantBody(t, "granted x") // why the documents warn
		})
	})
	for name, site := range map[string]string{
		"the public parts are let out": "@private not path /x.txt\ndownload_token @private {\nGUARD\n}\nfile_server",
		"files only behind it":         "handle /pub/* {\n" + guarded + "file_server\n}\nrespond /x.txt public\nrespond 404",
	} {
		t.Run(name, func(t *testing.T) {
			place(t, map[string]string{"pub/x.txt": "granted x", "x.txt": "public"}, site, func(t *testing.T, p *placed) {
				alias(p)
				p.get("/x.txt").wantBody(t, "public")
				if a := p.get("/alias/x.txt"); a.StatusCode == http.StatusOK || strings.Contains(a.body, "granted") {
					t.Errorf("status %d, body %q", a.StatusCode, a.body)
				}
				p.opens("/pub/x.txt", p.link("/pub/x.txt"), "granted x")
			})
		})
	}
}

func TestPlacementInsideHandle(t *testing.T) {
	place(t, pubFiles, `handle /pub/* {
		rewrite /pub/latest.txt /pub/x.txt
		`+guarded+`file_server
	}
	handle {
		respond "outside"
	}`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		p.refuses("/pub/y.txt", link, http.StatusForbidden)
		p.refuses("/pub/x.txt", "", http.StatusUnauthorized)
		p.opens("/pub/x.txt", link, "granted x")
		p.opens("/pub/latest.txt", p.link("/pub/x.txt"), "granted x")
		p.get("/secret.txt").wantBody(t, "outside")
	})
}

func TestPlacementInsideRoute(t *testing.T) {
	t.Run("in the order of protection", func(t *testing.T) {
		place(t, pubFiles, "route {\nrewrite /latest.txt /pub/x.txt\n"+guarded+"file_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt")
			p.refuses("/pub/y.txt", link, http.StatusForbidden)
			p.opens("/latest.txt", link, "granted x")
		})
	})
	t.Run("a rewrite behind it", func(t *testing.T) {
		place(t, pubFiles, "route {\n"+guarded+"rewrite /pub/y.txt /secret.txt\nfile_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt", "/pub/y.txt")
			p.refuses("/pub/y.txt", link, http.StatusInternalServerError)
			p.wantRemedy()
			p.opens("/pub/x.txt", link, "granted x")
		})
	})
	t.Run("behind file_server it does nothing", func(t *testing.T) {
		place(t, map[string]string{"x.txt": "unprotected"}, "route {\nfile_server\n"+guarded+"}", func(t *testing.T, p *placed) {
			p.get("/x.txt").wantBody(t, "unprotected") // why the documents warn
		})
	})
}

func TestPlacementHandlePathBehind(t *testing.T) {
	files := map[string]string{"x.txt": "granted x", "y.txt": "planted y", "pub/x.txt": "planted x of pub", "dir/index.html": "granted index"}
	place(t, files, guarded+"handle_path /pub/* {\nfile_server\n}", func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		p.refuses("/pub/y.txt", link, http.StatusForbidden)
		p.opens("/pub/x.txt", link, "granted x")
		p.refuses("/pub/x.txt", p.link("/x.txt"), http.StatusForbidden)
		a := p.get("/pub/dir?"+p.link("/pub/dir/", "/pub/dir")).want(t, http.StatusPermanentRedirect)
		p.opens(a.Header.Get("Location"), "", "granted index")
	})
}

func TestPlacementInsideHandlePath(t *testing.T) {
	files := map[string]string{"x.txt": "granted x", "y.txt": "planted y"}
	t.Run("with path_prefix", func(t *testing.T) {
		place(t, files, "handle_path /pub/* {\ndownload_token {\nGUARD\npath_prefix /pub\n}\nfile_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt")
			p.refuses("/pub/y.txt", link, http.StatusForbidden)
			p.opens("/pub/x.txt", link, "granted x")
			p.refuses("/pub/x.txt", p.link("/x.txt"), http.StatusForbidden)
		})
	})
	t.Run("without", func(t *testing.T) {
		place(t, files, "handle_path /pub/* {\n"+guarded+"file_server\n}", func(t *testing.T, p *placed) {
			p.refuses("/pub/x.txt", p.link("/pub/x.txt"), http.StatusForbidden)
			p.opens("/pub/x.txt", p.link("/x.txt"), "granted x")
		})
	})
}

func TestPlacementInvoke(t *testing.T) {
	t.Run("the directive in the named route", func(t *testing.T) {
		place(t, pubFiles, beside("invoke files", "&(files)", "route {\n"+guarded+"file_server\n}"), func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt")
			p.refuses("/pub/y.txt", link, http.StatusForbidden)
			p.opens("/pub/x.txt", link, "granted x")
		})
	})
	t.Run("the directive before invoke", func(t *testing.T) {
		site := beside(guarded+"invoke files", "&(files)", "rewrite /pub/y.txt /secret.txt\nfile_server")
		place(t, pubFiles, site, func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt", "/pub/y.txt")
			p.refuses("/pub/y.txt", link, http.StatusInternalServerError)
			p.wantRemedy()
			p.opens("/pub/x.txt", link, "granted x")
		})
	})
	// Without a matcher or route, Caddy keeps only the first directive of a named
	// route: why the documents warn.
	t.Run("file_server is dropped", func(t *testing.T) {
		place(t, pubFiles, beside("invoke files", "&(files)", guarded+"file_server"), func(t *testing.T, p *placed) {
			if a := p.get(with("/pub/x.txt", p.link("/pub/x.txt"))); a.body != "" {
				t.Errorf("body %q", a.body)
			}
		})
	})
	t.Run("the directive is dropped", func(t *testing.T) {
		files := map[string]string{"x.txt": "unprotected"}
		place(t, files, beside("invoke guard\nfile_server", "&(guard)", "header X-Guard yes\n"+guarded), func(t *testing.T, p *placed) {
			p.get("/x.txt").wantBody(t, "unprotected")
		})
	})
}

func TestPlacementTwoSites(t *testing.T) {
	for _, tt := range []struct {
		name, globals, first, second string
		claims                       claims // of a token for the first
		both                         bool   // it opens the second as well
	}{
		{"nothing tells them apart", "", "", "", nil, true}, // why the documents warn
		{"audience", "", "audience first", "audience second", claims{"aud": "first"}, false},
		{"issuer", "", "issuer https://first.example", "issuer https://second.example", claims{"iss": "https://first.example"}, false},
		{"stores", "download_token {\nstore first memory\nstore second memory\n}", "store first", "store second", nil, true},
	} {
		for _, once := range []bool{false, true} {
			if !once && tt.globals != "" {
				continue // only one-time tokens are stored
			}
			t.Run(fmt.Sprintf("%s, once %t", tt.name, once), func(t *testing.T) {
				lines := func(more string) string {
					if once {
						more += "\none_time"
					}
					return "download_token {\n" + guard + "\n" + more + "\n}\nfile_server\n"
				}
				address, root := freeAddress(t), t.TempDir()
				site := beside(lines(tt.first), "http://"+address, lines(tt.second)+fmt.Sprintf("root %q", root))
				first := &placed{startWith(t, pubFiles, tt.globals, site), once}
				elsewhere := *first.server
				elsewhere.url, elsewhere.root = "http://"+address, root
				second := &placed{&elsewhere, once}
				second.put("pub/x.txt", "granted x of the second")

				all := claims{"scope": "download:/pub/x.txt", "jti": rand.Text()}
				for name, value := range tt.claims {
					all[name] = value
				}
				link := "download_token=" + mint(t, all)
				first.refuses("/pub/y.txt", link, http.StatusForbidden)
				if !tt.both {
					second.refuses("/pub/x.txt", link, http.StatusUnauthorized)
				}
				first.opens("/pub/x.txt", link, "granted x")
				switch {
				case !tt.both:
					first.refuses("/pub/x.txt", first.link("/pub/x.txt"), http.StatusUnauthorized)
				case once && tt.globals == "": // one store: used on one site, used on both
					second.refuses("/pub/x.txt", link, http.StatusUnauthorized)
					second.opens("/pub/x.txt", second.link("/pub/x.txt"), "granted x of the second")
				default:
					second.opens("/pub/x.txt", link, "granted x of the second")
				}
			})
		}
	}
}

func TestPlacementRootPerHandler(t *testing.T) {
	other := t.TempDir()
	if err := os.MkdirAll(filepath.Join(other, "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"b/x.txt": "granted b", "x.txt": "planted x elsewhere"} {
		if err := os.WriteFile(filepath.Join(other, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{"a/x.txt": "granted a", "b/x.txt": "b of the site"}
	t.Run("by path", func(t *testing.T) {
		place(t, files, guarded+"handle /b/* {\nroot \""+other+"\"\nfile_server\n}\nhandle {\nfile_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/b/x.txt")
			p.refuses("/a/x.txt", link, http.StatusForbidden)
			p.opens("/b/x.txt", link, "granted b")
			p.opens("/a/x.txt", p.link("/a/x.txt"), "granted a")
		})
	})
	t.Run("by something else than the path", func(t *testing.T) {
		place(t, files, guarded+"@b header Tree b\nhandle @b {\nroot \""+other+"\"\nfile_server\n}\nhandle {\nfile_server\n}", func(t *testing.T, p *placed) {
			// why the documents warn: the token says nothing about the tree
			p.opens("/b/x.txt", p.link("/b/x.txt"), "granted b", "Tree", "b")
			p.opens("/b/x.txt", p.link("/b/x.txt"), "b of the site")
		})
	})
}

func TestPlacementTwice(t *testing.T) {
	place(t, pubFiles, guarded+"handle {\n"+guarded+"file_server\n}", func(t *testing.T, p *placed) {
		p.refuses("/pub/x.txt", p.link("/pub/x.txt"), http.StatusUnauthorized)
		p.wantLog("missing")
	})
}

func TestPlacementHandleErrors(t *testing.T) {
	t.Run("a page of its own", func(t *testing.T) {
		files := map[string]string{"pub/x.txt": "granted x", "secret.txt": "planted secret", "errors/refused.html": "refused"}
		place(t, files, guarded+"file_server\nhandle_errors 401 403 404 {\nrewrite * /errors/refused.html\nfile_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt", "/pub/gone.txt")
			for target, status := range map[string]int{"/secret.txt": http.StatusForbidden, "/pub/gone.txt": http.StatusNotFound} {
				p.refuses(target, link, status)
				if a := p.get(with(target, link)); a.body != "refused" {
					t.Errorf("body %q", a.body)
				}
			}
			p.opens("/pub/x.txt", link, "granted x")
		})
	})
	t.Run("the token is gone from the placeholders", func(t *testing.T) {
		place(t, pubFiles, guarded+"file_server\nhandle_errors {\nrespond \"{uri} {http.request.orig_uri} {query.download_token}|{http.download_token.reason}\"\n}", func(t *testing.T, p *placed) {
			a := p.get(with("/secret.txt?a=1", p.link("/pub/x.txt"))).want(t, http.StatusForbidden)
			if a.body != "/secret.txt?a=1 /secret.txt?a=1 |scope" {
				t.Errorf("body %q", a.body)
			}
		})
	})
	t.Run("file_server without a rewrite gives the refused file away", func(t *testing.T) {
		place(t, map[string]string{"x.txt": "given away"}, guarded+"file_server\nhandle_errors {\nfile_server\n}", func(t *testing.T, p *placed) {
			if a := p.get("/x.txt").want(t, http.StatusUnauthorized); a.body != "given away" { // why the documents warn
				t.Errorf("body %q", a.body)
			}
		})
	})
}

func TestPlacementRewriteBehind(t *testing.T) {
	place(t, pubFiles, guarded+`handle /pub/tail.txt {
		rewrite * /tail.txt
		file_server
	}
	handle /pub/other.txt {
		rewrite * /pub/y.txt
		file_server
	}
	handle /pub/replaced/* {
		uri replace /replaced/ /
		file_server
	}
	handle /short/* {
		uri strip_prefix /short
		file_server
	}
	file_server`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt", "/pub/other.txt", "/pub/replaced/", "/short/pub/x.txt")
		p.refuses("/pub/other.txt", link, http.StatusInternalServerError)
		p.refuses("/pub/replaced/y.txt", link, http.StatusInternalServerError)
		p.wantRemedy()
		p.opens("/short/pub/x.txt", link, "granted x")
		p.opens("/pub/x.txt", p.link("/pub/x.txt"), "granted x")
		// "/tail.txt" is what is left of "/pub/tail.txt" when handle_path takes "/pub"
		// off, so this rewrite passes: why the documents warn
		p.put("tail.txt", "what is left")
		p.opens("/pub/tail.txt", p.link("/pub/tail.txt"), "what is left")
	})
}

func TestPlacementTryFilesBehind(t *testing.T) {
	t.Run("before, in the same handle", func(t *testing.T) {
		place(t, pubFiles, "handle {\ntry_files {path} {path}.txt /secret.txt\n"+guarded+"file_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt", "/pub/gone")
			p.refuses("/pub/gone", link, http.StatusForbidden)
			p.opens("/pub/x", link, "granted x")
		})
	})
	t.Run("behind", func(t *testing.T) {
		place(t, pubFiles, guarded+"handle {\ntry_files {path} {path}.txt /secret.txt\nfile_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt", "/pub/gone", "/pub/x")
			p.refuses("/pub/gone", link, http.StatusInternalServerError)
			p.refuses("/pub/x", link, http.StatusInternalServerError)
			p.wantRemedy()
			p.opens("/pub/x.txt", link, "granted x")
		})
	})
}

func TestPlacementPHPBehind(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var indexRan atomic.Int32
	go func() {
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			script := filepath.Base(fcgi.ProcessEnv(r)["SCRIPT_FILENAME"])
			if script == "index.php" {
				indexRan.Add(1)
			}
			fmt.Fprintf(w, "ran %s %s", script, r.URL.RequestURI())
		}))
	}()
	files := map[string]string{"pub/x.txt": "granted x", "pub/tool.php": "planted source", "index.php": "planted source", "pub/dir/index.php": "planted source"}
	place(t, files, guarded+"php_fastcgi "+l.Addr().String()+"\nfile_server", func(t *testing.T, p *placed) {
		link := p.link("/pub/tool.php", "/pub/app", "/pub/dir/")
		p.breaks("/pub/app", link)  // would be /index.php
		p.breaks("/pub/dir/", link) // would be /pub/dir/index.php
		p.wantRemedy()
		if indexRan.Load() == 0 {
			t.Error("index.php did not run: the documents say that it does")
		}
		p.refuses("/index.php", link, http.StatusForbidden)
		p.opens("/pub/tool.php?a=1", link, "ran tool.php /pub/tool.php?a=1")
		p.opens("/pub/x.txt", p.link("/pub/x.txt"), "granted x")
	})
}

// echo is an upstream that says what it was asked.
func echo(t *testing.T) string {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("accel"); to != "" {
			w.Header().Set("X-Accel-Redirect", to)
		}
		w.Header().Set("Asked", r.Method+" "+r.RequestURI)
		w.Header().Set("Access-Control-Asked", w.Header().Get("Asked"))
		fmt.Fprintf(w, "asked for %s", r.RequestURI)
		for _, name := range []string{"Authorization", "Cookie", "X-Forwarded-Uri"} {
			if value := r.Header.Get(name); value != "" {
				fmt.Fprintf(w, ", %s %s", name, value)
			}
		}
	}))
	t.Cleanup(upstream.Close)
	return upstream.Listener.Addr().String()
}

func TestPlacementProxyBehind(t *testing.T) {
	address := echo(t)
	place(t, nil, "download_token {\nGUARD\nfrom query download_token\nfrom cookie dt\nfrom header Authorization\n}\nreverse_proxy "+address, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt", "/pub/x;v=1", "/pub/%2e%2e/secret.txt")
		p.refuses("/secret.txt", link, http.StatusForbidden)
		p.refuses("/pub%2Fx.txt", link, http.StatusBadRequest)
		p.refuses("/pub/%5C..%5Csecret.txt", link, http.StatusBadRequest)
		p.opens("/pub/x.txt?a=1", link, "asked for /pub/x.txt?a=1", "Cookie", "dt=other")
		// decoding again, or cutting at a semicolon, is left to the upstream
		p.opens("/pub/x;v=1", p.link("/pub/x;v=1"), "asked for /pub/x;v=1")
		p.opens("/pub/%252e%252e/secret.txt", p.link("/pub/%2e%2e/secret.txt"), "asked for /pub/%252e%252e/secret.txt")

		jwt := strings.TrimPrefix(p.link("/pub/x.txt"), "download_token=")
		p.opens("/pub/x.txt", "", "asked for /pub/x.txt, Cookie a=1", "Cookie", "a=1; dt="+jwt)
		jwt = strings.TrimPrefix(p.link("/pub/x.txt"), "download_token=")
		p.opens("/pub/x.txt", "", "asked for /pub/x.txt", "Authorization", "Bearer "+jwt)
		p.opens("/pub/x.txt", p.link("/pub/x.txt"), "asked for /pub/x.txt, Authorization Basic dTpw", "Authorization", "Basic dTpw")
	})
	t.Run("rewrite in reverse_proxy", func(t *testing.T) {
		place(t, nil, guarded+"reverse_proxy "+address+" {\nrewrite /internal{uri}\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/x.txt")
			p.refuses("/internal/pub/x.txt", link, http.StatusForbidden)
			p.opens("/pub/x.txt", link, "asked for /internal/pub/x.txt") // why the documents warn
		})
	})
}

func TestPlacementPreflight(t *testing.T) {
	preflight := []string{"Origin", "https://app.example", "Access-Control-Request-Method", "GET"}
	site := guarded + "handle /api/* {\nreverse_proxy " + echo(t) + "\n}\nhandle /pub/y.txt {\nmethod GET\nfile_server\n}\nfile_server browse"
	place(t, pubFiles, site, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt", "/api/")
		for _, target := range []string{"/pub/x.txt", "/pub/y.txt", "/pub/", "/pub/gone.txt", with("/pub/x.txt", link), with("/secret.txt", link)} {
			if a := p.do(http.MethodOptions, target, preflight...); a.StatusCode >= 300 || a.body != "" {
				t.Errorf("%s: status %d, body %q", target, a.StatusCode, a.body)
			}
		}
		a := p.do(http.MethodOptions, with("/api/x?a=1", link), preflight...)
		if got := a.Header.Get("Access-Control-Asked"); got != "OPTIONS /api/x?a=1" || a.body != "" {
			t.Errorf("the upstream was asked %q, body %q", got, a.body)
		}
		// one of the two header fields does not make a preflight
		p.do(http.MethodOptions, "/pub/x.txt", preflight[:2]...).want(t, http.StatusUnauthorized)
		p.do(http.MethodOptions, "/pub/x.txt", preflight[2:]...).want(t, http.StatusUnauthorized)
		p.do(http.MethodGet, "/pub/x.txt", preflight...).want(t, http.StatusUnauthorized)
		p.opens("/pub/x.txt", link, "granted x")
	})
}

func TestPlacementUpgradeBehind(t *testing.T) {
	place(t, nil, guarded+"reverse_proxy "+newSwitcher(t, false).address, func(t *testing.T, p *placed) {
		p.opens("/pub/x.txt", p.link("/pub/x.txt"), "plain", "Connection", "Upgrade", "Upgrade", "websocket")
	})
	place(t, nil, guarded+"reverse_proxy "+newSwitcher(t, true).address, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		for range 2 {
			p.get(with("/pub/x.txt", link), "Connection", "Upgrade", "Upgrade", "websocket").want(t, http.StatusBadGateway)
		}
	})
}

func TestPlacementNothingBehind(t *testing.T) {
	place(t, pubFiles, guarded, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		for range 2 {
			p.get(with("/pub/x.txt", link)).wantBody(t, "")
		}
		if !strings.Contains(p.logs(), "no handler behind download_token has answered") {
			t.Error("the log does not say so")
		}
	})
}

func TestPlacementAccelBehind(t *testing.T) {
	place(t, pubFiles, guarded+"reverse_proxy "+echo(t)+` {
		@accel header X-Accel-Redirect *
		handle_response @accel {
			rewrite * {rp.header.X-Accel-Redirect}
			file_server
		}
	}`, func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		for _, to := range []string{"/secret.txt", "/pub/y.txt"} {
			p.refuses("/pub/x.txt?accel="+to, link, http.StatusInternalServerError)
		}
		p.wantRemedy()
		p.opens("/pub/x.txt?accel=/pub/x.txt", link, "granted x")
	})
}

func TestPlacementTemplatesBehind(t *testing.T) {
	files := map[string]string{
		"pub/page.html":    `granted {{.Req.URL}} {{.OriginalReq.URL}} {{.OriginalReq.RequestURI}} {{.Cookie "dt"}}`,
		"pub/include.html": `granted {{include "/pub/part.html"}}`,
		"pub/virtual.html": `granted {{httpInclude "/pub/part.html"}}`,
		"pub/part.html":    "part",
		"secret.html":      "planted secret",
	}
	const sources = "download_token {\nGUARD\nfrom query download_token\nfrom cookie dt\n"
	place(t, files, sources+"}\ntemplates\nfile_server", func(t *testing.T, p *placed) {
		link := p.link("/pub/page.html", "/pub/include.html", "/pub/virtual.html", "/pub/part.html")
		p.refuses("/secret.html", link, http.StatusForbidden)
		// the second request of httpInclude has no token, so the page fails
		p.refuses("/pub/virtual.html", link, http.StatusInternalServerError)
		cookie := strings.Replace(link, "download_token", "dt", 1)
		p.refuses("/pub/virtual.html", "", http.StatusInternalServerError, "Cookie", cookie)
		p.opens("/pub/page.html", "", "granted /pub/page.html /pub/page.html /pub/page.html ", "Cookie", cookie)
		p.opens("/pub/page.html", p.link("/pub/page.html"), "granted /pub/page.html /pub/page.html /pub/page.html ")
		p.opens("/pub/include.html", p.link("/pub/include.html"), "granted part")
	})
	t.Run("forward", func(t *testing.T) {
		place(t, files, sources+"forward\n}\ntemplates\nfile_server", func(t *testing.T, p *placed) {
			cookie := strings.Replace(p.link("/pub/virtual.html", "/pub/part.html"), "download_token", "dt", 1)
			if !p.once {
				p.opens("/pub/virtual.html", "", "granted part", "Cookie", cookie)
				return
			}
			// the token is in use by the page itself, and stays unspent
			p.refuses("/pub/virtual.html", "", http.StatusInternalServerError, "Cookie", cookie)
			p.opens("/pub/part.html", "", "part", "Cookie", cookie)
		})
	})
	t.Run("before", func(t *testing.T) {
		broken := map[string]string{"pub/virtual.html": files["pub/virtual.html"]}
		place(t, broken, "route {\ntemplates\n"+guarded+"file_server\n}", func(t *testing.T, p *placed) {
			link := p.link("/pub/virtual.html")
			p.get("/pub/virtual.html?"+link).want(t, http.StatusInternalServerError)
			if p.once { // spent for bytes that templates threw away
				p.refuses("/pub/virtual.html", link, http.StatusUnauthorized)
			}
		})
	})
}

func TestPlacementIndexFiles(t *testing.T) {
	files := map[string]string{"pub/dir/index.html": "granted index", "pub/dir/a.txt": "granted a", "index.html": "planted index"}
	place(t, files, guarded+"file_server", func(t *testing.T, p *placed) {
		p.refuses("/", p.link("/pub/dir/"), http.StatusForbidden)
		p.opens("/pub/dir/", p.link("/pub/dir/"), "granted index")
		p.opens("/pub/dir/index.html", p.link("/pub/dir/"), "granted index")
		// the file alone is not the directory, though the same bytes
		p.refuses("/pub/dir/", p.link("/pub/dir/index.html"), http.StatusForbidden)

		link := p.link("/pub/dir")
		a := p.get("/pub/dir?"+link).want(t, http.StatusPermanentRedirect)
		p.opens(a.Header.Get("Location"), "", "granted index")
	})
}

func TestPlacementListings(t *testing.T) {
	files := map[string]string{"pub/granted.txt": "x", "planted.txt": "x", "pub/with/index.html": "planted index"}
	t.Run("a path with everything below includes the listing", func(t *testing.T) {
		place(t, files, guarded+"file_server browse", func(t *testing.T, p *placed) {
			link := p.link("/pub/")
			p.refuses("/", link, http.StatusForbidden)
			a := p.get("/pub/?"+link, "Accept", "application/json").want(t, http.StatusOK)
			if !strings.Contains(a.body, "granted.txt") || strings.Contains(a.body, "planted") {
				t.Errorf("body %q", a.body)
			}
			if strings.Contains(a.body, "download_token") {
				t.Error("the links of the listing have the token")
			}
			p.refuses("/pub/", p.link("/pub/granted.txt"), http.StatusForbidden)
			if p.once {
				p.refuses("/pub/", link, http.StatusUnauthorized)
			}
		})
	})
	t.Run("path_permissions needs listFolderChildren", func(t *testing.T) {
		site := strings.ReplaceAll(guarded, "GUARD", "GUARD\nscope path_permissions") + "file_server browse"
		place(t, files, site, func(t *testing.T, p *placed) {
			link := func(list bool) string {
				return "download_token=" + mint(t, claims{"jti": rand.Text(), "access": access(
					entry("/pub", "This", []string{"*"}, list), entry("/pub", "Children", []string{"*"}, list))})
			}
			p.refuses("/pub/", link(false), http.StatusForbidden)
			may := link(true)
			p.refuses("/pub/with/", may, http.StatusForbidden) // no listing, but an index file
			if a := p.get("/pub/?"+may).want(t, http.StatusOK); !strings.Contains(a.body, "granted.txt") {
				t.Error("no listing")
			}
		})
	})
}

func TestPlacementSidecars(t *testing.T) {
	files := map[string]string{"pub/x.txt": "granted x", "pub/x.txt.gz": "granted sidecar"}
	place(t, files, guarded+"file_server {\nprecompressed gzip\n}", func(t *testing.T, p *placed) {
		link := p.link("/pub/x.txt")
		p.refuses("/pub/x.txt.gz", link, http.StatusForbidden)
		want := "granted sidecar"
		if p.once {
			want = "granted x" // one-time downloads are not encoded
		}
		p.opens("/pub/x.txt", link, want, "Accept-Encoding", "gzip")
		p.opens("/pub/x.txt.gz", p.link("/pub/x.txt.gz"), "granted sidecar")
	})
}

func TestPlacementLinks(t *testing.T) {
	place(t, map[string]string{"pub/x.txt": "granted x", "target.txt": "granted target"}, guarded+"file_server", func(t *testing.T, p *placed) {
		in := func(name string) string { return filepath.Join(p.root, filepath.FromSlash(name)) }
		if err := os.Symlink("../target.txt", in("pub/symlink.txt")); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(in("target.txt"), in("pub/hardlink.txt")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"/pub/symlink.txt", "/pub/hardlink.txt"} {
			link := p.link(name)
			p.refuses("/target.txt", link, http.StatusForbidden)
			p.opens(name, link, "granted target")
			p.refuses(name, p.link("/target.txt"), http.StatusForbidden)
		}
	})
}

func TestPlacementHide(t *testing.T) {
	files := map[string]string{"pub/x.txt": "granted x", "pub/.env": "planted settings", "pub/private/y.txt": "planted y"}
	place(t, files, guarded+"file_server browse {\nhide .env private\n}", func(t *testing.T, p *placed) {
		link := p.link("/pub/")
		p.refuses("/pub/.env", link, http.StatusNotFound)
		p.refuses("/pub/private/y.txt", link, http.StatusNotFound)
		p.opens("/pub/x.txt", link, "granted x")
	})
}

func TestPlacementLetterCase(t *testing.T) {
	place(t, pubFiles, guarded+"file_server", func(t *testing.T, p *placed) {
		// stands for a file system that does not tell the two apart
		for name, target := range map[string]string{"PUB": "pub", "pub/X.TXT": "x.txt"} {
			if err := os.Symlink(target, filepath.Join(p.root, filepath.FromSlash(name))); err != nil {
				t.Fatal(err)
			}
		}
		link := p.link("/pub/x.txt")
		for _, asked := range []string{"/PUB/x.txt", "/pub/X.TXT", "/Pub/x.txt"} {
			p.refuses(asked, link, http.StatusForbidden)
		}
		p.opens("/pub/x.txt", link, "granted x")
	})
}

func TestPlacementWindowsNames(t *testing.T) {
	place(t, pubFiles, guarded+"file_server", func(t *testing.T, p *placed) {
		link := p.link("/pub/")
		for _, asked := range []string{"/pub/%5Cx.txt", "/pub/..%5Csecret.txt", "/pub%5C..%5Csecret.txt", "/pub/%5c%5chost%5cshare", "/pub/x.txt%00", "/pub/\\x.txt"} {
			p.refuses(asked, link, http.StatusBadRequest)
		}
		elsewhere := http.StatusNotFound // there, these are names like any other
		if runtime.GOOS == "windows" {
			elsewhere = http.StatusBadRequest
		}
		for _, asked := range []string{"/pub/x.txt::$DATA", "/pub/x.txt.", "/pub/x.txt%20", "/pub/NUL", "/pub/com1.txt", "/pub/LONGNA~1.TXT", "/pub/C:/secret.txt"} {
			p.refuses(asked, link, elsewhere)
		}
		p.opens("/pub/x.txt", link, "granted x")
	})
}

func TestPlacementSpellings(t *testing.T) {
	place(t, pubFiles, guarded+"file_server", func(t *testing.T, p *placed) {
		link := p.link("/pub/")
		for _, asked := range []string{"/pub/../secret.txt", "/pub/%2e%2e/secret.txt", "/pub%2f..%2fsecret.txt", "/pub/./x.txt", "//pub/x.txt", "/pub//x.txt", "/pub%2Fx.txt", "/pub/x.txt/."} {
			p.refuses(asked, link, http.StatusBadRequest)
		}
		p.opens("/%70ub/x%2Etxt", link, "granted x")
	})
}

func TestPlacementSegments(t *testing.T) {
	files := map[string]string{"report/x.txt": "granted x", "report-secret/x.txt": "planted x", "report.txt": "planted report", "a/report/x.txt": "planted x"}
	place(t, files, guarded+"file_server", func(t *testing.T, p *placed) {
		for _, scope := range []string{"/report", "/report/"} {
			link := p.link(scope)
			for _, asked := range []string{"/report-secret/x.txt", "/report.txt", "/a/report/x.txt"} {
				p.refuses(asked, link, http.StatusForbidden)
			}
			p.opens("/report/x.txt", link, "granted x")
		}
	})
}

func TestPlacementCanonicalURIs(t *testing.T) {
	files := map[string]string{"pub/index.html": "granted index", "pub/x.txt": "granted x", "secret.txt": "planted secret"}
	const directive = "download_token {\nGUARD\nscope template name:{name} /{name}\nscope path_permissions\n}\n"
	named := func(p *placed) string {
		return "download_token=" + mint(p.t, claims{"scope": "name:pub", "jti": rand.Text()})
	}
	t.Run("redirected", func(t *testing.T) {
		place(t, files, directive+"file_server", func(t *testing.T, p *placed) {
			link := named(p)
			a := p.get("/pub?"+link).want(t, http.StatusPermanentRedirect)
			p.refuses(a.Header.Get("Location"), "", http.StatusForbidden)
			p.opens("/pub/x.txt", p.link("/pub/"), "granted x")
		})
	})
	for name, site := range map[string]string{
		"disable_canonical_uris":            directive + "file_server {\ndisable_canonical_uris\n}",
		"a last segment that was rewritten": "rewrite /latest /pub\n" + directive + "file_server",
	} {
		t.Run(name, func(t *testing.T) {
			place(t, files, site, func(t *testing.T, p *placed) {
				target := "/pub"
				if strings.Contains(site, "rewrite") {
					target = "/latest"
				}
				p.refuses("/pub/x.txt", named(p), http.StatusForbidden)
				p.refuses("/pub/", named(p), http.StatusForbidden)
				p.opens(target, named(p), "granted index") // why the documents warn
			})
		})
	}
	t.Run("a last segment that was rewritten, and browse", func(t *testing.T) {
		listed := map[string]string{"pub/x.txt": "granted x"}
		place(t, listed, "rewrite /latest /pub\n"+directive+"file_server browse", func(t *testing.T, p *placed) {
			a := p.get("/latest?"+named(p)).want(t, http.StatusOK) // why the documents warn
			if !strings.Contains(a.body, "x.txt") {
				t.Errorf("body %q", a.body)
			}
			p.refuses("/pub/", named(p), http.StatusForbidden)
			children := "download_token=" + mint(t, claims{"jti": rand.Text(), "access": access(entry("/", "Children", []string{"*"}, false))})
			p.refuses("/pub/", children, http.StatusForbidden)
			p.refuses("/pub/x.txt", children, http.StatusForbidden)
			p.get("/latest?"+children).want(t, http.StatusOK) // why the documents warn
		})
	})
	t.Run("a last segment that was rewritten, with its slash", func(t *testing.T) {
		place(t, files, "rewrite /latest /pub/\n"+directive+"file_server", func(t *testing.T, p *placed) {
			p.refuses("/latest", named(p), http.StatusForbidden)
			p.opens("/latest", p.link("/pub/"), "granted index")
		})
	})
}

// TestPlacementExamples runs the Caddyfiles of the page as they stand there, but
// for address and root.
func TestPlacementExamples(t *testing.T) {
	t.Setenv("DOWNLOAD_SECRET", secret)
	files := map[string]string{"x.txt": "granted x", "y.txt": "planted y", "pub/x.txt": "granted x", "pub/y.txt": "planted y"}
	count := 0
	for _, b := range blocksOf(t, placementFile) {
		if b.info != "caddyfile" {
			continue
		}
		count++
		t.Run(b.name, func(t *testing.T) {
			address, root := freeAddress(t), t.TempDir()
			whole := strings.NewReplacer("localhost:8080", address, "/srv/files", root).Replace(b.text)
			opening, site, found := strings.Cut(strings.TrimSuffix(whole, "}\n"), " {\n")
			if !found || opening != "http://"+address {
				t.Fatalf("the example is not a site at localhost:8080:\n%s", b.text)
			}
			s := start(t, nil, beside("respond 404", opening, site))
			s.url, s.root = opening, root
			for name, content := range files {
				s.put(name, content)
			}
			p := &placed{s, strings.Contains(whole, "one_time")}
			link := "download_token=" + mint(t, claims{"scope": "file:x.txt", "jti": rand.Text()})
			p.refuses("/pub/y.txt", link, http.StatusForbidden)
			p.refuses("/pub/x.txt", "", http.StatusUnauthorized)
			for _, target := range []string{"/y.txt", "/pub/../y.txt", "/pub/pub/x.txt"} {
				if a := p.raw(with(target, link)); a.StatusCode < 400 || strings.Contains(a.body, "planted") {
					t.Errorf("%s: status %d, body %q", target, a.StatusCode, a.body)
				}
			}
			p.opens("/pub/x.txt", link, "granted x")
		})
	}
	if count != 3 {
		t.Errorf("%d examples, want 3", count)
	}
}

// TestPlacementTable compares the page with this file: each row of its tables
// names a test that exists, and each test is named.
func TestPlacementTable(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "placement_test.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, decl := range parsed.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
			tests = append(tests, f.Name.Name)
		}
	}
	page := readText(t, placementFile)
	name := regexp.MustCompile("`(TestPlacement[A-Za-z]*)`")
	rows := 0
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(strings.ReplaceAll(line, `\|`, "")), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| set-up ") {
			continue
		}
		rows++
		if len(cells) != 5 {
			t.Errorf("a row with %d cells: %s", len(cells), line)
		}
		if name.FindString(cells[len(cells)-1]) == "" {
			t.Errorf("a row without a test: %s", line)
		}
	}
	if rows < 30 {
		t.Errorf("only %d rows", rows)
	}
	var named []string
	for _, match := range name.FindAllStringSubmatch(page, -1) {
		named = append(named, match[1])
		if !slices.Contains(tests, match[1]) {
			t.Errorf("the page names %s, which is no test", match[1])
		}
	}
	for _, test := range tests {
		if !slices.Contains(named, test) {
			t.Errorf("the page does not name %s", test)
		}
	}
}

func init() {
	caddy.RegisterModule(new(sharedCache))
	httpcaddyfile.RegisterHandlerDirective("shared_cache", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return &sharedCache{stored: make(map[string]*httptest.ResponseRecorder)}, nil
	})
}

// sharedCache is a cache as a plugin would be: it keeps what RFC 9111 section 3
// lets a shared cache keep, by URL, and knows nothing of tokens.
type sharedCache struct {
	mu     sync.Mutex
	stored map[string]*httptest.ResponseRecorder
}

func (*sharedCache) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.shared_cache", New: func() caddy.Module {
		return &sharedCache{stored: make(map[string]*httptest.ResponseRecorder)}
	}}
}

func (c *sharedCache) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	url := r.URL.RequestURI()
	kept, hit := c.stored[url]
	if !hit {
		kept = httptest.NewRecorder()
		if err := next.ServeHTTP(kept, r); err != nil {
			return err
		}
		cc := kept.Header().Get("Cache-Control")
		if kept.Code == http.StatusOK && !strings.Contains(cc, "no-store") && !strings.Contains(cc, "private") {
			c.stored[url] = kept
		}
	} else {
		w.Header().Set("X-Cache", "hit")
	}
	for name, values := range kept.Header() {
		w.Header()[name] = slices.Clone(values)
	}
	w.WriteHeader(kept.Code)
	_, err := w.Write(kept.Body.Bytes())
	return err
}
