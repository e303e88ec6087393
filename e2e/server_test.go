// Package e2e tests the plugin from outside: real Caddy servers, real clients,
// real JWT libraries of other languages. Tests that need a tool which is not
// installed are skipped, unless DOWNLOAD_TOKEN_STRICT=1 turns that into a
// failure.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/golang-jwt/jwt/v5"

	_ "github.com/caddy-download-token/caddy-download-token"
)

// secret is the HMAC key of most tests. It is planted: no log may contain it.
const secret = "planted-hmac-secret-0123456789-abcdefghijklmnop-0123456789-xyz-!"

// server is a Caddy that runs in this process, so that the race detector sees
// it, or apart. In this process there can be one at a time.
type server struct {
	t       testing.TB
	url     string // of the site, without a slash at the end
	admin   string // of the admin API
	root    string // of the site's files
	dir     string // of everything else
	globals string

	reloaded time.Time // last time
	plain    bool      // the test lets Caddy log tokens
}

// start runs a Caddy whose site has the directives of body and file_server's
// root at s.root, filled with files (name to content).
func start(t testing.TB, files map[string]string, body string) *server {
	t.Helper()
	return startWith(t, files, "", body)
}

// startWith is start with global options.
func startWith(t testing.TB, files map[string]string, globals, body string) *server {
	t.Helper()
	s := prepare(t, files, globals)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	if err := caddy.Load(s.adapt(body), true); err != nil {
		t.Fatalf("loading: %v", err)
	}
	return s
}

// prepare makes folders, files and addresses of a server.
func prepare(t testing.TB, files map[string]string, globals string) *server {
	t.Helper()
	s := &server{t: t, root: t.TempDir(), dir: scratch(t), globals: globals}
	t.Cleanup(func() { s.noTokenLogged(t) })
	s.url, s.admin = "http://"+steadyAddress(t), steadyAddress(t)
	for name, content := range files {
		s.put(name, content)
	}
	return s
}

// noTokenLogged looks for tokens in the log, which has level DEBUG, and in what a
// server that runs apart has written to its standard error, of whatever the test did.
func (s *server) noTokenLogged(t testing.TB) {
	t.Helper()
	for _, file := range []string{s.logFile(), filepath.Join(s.dir, "stderr")} {
		log, err := os.ReadFile(file)
		if err != nil || s.plain { // there is none
			continue
		}
		if found := compactToken.FindIndex(log); found != nil {
			line, _, _ := bytes.Cut(log[bytes.LastIndexByte(log[:found[0]], '\n')+1:], []byte("\n"))
			t.Errorf("a token in %s: %s", filepath.Base(file), line)
		}
	}
}

var compactToken = regexp.MustCompile(`eyJ[\w-]{5,}\.[\w-]{5,}`)

// scratch is a folder that is removed after the test. A store is closed, and
// writes what it knows, when its last request has ended, which may be after the
// server has stopped: t.TempDir would take that for a failure.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("XDG_DATA_HOME"), "site-") // which TestMain removes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := os.RemoveAll(dir)
		for range 1000 {
			if err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
			err = os.RemoveAll(dir)
		}
		t.Error(err)
	})
	return dir
}

