package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// newcomer walks through the README in an empty folder.
type newcomer struct {
	t       *testing.T
	dir     string
	address string
	admin   string // of the admin API; by default the usual one, which no command here uses
	env     []string
	said    string // the file with what serves said last
	stop    func() // ends what serves
}

// typed is a block of the README as the newcomer types it, at the site's address.
func (n *newcomer) typed(block string) string {
	return strings.NewReplacer("go run ./example", caddyBinary(n.t), "localhost:8080", n.address, "localhost:2019", n.admin).Replace(block)
}

// block finds the one block of the README of this kind that has the text.
func (n *newcomer) block(info, text string) string {
	n.t.Helper()
	return n.blockOf(readmeFile, info, text)
}

func (n *newcomer) blockOf(document, info, text string) string {
	n.t.Helper()
	var found []string
	for _, b := range blocksOf(n.t, document) {
		if b.info == info && strings.Contains(b.text, text) {
			found = append(found, b.text)
		}
	}
	if len(found) == 0 {
		n.t.Fatalf("%s has no block %s with %q", document, info, text)
	}
	return n.typed(found[0])
}

// save writes the Caddyfile.
func (n *newcomer) save(caddyfile string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "Caddyfile"), []byte(caddyfile), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *newcomer) shell(script string) *exec.Cmd {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), tool(n.t, "sh"), "-eu", "-c", script)
	cmd.Dir, cmd.Env = n.dir, n.env
	return cmd
}

// serve types what serves, until stop is called.
func (n *newcomer) serve(script string) (stop func()) {
	n.t.Helper()
	cmd := n.shell(strings.Replace(script, caddyBinary(n.t)+" run", "exec "+caddyBinary(n.t)+" run", 1))
	n.said = filepath.Join(n.t.TempDir(), "stderr")
	stderr, err := os.Create(n.said)
	if err != nil {
		n.t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	// Its port is open before its store has started, and a link that is made in
	// between would be one from before the start.
	for range 500 {
		if strings.Contains(readText(n.t, n.said), "serving initial configuration") {
			n.stop = sync.OnceFunc(func() {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				_ = cmd.Wait()
			})
			return n.stop
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	n.t.Fatalf("nothing serves:\n%s", readText(n.t, n.said))
	return nil
}

// wantSaid waits until what serves has said it.
func (n *newcomer) wantSaid(text string) {
	n.t.Helper()
	eventually(n.t, func() bool { return strings.Contains(readText(n.t, n.said), text) })
}

// run types a command, in another terminal.
func (n *newcomer) run(script string) string {
	n.t.Helper()
	out, err := n.shell(script).Output()
	if err != nil {
		n.t.Fatalf("%s: %v", script, err)
	}
	return string(out)
}

// open opens a link and returns the status.
func (n *newcomer) open(link string) int {
	n.t.Helper()
	resp, err := client.Get(strings.TrimSpace(link))
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestDocsQuickStart: whoever types what the README says, in an empty folder, gets
// what it says.
func TestDocsQuickStart(t *testing.T) {
	tool(t, "openssl")
	tool(t, "curl")
	home := t.TempDir()
	n := &newcomer{t: t, dir: t.TempDir(), address: freeAddress(t)}
	n.env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "CADDY_ADMIN="+freeAddress(t))
	serving := n.block("sh", "run --config Caddyfile")

	n.save(n.block("caddyfile", "root files"))
	stop := n.serve(serving)
	got := n.run(n.block("sh", "download-token mint"))
	if first, second, _ := strings.Cut(got, "\n"); first != "Hello" || !strings.Contains(second, `"reason":"used"`) {
		t.Errorf("the shell: %q", got)
	}
	content, err := os.ReadFile(filepath.Join(n.dir, "secret.txt"))
	if err != nil {
		t.Fatal(err)
	}
	n.env = append(n.env, "DOWNLOAD_SECRET="+strings.TrimSpace(string(content)))
	cmd := exec.CommandContext(t.Context(), python(t), "-c", n.block("python", "jwt.encode"))
	cmd.Env = n.env
	link, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		if status := n.open(string(link)); status != want {
			t.Errorf("Python: %d, want %d", status, want)
		}
	}
	stop()

	n.save(n.block("caddyfile", "download_token_issuer"))
	stop = n.serve(n.typed("go run ./example run --config Caddyfile"))
	defer stop()
	answer := n.run(n.block("sh", "-X POST"))
	_, made, _ := strings.Cut(answer, `"link":"`)
	made, _, _ = strings.Cut(made, `"`)
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		if status := n.open(made); status != want {
			t.Errorf("the issuer: %d, want %d", status, want)
		}
	}
}

// TestDocsMintQuickStart is the same for the folder with the programs.
func TestDocsMintQuickStart(t *testing.T) {
	tool(t, "curl")
	const document = "../example/mint/README.md"
	home := t.TempDir()
	n := &newcomer{t: t, dir: t.TempDir(), address: freeAddress(t)}
	n.env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "CADDY_ADMIN="+freeAddress(t))
	if err := os.CopyFS(filepath.Join(n.dir, "example"), os.DirFS("../example")); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join("example", "mint", "Caddyfile")
	here := strings.NewReplacer("go build -o caddy ./example\n", "", "./caddy", caddyBinary(t), "localhost:8000", n.address, "python3", python(t))
	write(t, filepath.Join(n.dir, config), here.Replace(readText(t, filepath.Join("..", config))))
	defer n.serve(here.Replace(strings.Replace(n.blockOf(document, "sh", "keygen"), "DOWNLOAD_FILES=example/site ", "export DOWNLOAD_FILES=example/site\n", 1)))()
	got := n.run(here.Replace(n.blockOf(document, "sh", "mint.py")))
	if first, second, _ := strings.Cut(got, "\n"); !strings.HasPrefix(first, "Hello!") || !strings.Contains(second, `"reason":"used"`) {
		t.Errorf("%q", got)
	}
}

