package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

// atsKey, atsIssuer and atsID are what an Apache Traffic Server of these tests knows.
const (
	atsKid    = "shared"
	atsIssuer = "uCDN Inc"
	atsID     = "dCDN LLC"
	atsHost   = "cdni.example"
)

// trafficServer starts an Apache Traffic Server with its plugin uri_signing, the open
// implementation of RFC 9246, in front of an address, and returns its own.
func trafficServer(t *testing.T, upstream string) (address string) {
	t.Helper()
	program, dir := tool(t, "traffic_server"), t.TempDir()
	plugin := "/usr/lib/trafficserver/modules/uri_signing.so" // of trafficserver-experimental-plugins
	if _, err := os.Stat(plugin); err != nil {
		missing(t, plugin+" is not installed")
	}
	for _, name := range []string{"etc", "run", "log", "cache"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	address = freeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	k := base64.RawURLEncoding.EncodeToString([]byte(secret))
	for name, content := range map[string]string{
		"runroot.yaml": `prefix: /usr
exec_prefix: /usr
bindir: /usr/bin
sbindir: /usr/bin
includedir: /usr/include
libdir: /usr/lib/trafficserver
libexecdir: /usr/lib/trafficserver/modules
mandir: /usr/share/man
infodir: /usr/share/info
sysconfdir: ` + dir + `/etc
datadir: ` + dir + `/cache
cachedir: ` + dir + `/cache
localstatedir: ` + dir + `/run
runtimedir: ` + dir + `/run
logdir: ` + dir + `/log
`,
		"etc/records.config": `CONFIG proxy.config.http.server_ports STRING ` + port + `:ip-in=` + host + `
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.crash_log_helper STRING NULL
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.diags.debug.enabled INT 1
CONFIG proxy.config.diags.debug.tags STRING uri_signing
`,
		"etc/storage.config": dir + "/cache 16M\n",
		"etc/remap.config":   fmt.Sprintf("map http://%s/ %s/origin/ @plugin=uri_signing.so @pparam=%s/etc/uri_signing.json\n", atsHost, upstream, dir),
		"etc/ip_allow.yaml":  "ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.1\n    action: allow\n    methods: ALL\n",
		"etc/uri_signing.json": fmt.Sprintf(`{"%s": {"renewal_kid": "%s", "strip_token": true, "id": "%s",
			"keys": [{"alg": "HS256", "kid": "%[2]s", "kty": "oct", "k": "%[4]s"}]}}`, atsIssuer, atsKid, atsID, k),
	} {
		write(t, filepath.Join(dir, name), content)
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--run-root="+filepath.Join(dir, "runroot.yaml"))
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		ended := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
		if said, err := os.ReadFile(output.Name()); err == nil && t.Failed() {
			t.Logf("Traffic Server: %s", said)
		}
	})
	eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address
}

