package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// algorithms are all that a key can have.
var algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512", "EdDSA",
}

// command runs caddy download-token and returns what it prints and its exit code.
func command(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), caddyBinary(t), append([]string{"download-token"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "COMMAND_SECRET="+secret)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// mustCommand is command for what has to succeed.
func mustCommand(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	stdout, stderr, code := command(t, stdin, args...)
	if code != 0 {
		t.Fatalf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	return strings.TrimSpace(stdout)
}

// keys makes a key for each algorithm: <alg>.key signs, <alg>.pub verifies.
func keys(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, alg := range algorithms {
		private, public := filepath.Join(dir, alg+".key"), filepath.Join(dir, alg+".pub")
		if alg[:2] != "HS" {
			mustCommand(t, "", "keygen", alg, "--out", private, "--public", public)
			continue
		}
		mustCommand(t, "", "keygen", alg, "--out", private)
		if err := os.Link(private, public); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// keyLines are the directive's key lines for them, each with its algorithm as kid.
func keyLines(dir string) string {
	var lines strings.Builder
	for _, alg := range algorithms {
		fmt.Fprintf(&lines, "\t\tkey %s {file.%s} {\n\t\t\tkid %s\n\t\t}\n", alg, filepath.ToSlash(filepath.Join(dir, alg+".pub")), alg)
	}
	return lines.String()
}

// TestCommandRoundTrip: for every algorithm, keygen, mint, inspect and the server
// agree; and inspect, before and after, spends nothing.
func TestCommandRoundTrip(t *testing.T) {
	t.Parallel()
	dir := keys(t)
	body := "download_token {\n" + keyLines(dir) + "\t\tscope path\n\t\tmax_ttl 10m\n\t\tone_time\n\t}\n\tfile_server"
	s := startApart(t, map[string]string{"a b/ü%.txt": "content"}, "", body)
	config := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(config, []byte(s.caddyfile(body)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			s.t = t
			link := mustCommand(t, "", "mint", "--key", filepath.Join(dir, alg+".key"), "--alg", alg, "--kid", alg,
				"--one-time", "--path", "/a b/ü%.txt", "--url", s.url+"/a%20b/%C3%BC%25.txt")
			path := strings.TrimPrefix(link, s.url)
			out := mustCommand(t, "", "inspect", "--config", config, link)
			if !strings.Contains(out, "nonce would be reserved") || !strings.Contains(out, "answered by file_server") {
				t.Errorf("%s", out)
			}
			s.get(path).wantBody(t, "content")
			wantProblem(t, s.get(path).want(t, http.StatusUnauthorized), "used")
		})
	}
}

// TestCommandJWK: a private JWK signs what its public half verifies.
func TestCommandJWK(t *testing.T) {
	t.Parallel()
	private := filepath.Join(t.TempDir(), "private.jwk")
	mustCommand(t, "", "keygen", "HS512", "--jwk", "--kid", "2027", "--out", private)
	var jwk struct{ K string }
	content, err := os.ReadFile(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &jwk); err != nil {
		t.Fatal(err)
	}
	s := startApart(t, map[string]string{"a.txt": "a"}, "",
		"download_token {\n\t\tkey HS512 base64:"+jwk.K+" {\n\t\t\tkid 2027\n\t\t}\n\t\tscope any\n\t}\n\tfile_server")
	s.get("/a.txt?download_token="+mustCommand(t, "", "mint", "--key", private)).wantBody(t, "a")
}

func TestCommandExitCodes(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "Caddyfile")
	err := os.WriteFile(config, []byte("http://a.example {\n\tdownload_token /f {\n\t\tkey HS256 {env.COMMAND_SECRET}\n\t\tscope path\n\t}\n\tfile_server\n}\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	good := mustCommand(t, "", "mint", "--key", "env:COMMAND_SECRET", "--path", "/f")
	other := mustCommand(t, "", "mint", "--key", "env:COMMAND_SECRET", "--path", "/g")
	for name, c := range map[string]struct {
		stdin string
		args  []string
		code  int
	}{
		"help":                 {"", nil, 0},
		"a token":              {good, []string{"inspect"}, 0},
		"no token":             {"planted", []string{"inspect"}, 1},
		"let through":          {good, []string{"inspect", "--config", config, "--url", "http://a.example/f"}, 0},
		"refused":              {other, []string{"inspect", "--config", config, "--url", "http://a.example/f"}, 2},
		"refused, as JSON":     {other, []string{"inspect", "--json", "--config", config, "--url", "http://a.example/f"}, 2},
		"damaged, refused":     {"planted", []string{"inspect", "--config", config, "--url", "http://a.example/f"}, 2},
		"not judged":           {good, []string{"inspect", "--config", config, "--url", "http://a.example/x"}, 1},
		"a secret as argument": {"", []string{"mint", "--key", secret}, 1},
		"a short secret":       {"planted", []string{"mint", "--key", "-"}, 1},
		"an unknown option":    {"", []string{"mint", "--secret", secret}, 1},
		"an unknown command":   {"", []string{"forge"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := command(t, c.stdin, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
			if all := stdout + stderr; strings.Contains(all, secret) || strings.Contains(all, "planted") || strings.Contains(all, good) || strings.Contains(all, other) {
				t.Errorf("printed a secret or token:\n%s", all)
			}
			if code == 2 && stderr != "" && strings.Contains(stderr, "exiting with status") {
				t.Errorf("on standard error: %s", stderr)
			}
			if strings.HasSuffix(name, "JSON") && !json.Valid([]byte(stdout)) {
				t.Errorf("not JSON: %s", stdout)
			}
		})
	}
}

// TestInspectAgreesWithTheServer: what a rehearsal says of a request is what becomes
// of it.
func TestInspectAgreesWithTheServer(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content"}, oneTime)
	config := filepath.Join(t.TempDir(), "Caddyfile")
	refusing := strings.Replace(oneTime, "scope any", "scope path", 1)
	for name, c := range map[string]struct {
		body   string
		target string // default: /a.txt
		code   int    // of inspect
		status int    // of the server
	}{
		"the second of two handles":    {"handle /a.* {\nrespond 418\n}\nhandle {\n" + oneTime + "\n}", "", 1, http.StatusTeapot},
		"a handle that does nothing":   {"handle /a.* {\nheader X y\n}\nhandle {\n" + refusing + "\n}", "", 1, http.StatusOK},
		"handle_path":                  {"handle_path /x/* {\n" + oneTime + "\n}", "/x/a.txt", 0, http.StatusOK},
		"a rewrite inside a route":     {"route {\n" + strings.TrimSuffix(refusing, "file_server") + "}\nroute {\nrewrite /x /a.txt\nrespond /a.txt 418\n}", "/x", 2, http.StatusForbidden},
		"try_files":                    {"try_files {path}.txt\nhandle /a.txt {\n" + oneTime + "\n}\nhandle {\nrespond 418\n}", "/a", 0, http.StatusOK},
		"a map and an expression":      {"map {path} {kind} {\n~\\.txt$ text\ndefault other\n}\n@text `{kind} == \"text\"`\nhandle @text {\n" + refusing + "\n}\nhandle {\nrespond 418\n}", "", 2, http.StatusForbidden},
		"a request header that is set": {"route {\nrequest_header X y\n@x header X y\nhandle @x {\n" + oneTime + "\n}\nhandle {\nrespond 418\n}\n}", "", 0, http.StatusOK},
		"method rewritten":             {"method POST\n" + oneTime, "", 2, http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			target := c.target
			if target == "" {
				target = "/a.txt"
			}
			if err := os.WriteFile(config, []byte(s.caddyfile(c.body)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.reload(c.body); err != nil {
				t.Fatal(err)
			}
			text := once(t)
			if stdout, stderr, code := command(t, text, "inspect", "--config", config, "--url", s.url+target, "-"); code != c.code {
				t.Errorf("inspect: exit code %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
			s.get(target+"?download_token="+text).want(t, c.status)
		})
	}
}

// TestInspectLeavesNoTrace rehearses with a configuration that would do a lot if
// it were loaded: listen where somebody listens, write logs, make certificates, ask
// upstreams for their health.
func TestInspectLeavesNoTrace(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer upstream.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	home, files, temp := t.TempDir(), t.TempDir(), t.TempDir()
	config := filepath.Join(t.TempDir(), "Caddyfile")
	err = os.WriteFile(config, []byte(fmt.Sprintf(`{
	storage file_system %q
	log {
		output file %q
	}
}

https://localhost:%d {
	log {
		output file %q
	}
	tls internal
	root %q
	forward_auth %s {
		uri /auth
		health_uri /
		health_interval 1ms
	}
	download_token {
		key HS256 "%s"
		scope any
		max_ttl 10m
		one_time
	}
	reverse_proxy %s {
		health_uri /
		health_interval 1ms
	}
}
`, filepath.Join(home, "storage"), filepath.Join(home, "log"), taken.Addr().(*net.TCPAddr).Port, filepath.Join(home, "access.log"), files,
		upstream.Listener.Addr(), secret, upstream.Listener.Addr())), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(caddyBinary(t), "download-token", "inspect", "--config", config, "--url", "https://"+strings.Replace(taken.Addr().String(), "127.0.0.1", "localhost", 1)+"/f", "-")
	cmd.Stdin = strings.NewReader(once(t))
	cmd.Dir = files
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "TMPDIR="+temp)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "answered by reverse_proxy") {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
	for _, dir := range []string{home, files, temp} {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
			if path != dir {
				t.Errorf("written: %s", path)
			}
			return nil
		})
	}
}

// TestCommandManual: Caddy makes manual pages of all commands.
func TestCommandManual(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "", caddyBinary(t), "manpage", "--directory", dir)
	for _, name := range []string{"", "-keygen", "-mint", "-inspect"} {
		page, err := os.ReadFile(filepath.Join(dir, "caddy-download-token"+name+".8"))
		if err != nil {
			t.Fatal(err)
		}
		if name != "" && !bytes.Contains(page, []byte("EXAMPLE")) {
			t.Errorf("%s has no examples", name)
		}
	}
}