// put writes a file of the site.
func (s *server) put(name, content string) {
	s.t.Helper()
	file := filepath.Join(s.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// caddyfile is the whole Caddyfile with the given directives.
func (s *server) caddyfile(body string) string {
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	storage file_system %q
	grace_period 2s
	%s
	log {
		output file %q
		level DEBUG
		format redact_jwt
	}
}

%s {
	log
	root %q
	%s
}
`, s.admin, filepath.Join(s.dir, "storage"), s.globals, s.logFile(), s.url, s.root, body)
}

func (s *server) logFile() string { return filepath.Join(s.dir, "log.json") }

// adapt turns directives into the JSON of the whole configuration.
func (s *server) adapt(body string) []byte {
	s.t.Helper()
	return s.adaptWhole(s.caddyfile(body))
}

// adaptWhole turns a whole Caddyfile into JSON.
func (s *server) adaptWhole(caddyfile string) []byte {
	s.t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		s.t.Fatalf("adapting: %v", err)
	}
	return config
}

// reload posts a new configuration to the admin API, as `caddy reload` does.
func (s *server) reload(body string) error {
	return s.post(s.adapt(body))
}

func (s *server) post(config []byte) error {
	var lastErr error
	for range 20 { // a reload also replaces the admin API's own listener
		req, err := http.NewRequest(http.MethodPost, "http://"+s.admin+"/load", bytes.NewReader(config))
		if err != nil {
			return err
		}
		req.Close = true
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Cache-Control", "must-revalidate") // load even if unchanged
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			lastErr = err
			continue
		}
		defer resp.Body.Close()
		client.CloseIdleConnections() // the old server closes them, in its own time
		s.reloaded = time.Now()
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", resp.Status, answer)
		}
		return nil
	}
	return lastErr
}

// logs is everything logged so far.
func (s *server) logs() string {
	s.t.Helper()
	content, err := os.ReadFile(s.logFile())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

// answer is a response that has been read.
type answer struct {
	*http.Response
	body string
}

// client follows no redirect.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 300, DisableCompression: true},
	Timeout:       30 * time.Second,
}

// do sends a request; header fields are name, value, name, value.
func (s *server) do(method, target string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	for err != nil && time.Since(s.reloaded) < 3*time.Second {
		// the listener that a reload closes may have had it in its queue
		resp, err = client.Do(req)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("reading the body: %v", err)
	}
	return answer{resp, string(body)}
}

func (s *server) get(target string, header ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, target, header...)
}

// raw sends a request line as it is, for targets that a client would clean. Fields are
// lines of the header.
func (s *server) raw(target string, fields ...string) answer {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", target, strings.TrimPrefix(s.url, "http://"), strings.Join(append(fields, ""), "\r\n"))
	return readAnswer(s.t, conn)
}

// want fails the test if the status is another one.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d; body %q", a.StatusCode, status, a.body)
	}
	return a
}

// wantBody is want 200 with a body.
func (a answer) wantBody(t testing.TB, body string) answer {
	t.Helper()
	a.want(t, http.StatusOK)
	if a.body != body {
		t.Fatalf("body %q, want %q", a.body, body)
	}
	return a
}

// claims are the claims of a token.
type claims = jwt.MapClaims

// mint signs a token with secret, HS256. exp and iat are filled in if missing;
// iat has milliseconds, so that a token can be minted right after a start.
func mint(t testing.TB, c claims) string {
	t.Helper()
	return mintWith(t, jwt.SigningMethodHS256, []byte(secret), c)
}

func mintWith(t testing.TB, method jwt.SigningMethod, key any, c claims) string {
	t.Helper()
	all := claims{"exp": time.Now().Add(time.Minute).Unix(), "iat": float64(time.Now().UnixMicro()) / 1e6}
	for name, value := range c {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	token, err := jwt.NewWithClaims(method, all).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// once mints a one-time token.
func once(t testing.TB) string {
	t.Helper()
	return mint(t, claims{"jti": rand.Text()})
}

// onceSlowly mints a one-time token for what a browser takes its time for.
func onceSlowly(t testing.TB) string {
	t.Helper()
	return mint(t, claims{"jti": rand.Text(), "exp": time.Now().Add(9 * time.Minute).Unix()})
}

// oneTime is the directive that most tests use.
const oneTime = `download_token {
		key HS256 "` + secret + `"
		scope any
		max_ttl 10m
		one_time
	}
	file_server`

// freeAddress finds a loopback address that nothing listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// steadyAddress finds a loopback address that nothing listens on, with a port
// that the system gives to no outgoing connection, and that no other test of this
// process has. Otherwise clients that try to reach a server that is down might be
// given its port, or reach themselves.
func steadyAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 15000+mrand.IntN(15000))
		if _, given := steadyAddresses.LoadOrStore(address, true); given {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

var steadyAddresses sync.Map // that were given

// tool returns the path of a program. Without it the test is skipped, or fails
// if DOWNLOAD_TOKEN_STRICT is set.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" is not installed")
	}
	return path
}

// missing ends a test that cannot run on this machine.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DOWNLOAD_TOKEN_STRICT") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// run runs a program and returns what it prints.
func run(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // others run beside it
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	return string(out)
}

// readAnswer reads one HTTP response from a connection.
func readAnswer(t testing.TB, r io.Reader) answer {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(r), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(body)}
}

// patience is how long a test waits for what will come: a busy machine may take long.
const patience = 30 * time.Second

// eventually waits until it holds.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to be in %v", patience)
		}
	}
}

// eventually is the function of that name, for the test of the server.
func (s *server) eventually(holds func() bool) {
	s.t.Helper()
	eventually(s.t, holds)
}

// wantLog waits until a line of this plugin with the reason is logged.
func (s *server) wantLog(reason string) {
	s.t.Helper()
	s.eventually(func() bool { return strings.Contains(s.logs(), `"reason":"`+reason+`"`) })
}

// mintHeader is mint with another secret and with header fields.
func mintHeader(t testing.TB, key string, header map[string]any, c claims) string {
	t.Helper()
	all := claims{"exp": time.Now().Add(time.Minute).Unix(), "iat": float64(time.Now().UnixMicro()) / 1e6}
	for name, value := range c {
		all[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, all)
	for name, value := range header {
		token.Header[name] = value
	}
	signed, err := token.SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