// TestDocsPrograms: what the page about operations says that programs do.
func TestDocsPrograms(t *testing.T) {
	s := start(t, map[string]string{"report.pdf": "the report"}, `download_token {
		key HS256 "`+secret+`"
		scope any
		attachment
	}
	file_server`)
	link := s.url + "/report.pdf?download_token=" + mint(t, nil)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"wget", "-q"}, "report.pdf?" + strings.SplitN(link, "?", 2)[1]},
		{[]string{"wget", "-q", "--content-disposition"}, "report.pdf"},
		{[]string{"wget", "-q", "-O", "report.pdf"}, "report.pdf"},
		{[]string{"curl", "-s", "-OJ"}, "report.pdf"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), tool(t, tt.args[0]), append(tt.args[1:], link)...)
			cmd.Dir = t.TempDir()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if content, err := os.ReadFile(filepath.Join(cmd.Dir, tt.want)); err != nil || string(content) != "the report" {
				t.Errorf("%q, %v", content, err)
			}
		})
	}
	cmd := exec.CommandContext(t.Context(), tool(t, "wget"), "-O", "-", s.url+"/report.pdf")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Username/Password Authentication Failed") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDocsRotation: a key is rotated as the reference says, and a link that is out
// works all the time; a kid for the old key would have refused it.
func TestDocsRotation(t *testing.T) {
	const newSecret = "another-planted-secret-0123456789-abcdefgh"
	directive := func(keys string) string {
		return "download_token {\n" + keys + "\n\t\tscope any\n\t}\n\tfile_server"
	}
	const oldKey, newKey = "\t\tkey HS256 " + secret, "\n\t\tkey HS256 " + newSecret + " {\n\t\t\tkid 2027\n\t\t}"
	s := start(t, map[string]string{"a.txt": "a"}, directive(oldKey))
	oldLink := "/a.txt?download_token=" + mint(t, nil)
	newLink := "/a.txt?download_token=" + mintHeader(t, newSecret, map[string]any{"kid": "2027"}, nil)
	s.get(oldLink).want(t, http.StatusOK)
	s.get(newLink).want(t, http.StatusUnauthorized)
	for _, step := range []struct {
		keys     string
		old, new int
	}{
		{oldKey + newKey, 200, 200},
		{oldKey + " {\n\t\t\tkid 2026\n\t\t}" + newKey, 401, 200}, // what not to do
		{oldKey + newKey, 200, 200},
		{newKey, 401, 200},
	} {
		if err := s.reload(directive(step.keys)); err != nil {
			t.Fatal(err)
		}
		s.get(oldLink).want(t, step.old)
		s.get(newLink).want(t, step.new)
	}
}