// signURI makes a token as `mint` does.
func signURI(t *testing.T, all claims) string {
	t.Helper()
	s, _, err := sign.Parse("HS256", atsKid, secret)
	if err != nil {
		t.Fatal(err)
	}
	var c sign.Claims
	for name, value := range all {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		c.Set(name, jsontext.Value(text))
	}
	signed, err := s.Sign("", &c)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// openURI judges a request as the plugin does: with the URI that the client asks for.
func openURI(t *testing.T, text, target string) (*cdni.Claims, error) {
	t.Helper()
	key, _, err := token.ParseKey("HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	key.ID, key.Issuer = atsKid, atsIssuer
	table, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := (&token.Verifier{Keys: table}).Verify(context.Background(), text)
	if err != nil {
		return nil, err
	}
	rules := token.Rules{Issuers: []string{atsIssuer}}
	if verified.Claims.Has("aud") {
		rules.Audiences = []string{atsID}
	}
	if err := rules.Accept(verified, time.Now()); err != nil {
		return nil, err
	}
	read, err := cdni.Read(&verified.Claims, nil)
	if err != nil {
		return nil, err
	}
	uri, err := cdni.Target{Scheme: "http", Host: atsHost, RequestURI: target}.URI(cdni.Attribute)
	if err != nil {
		return nil, err
	}
	if !read.Container.Matches(uri) {
		return nil, cdni.ErrContainer
	}
	return read, nil
}

// TestTrafficServer: an Apache Traffic Server accepts what this project signs, takes the
// package out of the URI in the same way, and agrees about what a token opens, but where
// it is written that it does not follow RFC 9246.
func TestTrafficServer(t *testing.T) {
	s := start(t, nil, `respond "{uri}"`)
	address := trafficServer(t, s.url)
	const folder = `regex:http://cdni\.example/foo/bar/[^/?]*\.ts(\?.*)?`
	soon := time.Now().Add(time.Minute).Unix()
	for _, tt := range []struct {
		name, target string // in which § is the package
		claims       claims // with iss, exp and cdniuc of this folder unless they say otherwise
		theirs, ours bool
	}{
		{"query", "/foo/bar/001.ts?§", nil, true, true},
		{"query, first", "/foo/bar/001.ts?§&x=1", nil, true, true},
		{"query, middle", "/foo/bar/001.ts?x=1&§&y=2", nil, true, true},
		{"query, last", "/foo/bar/001.ts?x=1&§", nil, true, true},
		{"path", "/foo/bar/001.ts;§", nil, true, true},
		{"path, with a query", "/foo/bar/001.ts;§?x=1", nil, true, true},
		{"path, in a folder", "/foo;§/bar/001.ts", nil, true, true},
		{"path, first of two", "/foo/bar/001;§;v=1.ts", nil, true, true},
		{"path, last of two", "/foo/bar/v=1.ts;§", nil, true, true},
		{"an audience", "/foo/bar/001.ts?§", claims{"aud": atsID}, true, true},
		{"several audiences", "/foo/bar/001.ts?§", claims{"aud": []string{"xCDN LLC", atsID}}, true, true},
		{"all times", "/foo/bar/001.ts?§", claims{"iat": soon - 120, "nbf": soon - 120}, true, true},
		{"a version", "/foo/bar/001.ts?§", claims{"cdniv": 1}, true, true},
		{"normalised", "/foo/../foo/b%61r/%30%301.ts?§", nil, true, true},
		{"an expression with alternatives", "/foo/bar/001.ts?§", claims{"cdniuc": `regex:http://cdni\.example/(foo|foo/bar/001\.ts)`}, true, true},

		{"none", "/foo/bar/001.ts", nil, false, false},
		{"another file", "/foo/bar/001.mp4?§", nil, false, false},
		{"another folder", "/foo/baz/001.ts?§", nil, false, false},
		{"a folder above", "/foo/bar/../001.ts?§", nil, false, false},
		{"another audience", "/foo/bar/001.ts?§", claims{"aud": "xCDN LLC"}, false, false},
		{"another issuer", "/foo/bar/001.ts?§", claims{"iss": "Evil Inc"}, false, false},
		{"expired", "/foo/bar/001.ts?§", claims{"exp": soon - 120}, false, false},
		{"not valid yet", "/foo/bar/001.ts?§", claims{"nbf": soon}, false, false},
		{"another version", "/foo/bar/001.ts?§", claims{"cdniv": 2}, false, false},
		{"critical", "/foo/bar/001.ts?§", claims{"cdnicrit": "x", "x": 1}, false, false},
		{"https", "/foo/bar/001.ts?§", claims{"cdniuc": "regex:https://.*"}, false, false},

		// Where it is known to differ (its README, "Unsupported Claims"; its expressions are
		// only anchored at their beginning).
		{"a JWT ID", "/foo/bar/001.ts?§", claims{"jti": "5DAafLhZAfhsbe"}, false, true},
		{"a hash", "/foo/bar?§", claims{"cdniuc": "hash:sha-256;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY"}, false, true},
		{"more than an expression matches", "/foo/bar/001.ts?§", claims{"cdniuc": `regex:http://cdni\.example/foo`}, true, false},
		{"no container", "/foo/bar/001.ts?§", claims{"cdniuc": nil}, true, false},
		{"cdniets alone", "/foo/bar/001.ts?§", claims{"cdniets": 30}, true, false},
		{"a subject that is not encrypted", "/foo/bar/001.ts?§", claims{"sub": "UserToken"}, true, false},
		{"renewal in the query", "/foo/bar/001.ts?§", claims{"cdnistt": 2, "cdniets": 30}, false, true},
	} {
		all := claims{"iss": atsIssuer, "exp": soon, "cdniuc": folder}
		for name, value := range tt.claims {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		signed := signURI(t, all)
		target := strings.ReplaceAll(tt.target, "§", cdni.Attribute+"="+signed)
		answer := ask(t, address, target)
		if answer.StatusCode != map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[tt.theirs] {
			t.Errorf("%s: Traffic Server answers %d", tt.name, answer.StatusCode)
		}
		if strings.Contains(tt.target, "§") {
			if _, err := openURI(t, signed, target); (err == nil) != tt.ours {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if want := "/origin" + withoutPackage(target); tt.theirs && answer.body != want {
			t.Errorf("%s: Traffic Server asks for %q, and what is left here is %q", tt.name, answer.body, want)
		}
	}
}

// withoutPackage is the target that file_server would be asked for.
func withoutPackage(target string) string {
	path, query, _ := strings.Cut(token.StripURI(target, []string{cdni.Attribute}), "?")
	if path = token.StripPath(path, []string{cdni.Attribute}); query != "" {
		path += "?" + query
	}
	return path
}

// ask sends a request for the host that the Traffic Server knows.
func ask(t *testing.T, address, target string, fields ...string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", target, atsHost, strings.Join(append(fields, ""), "\r\n"))
	return readAnswer(t, conn)
}

// TestTrafficServerRenews: what an Apache Traffic Server renews is accepted here, for
// as long and with the Path that RFC 9246 says.
func TestTrafficServerRenews(t *testing.T) {
	s := start(t, map[string]string{"foo/bar/001.ts": "1", "foo/bar/002.ts": "2"}, `handle_path /origin/* {
		file_server
	}
	handle {
		download_token {
			from cookie URISigningPackage
			key HS256 "`+secret+`" {
				kid `+atsKid+`
				issuer "`+atsIssuer+`"
			}
			scope any
		}
		file_server
	}`)
	address := trafficServer(t, s.url)
	signed := signURI(t, claims{
		"iss": atsIssuer, "exp": time.Now().Add(10 * time.Second).Unix(), "cdniuc": `regex:http://cdni\.example/foo/bar/[0-9]{3}\.ts`,
		"cdniets": 30, "cdnistt": 1, "cdnistd": 2,
	})
	target, cookie := "/foo/bar/001.ts?"+cdni.Attribute+"="+signed, ""
	for range 3 { // the token, and two that were renewed
		before := time.Now()
		a := ask(t, address, target, cookie).wantBody(t, map[bool]string{true: "1", false: "2"}[cookie == ""])
		cookies := a.Cookies()
		if len(cookies) != 1 || cookies[0].Name != cdni.Attribute {
			t.Fatalf("cookies %v", cookies)
		}
		renewed := cookies[0].Value
		target, cookie = "/foo/bar/002.ts", "Cookie: "+cdni.Attribute+"="+renewed
		read, err := openURI(t, renewed, target)
		if err != nil {
			t.Fatal(err)
		}
		if path, ok := read.Renewal.CookiePath("/foo/bar/001.ts"); !ok || path != cookies[0].Path {
			t.Errorf("path %q, %v, and Traffic Server has %q", path, ok, cookies[0].Path)
		}
		if _, err := openURI(t, renewed, "/foo/002.ts"); !errors.Is(err, cdni.ErrContainer) {
			t.Errorf("another folder: %v", err)
		}
		_, members, err := token.Decode(renewed)
		if err != nil {
			t.Fatal(err)
		}
		exp, _ := token.NumericDate(members["exp"])
		if left := exp.Sub(before); left < 29*time.Second || left > 30*time.Second+time.Since(before)+time.Second {
			t.Errorf("it is valid for %v", left)
		}
		s.get("/foo/bar/001.ts", "Cookie", cdni.Attribute+"="+renewed).wantBody(t, "1")
		s.get("/foo/bar/001.ts", "Cookie", cdni.Attribute+"="+renewed[:len(renewed)-4]+"AAAA").want(t, http.StatusUnauthorized)
	}
}
