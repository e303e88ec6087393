package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// switcher is an upstream that switches protocols, when asked or always, and
// echoes from then on.
type switcher struct {
	address  string
	unasked  bool
	switched atomic.Int32
}

func newSwitcher(t testing.TB, unasked bool) *switcher {
	t.Helper()
	u := &switcher{unasked: unasked}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	u.address = server.Listener.Addr().String()
	return u
}

func (u *switcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	protocol := r.Header.Get("Upgrade")
	if u.unasked && protocol == "" {
		protocol = "test"
	}
	if protocol == "" {
		_, _ = io.WriteString(w, strings.TrimSpace("plain "+r.Header.Get("For-Error")))
		return
	}
	u.switched.Add(1)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	_, _ = io.Copy(conn, rw)
}

// asksToSwitch are ways to ask over HTTP/1.1.
var asksToSwitch = map[string]string{
	"test":         "Connection: Upgrade\r\nUpgrade: test\r\n",
	"h2c":          "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
	"WebSocket":    "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
	"two lines":    "Connection: keep-alive\r\nConnection: uPGRADE\r\nUpgrade: test\r\n",
	"two upgrades": "Connection: upgrade\r\nUpgrade: test\r\nUpgrade: other\r\n",
	"folded lines": "Connection: keep-alive,\r\n\tUpgrade\r\nUpgrade:\r\n test\r\n",
	"tabs":         "Connection:\tkeep-alive\t,\tupgrade\t\r\nUpgrade:\ttest\t\r\n",
	"of a proxy":   "Proxy-Connection: Upgrade\r\nConnection: Upgrade, Proxy-Connection\r\nUpgrade: test\r\n",
	"trailers":     "Connection: TE, Upgrade\r\nTE: trailers\r\nUpgrade: test\r\n",
	"expecting":    "Connection: Upgrade\r\nUpgrade: test\r\nExpect: 100-continue\r\n",
}

// knock sends a request, its fields as they are, and what would go through a
// tunnel. It returns all that comes back.
func (s *server) knock(method, target, fields string) string {
	s.t.Helper()
	host := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, target, host, fields)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		s.t.Fatal(err)
	}
	body := ""
	if resp.StatusCode != http.StatusSwitchingProtocols {
		all, _ := io.ReadAll(resp.Body)
		body = string(all)
	}
	_, _ = io.WriteString(conn, "GET /tunnelled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	rest, _ := io.ReadAll(r)
	if strings.HasPrefix(string(rest), "GET /tunnelled") {
		body += " and a tunnel"
	}
	return strings.TrimSpace(resp.Status[:3] + " " + body)
}

// proxied is a directive in front of an upstream.
func proxied(address, options, proxy string) string {
	return "download_token {\nkey HS256 \"" + secret + "\"\nscope path\nmax_ttl 10m\n" + options + "\n}\nreverse_proxy " + address + " {\n" + proxy + "\n}"
}

// errorProxy has errors answered by an upstream, as some do for pages.
func errorProxy(address string) string {
	return "\nhandle_errors {\n@start path /\nrespond @start 401\nreverse_proxy " + address + " {\nheader_up For-Error {err.status_code}\n}\n}"
}

func TestNoTunnelThroughAProxy(t *testing.T) {
	const preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n"
	token := func(c claims) string {
		all := claims{"jti": fmt.Sprint(time.Now().UnixNano()), "scope": "download:/a"}
		for name, value := range c {
			all[name] = value
		}
		return "?download_token=" + mint(t, all)
	}
	for mode, options := range map[string]string{
		"time-limited": "", "one-time": "one_time", "resumable": "one_time {\nresume 1h\n}", "forward": "forward", "confirm": "one_time\nconfirm always",
	} {
		t.Run(mode, func(t *testing.T) {
			upstream := newSwitcher(t, false)
			s := start(t, nil, proxied(upstream.address, options, "")+errorProxy(upstream.address))
			for name, fields := range asksToSwitch {
				want := func(what, got, want string) {
					t.Helper()
					if !strings.HasPrefix(got, want) || strings.Contains(got, "tunnel") {
						t.Errorf("%s, %s: %q, want %q", name, what, got, want)
					}
				}
				want("a preflight without a token", s.knock(http.MethodOptions, "/a", preflight+fields), "204")
				link := token(nil)
				for range 3 {
					want("HEAD", s.knock(http.MethodHead, "/a"+link, fields), "200")
				}
				want("another path", s.knock(http.MethodGet, "/b"+link, fields), "200 plain 403")
				want("CONNECT", s.knock(http.MethodConnect, "/a"+link, fields), "405")
				want("expired", s.knock(http.MethodGet, "/a"+token(claims{"exp": time.Now().Unix() - 1}), fields), "200 plain 401")
				want("no token", s.knock(http.MethodGet, "/a", fields), "200 plain 401")
				if mode == "confirm" {
					want("the page", s.knock(http.MethodGet, "/a"+link, fields), "200 <!DOCTYPE html>")
					want("the button", s.knock(http.MethodPost, "/a"+link, fields+"Content-Length: 0\r\n"), "200 plain")
				} else {
					want("GET", s.knock(http.MethodGet, "/a"+link, fields), "200 plain")
				}
				if strings.HasPrefix(mode, "one") {
					want("again", s.knock(http.MethodGet, "/a"+link, fields), "200 plain 401")
				}
			}
			if n := upstream.switched.Load(); n > 0 {
				t.Errorf("the upstream was asked to switch %d times", n)
			}
		})
	}
}

