package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// inbox is a site to which files are sent.
const inbox = `download_token {
		key HS256 "` + secret + `"
		methods GET HEAD PUT POST
		scope template inbox:{name} /{name}/* {
			allow create
		}
		max_ttl 10m
		one_time
	}
	download_token_upload {
		max_size 50MB
	}
	file_server`

// dropLink is a link by which one file can be sent to a folder.
func (s *server) dropLink(t testing.TB, folder string, more claims) string {
	t.Helper()
	all := claims{"scope": "inbox:" + folder, "jti": rand.Text()}
	maps.Copy(all, more)
	return s.url + "/" + folder + "/?download_token=" + mint(t, all)
}

// sent is what curl is told: the status and the Location.
func sent(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "curl"), append([]string{"-s", "-o", os.DevNull, "-w", "%{http_code} %header{location}"}, args...)...).Output()
	if err != nil {
		t.Fatalf("curl: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// received are the files of the site, with their content.
func (s *server) received(t testing.TB) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(s.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(s.root, path)
		found[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestUploadLinkWithCurl sends files as programs do. What is refused costs nothing.
func TestUploadLinkWithCurl(t *testing.T) {
	s := start(t, map[string]string{"alice/there.txt": "there"}, inbox)
	file := filepath.Join(t.TempDir(), "my report.txt")
	write(t, file, "content")
	sum := sha256.Sum256([]byte("content"))
	want := map[string]string{"alice/there.txt": "there"}

	put := func(name string, more claims) string {
		return strings.Replace(s.dropLink(t, "alice", more), "/?", "/"+name+"?", 1)
	}
	link := put("a%20b.txt", nil)
	for i, status := range []string{"201 /alice/a%20b.txt", "403", "401"} {
		if i == 2 { // it is used; where the file is not any more
			if err := os.Remove(filepath.Join(s.root, "alice", "a b.txt")); err != nil {
				t.Fatal(err)
			}
		}
		if got := sent(t, "-T", file, link); got != status {
			t.Errorf("curl -T, time %d: %s, want %s", i+1, got, status)
		}
	}
	link = s.dropLink(t, "alice", nil)
	for i, status := range []string{"412", "201 /alice/my%20report.txt", "401"} {
		field := "file=@" + file
		if i == 0 {
			field += ";filename=there.txt"
		}
		if got := sent(t, "-F", field, link); got != status {
			t.Errorf("curl -F, time %d: %s, want %s", i+1, got, status)
		}
	}
	want["alice/my report.txt"] = "content"

	for name, tt := range map[string]struct {
		link   string
		status string
		args   []string
	}{
		"limits":            {put("limits.txt", claims{"max_size": 7, "content_type": "text/*", "sha256": hex.EncodeToString(sum[:])}), "201 /alice/limits.txt", nil},
		"too large":         {put("n.txt", claims{"max_size": 6}), "413", nil},
		"too large, chunks": {put("n.txt", claims{"max_size": 6}), "413", []string{"-H", "Transfer-Encoding: chunked"}},
		"another type":      {put("n.html", claims{"content_type": "text/plain"}), "415", nil},
		"another content":   {put("n.txt", claims{"sha256": strings.Repeat("0", 64)}), "422", nil},
		"a broken claim":    {put("n.txt", claims{"max_size": "7"}), "403", nil},
		"another folder":    {strings.Replace(put("n.txt", nil), "/alice/", "/bob/", 1), "403", nil},
		"no folder":         {put("none/n.txt", nil), "409", nil},
		"there already":     {put("there.txt", nil), "403", nil},
		"a hidden name":     {put(".n.txt", nil), "400", nil},
		"no token":          {s.url + "/alice/n.txt", "401", nil},
	} {
		if got := sent(t, append(tt.args, "-T", file, tt.link)...); got != tt.status {
			t.Errorf("%s: %s, want %s", name, got, tt.status)
		}
		if tt.status == "413" || tt.status == "422" { // another file is welcome
			want["alice/n.txt"] = "x"
			small := filepath.Join(t.TempDir(), "n.txt")
			write(t, small, "x")
			if status := "201 /alice/n.txt"; tt.status == "413" {
				if got := sent(t, "-T", small, tt.link); got != status {
					t.Errorf("%s, a smaller one: %s", name, got)
				}
				delete(want, "alice/n.txt")
				_ = os.Remove(filepath.Join(s.root, "alice", "n.txt"))
			} else {
				delete(want, "alice/n.txt")
			}
		}
	}
	want["alice/limits.txt"] = "content"
	if got := s.received(t); !maps.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	if got := s.get("/alice/there.txt?" + strings.SplitN(s.dropLink(t, "alice", nil), "?", 2)[1]); got.StatusCode != http.StatusForbidden {
		t.Errorf("a link for sending reads: %s", got.Status)
	}
	broken := strings.TrimPrefix(s.dropLink(t, "alice", claims{"max_size": "7"}), s.url)
	if got := s.get(broken, "Accept", "text/html").want(t, http.StatusForbidden); !strings.Contains(got.body, "cannot be understood") {
		t.Errorf("a person with a broken claim reads %q", got.body)
	}
	if !strings.Contains(s.logs(), "file received") {
		t.Error("the log does not tell of it")
	}
}

// TestUploadLinkRace: of those that send the same file at once, one creates it, and its
// content stays.
func TestUploadLinkRace(t *testing.T) {
	s := start(t, map[string]string{"alice/there.txt": ""}, inbox)
	for round := range 10 {
		path := fmt.Sprintf("/alice/%d.txt", round)
		var created []string
		var mu sync.Mutex
		var all sync.WaitGroup
		for racer := range 6 {
			link := strings.Replace(s.dropLink(t, "alice", nil), "/alice/", path, 1)
			all.Go(func() {
				content := strings.Repeat(fmt.Sprint(racer), 100_000)
				req, err := http.NewRequest(http.MethodPut, link, strings.NewReader(content))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				mu.Lock()
				defer mu.Unlock()
				switch resp.StatusCode {
				case http.StatusCreated:
					created = append(created, content)
				case http.StatusForbidden, http.StatusPreconditionFailed, http.StatusServiceUnavailable: // the last, if the others take long
				default:
					t.Errorf("%s", resp.Status)
				}
			})
		}
		all.Wait()
		if len(created) != 1 || s.received(t)[path[1:]] != created[0] {
			t.Fatalf("%d have created it", len(created))
		}
	}
}

// TestUploadLinkOfASite with folders that are made, a file_server for those who may read,
// and error routes: programs get what these answer, people the page.
func TestUploadLinkOfASite(t *testing.T) {
	site := strings.NewReplacer("allow create", "allow read modify", "max_size 50MB", "max_size 5\n\t\tmkdir").Replace(inbox)
	s := start(t, nil, strings.Replace(site, "\n\t\tone_time", "", 1)+"\n\thandle_errors {\n\t\trespond \"site: {err.status_code} {uri}\"\n\t}")
	query := "?" + strings.SplitN(s.dropLink(t, "alice", claims{"jti": nil}), "?", 2)[1]
	send := func(path, content string, header ...string) answer {
		t.Helper()
		req, err := http.NewRequest(http.MethodPut, s.url+path+query, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return answer{resp, string(body)}
	}
	send("/alice/2026/a.txt", "one").want(t, 201)
	s.get("/alice/2026/a.txt"+query).wantBody(t, "one")
	send("/alice/2026/a.txt", "two").want(t, 204)
	s.get("/alice/2026/a.txt"+query).wantBody(t, "two")
	if got := send("/alice/b.txt", "too large").want(t, 413); got.body != "site: 413 /alice/b.txt" {
		t.Errorf("a program gets %q", got.body)
	}
	if got := send("/alice/b.txt", "too large", "Accept", "text/html").want(t, 413); !strings.Contains(got.body, "The file is too large") {
		t.Errorf("a person gets %q", got.body)
	}
	send("/bob/b.txt", "one").want(t, 403)
	if got := s.received(t); len(got) != 1 || got["alice/2026/a.txt"] != "two" {
		t.Errorf("received %q", got)
	}
}

// TestUploadLinkBehindHandlersOfCaddy: request_body bounds what is read, and costs nobody a
// token; encode leaves the answers as they are.
func TestUploadLinkBehindHandlersOfCaddy(t *testing.T) {
	s := start(t, map[string]string{"alice/there.txt": ""}, "encode\n\trequest_body {\n\t\tmax_size 5\n\t}\n\t"+inbox)
	link := strings.TrimPrefix(strings.Replace(s.dropLink(t, "alice", nil), "/?", "/a.txt?", 1), s.url)
	s.send("PUT", link, "123456", "Accept-Encoding", "gzip").want(t, http.StatusRequestEntityTooLarge)
	if a := s.send("PUT", link, "12345", "Accept-Encoding", "gzip").want(t, http.StatusCreated); a.Header.Get("Location") != "/alice/a.txt" {
		t.Errorf("Location %q", a.Header.Get("Location"))
	}
	s.send("PUT", strings.Replace(link, "a.txt", "b.txt", 1), "12345").want(t, http.StatusUnauthorized)
	if got := s.received(t); len(got) != 2 || got["alice/a.txt"] != "12345" {
		t.Errorf("received %q", got)
	}
}

// TestUploadLinkStalls: an upload that stands still is ended by the idle timeout of Caddy,
// one that is slow is not. It leaves nothing and costs nothing.
func TestUploadLinkStalls(t *testing.T) {
	s := startWith(t, map[string]string{"alice/there.txt": ""}, "servers {\n\t\ttimeouts {\n\t\t\tread_body_idle 5s\n\t\t}\n\t}", inbox)
	link := strings.TrimPrefix(strings.Replace(s.dropLink(t, "alice", nil), "/?", "/slow.txt?", 1), s.url)
	for _, slow := range []bool{false, true} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 12\r\n\r\nab", link, strings.TrimPrefix(s.url, "http://"))
		want := http.StatusRequestTimeout
		if slow {
			for _, c := range "cdefghijkl" { // takes longer than the timeout, and each pause is much shorter
				time.Sleep(600 * time.Millisecond)
				fmt.Fprintf(conn, "%c", c)
			}
			want = http.StatusCreated
		}
		readAnswer(t, conn).want(t, want)
		if got, stored := s.received(t)["alice/slow.txt"]; stored != slow || slow && got != "abcdefghijkl" {
			t.Errorf("received %q", s.received(t))
		}
	}
}

// TestUploadLinkInChromium opens a link for sending, as a person does: by choosing, by
// dropping, without scripts, with a name that is taken, and on a small screen.
func TestUploadLinkInChromium(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	s := startApart(t, map[string]string{"alice/there.bin": "there"}, "", inbox)
	dir := t.TempDir()
	large := []byte(random(t, 40<<20))
	for name, content := range map[string][]byte{"there.bin": large, "huge.bin": append(slices.Clone(large), large[:20<<20]...), "note.txt": []byte("note")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	links := make([]string, 4)
	for i := range links {
		links[i] = s.dropLink(t, "alice", nil)
	}
	links[3] = strings.Replace(links[3], "/alice/", "/alice/mine.txt", 1)
	var got struct {
		Texts               []string
		Source              string
		Progress            []float64
		Dropped, Plain      string
		PlainRefused, Mine  string
		Width               int
		Elsewhere, Log      []string
		Address, FieldValue string
	}
	browse(t, `
const page = await open({ colorScheme: 'light' });
result.elsewhere = [], result.texts = [];
page.on('request', (request) => !request.url().startsWith(input.site) && !/^(blob|data):/.test(request.url()) && result.elsewhere.push(request.url()));
const say = async (page) => (await page.locator('main').innerText()).replace(/\s+/g, ' ');
await page.goto(input.links[0]);
result.source = await page.content();
result.texts.push(await say(page));
await page.screenshot({ path: input.shots + 'empty.png' });
const chooser = page.locator('input[type=file]'), send = page.getByRole('button', { name: 'Send' });
await chooser.setInputFiles(input.dir + '/huge.bin');
await send.click();
await page.getByText('too large').waitFor();
await chooser.setInputFiles(input.dir + '/there.bin');
await send.click();
await page.getByText('already a file of this name').waitFor();
result.texts.push(await say(page));
result.fieldvalue = await page.locator('input[name=name]').inputValue();
await page.screenshot({ path: input.shots + 'taken.png' });
await chooser.setInputFiles(input.dir + '/huge.bin');
await send.click();
await page.getByText('too large').waitFor();
result.texts.push(await say(page));
await chooser.setInputFiles(input.dir + '/there.bin');
await page.evaluate(() => {
	window.progress = [];
	const bar = document.querySelector('progress');
	new MutationObserver(() => window.progress.push(bar.value)).observe(bar, { attributes: true });
});
await page.locator('input[name=name]').fill('mine.bin');
await send.click();
await page.getByText('The file was received').waitFor();
result.progress = await page.evaluate(() => window.progress);
result.texts.push(await say(page));
result.address = page.url();
await page.screenshot({ path: input.shots + 'received.png' });
await page.goto(input.links[0]);
result.texts.push(await say(page));

await page.goto(input.links[1]);
const transfer = await page.evaluateHandle(() => {
	const transfer = new DataTransfer();
	transfer.items.add(new File(['dropped'], 'dropped.txt', { type: 'text/plain' }));
	return transfer;
});
await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
await send.click();
await page.getByText('The file was received').waitFor();
result.dropped = await say(page);

const plain = await open({ colorScheme: 'dark', javaScriptEnabled: false });
await plain.setViewportSize({ width: 320, height: 600 });
await plain.goto(input.links[2]);
await plain.screenshot({ path: input.shots + 'narrow-dark.png' });
await plain.locator('input[type=file]').setInputFiles(input.dir + '/there.bin');
await plain.getByRole('button', { name: 'Send' }).click();
result.plainrefused = await say(plain);
await plain.locator('input[name=name]').fill('plain.txt');
await plain.locator('input[type=file]').setInputFiles(input.dir + '/note.txt');
await plain.getByRole('button', { name: 'Send' }).click();
await plain.waitForLoadState();
result.plain = await say(plain);

await page.setViewportSize({ width: 320, height: 600 });
await page.goto(input.links[3]);
result.width = await page.evaluate(() => document.documentElement.scrollWidth);
await chooser.setInputFiles(input.dir + '/note.txt');
await send.click();
await page.getByText('The file was received').waitFor();
result.mine = await say(page);
`, map[string]any{"site": s.url, "links": links, "dir": dir, "shots": artefact(t, "upload-")}, &got)

	if strings.Contains(got.Source, "eyJ") || strings.Contains(got.Source, "download_token") {
		t.Errorf("the page has the token: %s", got.Source)
	}
	for i, want := range []string{
		"Send a file Choose a file or drop it here Send At most 50 MB",
		"The file was not received There is already a file of this name. Choose another name.",
		"The file was not received The file is too large. Send a smaller one. Name of the file",
		"The file was received mine.bin, 42 MB You can close this page.",
		"Already used",
	} {
		if i >= len(got.Texts) || !strings.HasPrefix(got.Texts[i], want) {
			t.Errorf("page %d: %q, want %q", i, got.Texts, want)
		}
	}
	for text, want := range map[string]string{
		got.Dropped: "The file was received dropped.txt", got.Plain: "The file was received plain.txt",
		got.PlainRefused: "The file was not received There is already a file of this name.", got.Mine: "The file was received 4 bytes",
		got.FieldValue: "there.bin",
	} {
		if !strings.HasPrefix(text, want) {
			t.Errorf("%q, want %q", text, want)
		}
	}
	if !slices.IsSorted(got.Progress) || len(got.Progress) == 0 || got.Progress[len(got.Progress)-1] != 1 {
		t.Errorf("progress: %v", got.Progress)
	}
	if got.Width > 320 {
		t.Errorf("%d pixels wide on a screen of 320", got.Width)
	}
	if len(got.Elsewhere) > 0 {
		t.Errorf("asks other servers: %q", got.Elsewhere)
	}
	got.Log = slices.DeleteFunc(got.Log, func(line string) bool { return strings.Contains(line, "status of 4") })
	if len(got.Log) > 0 {
		t.Errorf("complaints: %q", got.Log)
	}
	files := s.received(t)
	if !bytes.Equal([]byte(files["alice/mine.bin"]), large) || files["alice/there.bin"] != "there" || files["alice/dropped.txt"] != "dropped" ||
		files["alice/plain.txt"] != "note" || files["alice/mine.txt"] != "note" || len(files) != 5 {
		t.Errorf("received %q", slices.Sorted(maps.Keys(files)))
	}
}
