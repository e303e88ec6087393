package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyWrite lets each token do everything by WebDAV.
const everyWrite = `download_token {
		from header Authorization
		from basic
		from query download_token
		key HS256 "` + secret + `"
		scope any {
			allow read modify
		}
		methods webdav
	}
	`

// TestLitmus lets the WebDAV test suite of Debian loose on a server, and on the same one
// behind us: each test must end in the same way.
func TestLitmus(t *testing.T) {
	plain := litmus(t, start(t, nil, "test_webdav"))
	if passed := len(slices.DeleteFunc(slices.Clone(plain), func(line string) bool { return !strings.Contains(line, " pass") })); passed < 70 {
		t.Errorf("only %d tests pass without us, so that they show nothing", passed)
	}
	ours := litmus(t, start(t, nil, everyWrite+"test_webdav"))
	if !slices.Equal(plain, ours) {
		t.Errorf("without us:\n%s\nwith us:\n%s", strings.Join(plain, "\n"), strings.Join(ours, "\n"))
	}
}

// litmus returns a line for each test: its name, and how it ended.
func litmus(t *testing.T, s *server) (results []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, "litmus"), "-k", s.url+"/", "user", mint(t, claims{"exp": time.Now().Add(5 * time.Minute).Unix()}))
	cmd.Dir = t.TempDir() // for its logs
	out, _ := cmd.CombinedOutput()
	for _, line := range regexp.MustCompile(`\d+\. (\w+)[. ]+(pass|FAIL|SKIPPED|WARNING)`).FindAllStringSubmatch(string(out), -1) {
		results = append(results, line[1]+" "+line[2])
	}
	return results
}

// TestRefusedBeforeTheBody: a client that asks whether it should send learns at once that
// it should not. Caddy by itself waits for the body.
func TestRefusedBeforeTheBody(t *testing.T) {
	s := start(t, nil, everyWrite+"test_webdav")
	host := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "PUT /x HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n", host)
	readAnswer(t, conn).want(t, http.StatusUnauthorized)
}

// TestWebDAVPrograms: what clients write arrives. Those that send a password have the
// token as that, the others in a header.
func TestWebDAVPrograms(t *testing.T) {
	s := start(t, map[string]string{"there.txt": "there"}, everyWrite+"test_webdav")
	for name, work := range map[string]func(t *testing.T, token, from, to string){
		"cadaver": func(t *testing.T, token, from, to string) {
			home := t.TempDir()
			write(t, filepath.Join(home, ".netrc"), "machine 127.0.0.1\nlogin user\npassword "+token+"\n")
			cmd := exec.Command(tool(t, "cadaver"), s.url+"/")
			cmd.Env = append(os.Environ(), "HOME="+home)
			cmd.Stdin = strings.NewReader("mkcol " + to + "\nput " + from + " " + to + "/a.txt\ncopy " + to + "/a.txt " + to + "/b.txt\n" +
				"move " + to + "/b.txt " + to + "/c.txt\ndelete " + to + "/a.txt\nls " + to + "\nquit\n")
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "failed") {
				t.Fatalf("%v\n%s", err, out)
			}
		},
		"rclone": func(t *testing.T, token, from, to string) {
			rclone := func(args ...string) string {
				return run(t, "", tool(t, "rclone"), append([]string{
					"--config", filepath.Join(t.TempDir(), "none"), "--webdav-url", s.url, "--webdav-bearer-token", token, "--retries", "1",
				}, args...)...)
			}
			rclone("mkdir", ":webdav:"+to)
			rclone("copyto", from, ":webdav:"+to+"/a.txt")
			rclone("copyto", ":webdav:"+to+"/a.txt", ":webdav:"+to+"/b.txt")
			rclone("moveto", ":webdav:"+to+"/b.txt", ":webdav:"+to+"/c.txt")
			rclone("deletefile", ":webdav:"+to+"/a.txt")
			if got := rclone("lsf", ":webdav:"+to); got != "c.txt\n" {
				t.Errorf("listed: %q", got)
			}
		},
		"curl": func(t *testing.T, token, from, to string) {
			curl := func(want, path string, args ...string) {
				t.Helper()
				out := run(t, "", tool(t, "curl"), append([]string{
					"-sS", "-o", os.DevNull, "-w", "%{http_code}", "-H", "Authorization: Bearer " + token, s.url + path,
				}, args...)...)
				if out != want {
					t.Errorf("%q: %s, want %s", args, out, want)
				}
			}
			curl("201", "/"+to, "-X", "MKCOL")
			curl("201", "/"+to+"/a.txt", "-T", from)
			curl("201", "/"+to+"/b.txt", "-T", from)
			curl("201", "/"+to+"/a.txt", "-X", "COPY", "-H", "Destination: "+s.url+"/"+to+"/d.txt")
			curl("412", "/"+to+"/a.txt", "-X", "COPY", "-H", "Destination: "+s.url+"/"+to+"/d.txt", "-H", "Overwrite: F")
			curl("201", "/"+to+"/b.txt", "-X", "MOVE", "-H", "Destination: /"+to+"/c.txt")
			curl("207", "/"+to+"/", "-X", "PROPFIND", "-H", "Depth: 1")
			curl("204", "/"+to+"/d.txt", "-X", "DELETE")
			curl("204", "/"+to+"/a.txt", "-X", "DELETE")
			curl("404", "/"+to+"/a.txt", "-X", "DELETE")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			from := filepath.Join(t.TempDir(), "from.txt")
			content := strings.Repeat("content of "+name, 100_000)
			write(t, from, content)
			work(t, mint(t, nil), from, name)
			entries, err := os.ReadDir(filepath.Join(s.root, name))
			if err != nil || len(entries) != 1 {
				t.Fatal(entries, err)
			}
			if got, err := os.ReadFile(filepath.Join(s.root, name, "c.txt")); err != nil || string(got) != content {
				t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
			}
		})
	}
}