// TestAnUpstreamThatInsistsOn101: it is answered with 502, which says why in the
// log, and costs no token.
func TestAnUpstreamThatInsistsOn101(t *testing.T) {
	for name, proxy := range map[string]string{
		"unasked":               "",
		"asked by header_up":    "header_up Connection Upgrade\nheader_up Upgrade test",
		"asked with a response": "header_up Connection Upgrade\nheader_up Upgrade test\nheader_down X-Planted x",
	} {
		t.Run(name, func(t *testing.T) {
			upstream := newSwitcher(t, true)
			s := start(t, map[string]string{"a": "content of a"}, proxied(upstream.address, "one_time", proxy))
			link := "?download_token=" + mint(t, claims{"jti": "j", "scope": "download:/a"})
			for range 2 {
				if got := s.knock(http.MethodGet, "/a"+link, asksToSwitch["test"]); got != "502" {
					t.Errorf("GET: %q", got)
				}
				if got := s.knock(http.MethodHead, "/a"+link, asksToSwitch["test"]); got != "502" {
					t.Errorf("HEAD: %q", got)
				}
			}
			if got := s.knock(http.MethodOptions, "/a", "Origin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n"+asksToSwitch["test"]); got != "204" {
				t.Errorf("preflight: %q", got)
			}
			if !strings.Contains(s.logs(), "WebSocket and other upgrades do not pass") {
				t.Error("the log does not say why")
			}
			if err := s.reload(oneTime); err != nil {
				t.Fatal(err)
			}
			s.get("/a"+link).wantBody(t, "content of a")
		})
	}
}

// TestNoTunnelOverHTTP3: there, extended CONNECT (RFC 9220) is always offered.
func TestNoTunnelOverHTTP3(t *testing.T) {
	for name, before := range map[string]string{"as it is": "", "the request is copied": "tracing\n", "CONNECT is made a GET": "method GET\n"} {
		t.Run(name, func(t *testing.T) {
			upstream, address := newSwitcher(t, false), freeAddress(t)
			site := before + ownTLS(t) + "\n" + proxied(upstream.address, "", "") + errorProxy(upstream.address)
			startApart(t, nil, "auto_https disable_redirects", beside("respond 404", "https://"+address, site))
			transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the server makes its own
			defer transport.Close()
			ask := func(method, protocol, target string) string {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, method, "https://"+address+target, strings.NewReader("planted"))
				if err != nil {
					t.Fatal(err)
				}
				req.Proto = protocol
				var resp *http.Response
				for resp == nil { // until the certificate is there
					if resp, err = transport.RoundTrip(req.Clone(ctx)); err != nil && ctx.Err() != nil {
						t.Fatal(err)
					}
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				if strings.Contains(string(body), "planted") {
					return resp.Status[:3] + " and a tunnel"
				}
				return resp.Status[:3]
			}
			link := "/a?download_token=" + mint(t, claims{"jti": "j", "scope": "download:/a"})
			if got := ask(http.MethodGet, "HTTP/3.0", link); got != "200" {
				t.Fatalf("GET: %s", got)
			}
			if got := ask(http.MethodConnect, "websocket", link); got != "405" {
				t.Errorf("with a token: %s", got)
			}
			if got := ask(http.MethodConnect, "websocket", "/a"); got != "401" {
				t.Errorf("without: %s", got)
			}
			if n := upstream.switched.Load(); n > 0 {
				t.Errorf("the upstream was asked to switch %d times", n)
			}
		})
	}
}
