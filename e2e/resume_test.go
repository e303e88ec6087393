package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// resumable is oneTime with resume.
func resumable(options string) string {
	return strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tresume "+options+"\n\t\t}", 1)
}

// random is a file's content that no compression makes smaller.
func random(t testing.TB, size int) string {
	t.Helper()
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// throttle is a proxy on loopback that cuts each connection after limit bytes
// of answer, if limit is positive.
func throttle(t testing.TB, target string, limit *atomic.Int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer server.Close()
				go func() { _, _ = io.Copy(server, client) }()
				if n := limit.Load(); n > 0 {
					_, _ = io.CopyN(client, server, n)
					return
				}
				_, _ = io.Copy(client, server)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestResumeWithRealClients(t *testing.T) {
	const size = 8 << 20
	content := random(t, size)
	// one site for both addresses: the proxy's and the server's own
	s := start(t, map[string]string{"f.bin": content}, resumable("1h"))
	for _, percent := range []int64{10, 50, 99} {
		for name, args := range map[string][]string{
			"curl": {"-sf", "-C", "-", "--retry", "0", "-o"},
			"wget": {"-q", "-c", "--tries=1", "-O"},
		} {
			t.Run(fmt.Sprintf("%s cut at %d %%", name, percent), func(t *testing.T) {
				s.t = t
				program := tool(t, name)
				var limit atomic.Int64
				limit.Store(size * percent / 100)
				proxy := throttle(t, strings.TrimPrefix(s.url, "http://"), &limit)
				out := filepath.Join(t.TempDir(), "f.bin")
				host := "Host: " + strings.TrimPrefix(s.url, "http://")
				header := []string{"-H", host}
				if name == "wget" {
					header = []string{"--header=" + host}
				}
				command := append(append(append([]string{}, header...), args...), out, proxy+"/f.bin?download_token="+once(t))
				if err := exec.Command(program, command...).Run(); err == nil {
					t.Fatal("the connection was not cut")
				}
				limit.Store(0)
				if output, err := exec.Command(program, command...).CombinedOutput(); err != nil {
					t.Fatalf("%v %s", err, output)
				}
				if got, err := os.ReadFile(out); err != nil || string(got) != content {
					t.Fatalf("%d bytes, %v: not the file", len(got), err)
				}
			})
		}
	}
	t.Run("aria2c with eight connections", func(t *testing.T) {
		s.t = t
		dir := t.TempDir()
		link := s.url + "/f.bin?download_token=" + once(t)
		out, err := exec.Command(tool(t, "aria2c"), "-x8", "-s8", "-k1M", "--max-tries=1", "--no-conf", "-q", "-d", dir, "-o", "f.bin", link).CombinedOutput()
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "f.bin")); err != nil || string(got) != content {
			t.Fatalf("%d bytes, %v: not the file", len(got), err)
		}
	})
}

// TestBudget: whatever is asked for, no more bytes of the file are sent than
// the budget allows.
func TestBudget(t *testing.T) {
	sizes := []int{1, 100, 10 << 10, 1 << 20, 5 << 20}
	if !testing.Short() {
		sizes = append(sizes, 1<<30)
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := start(t, map[string]string{"f.bin": "", "f.bin.gz": "gz"}, "encode gzip\n"+strings.Replace(resumable("1h 2"),
				"file_server", "file_server {\n\t\tprecompressed gzip\n\t}", 1))
			if err := os.Truncate(filepath.Join(s.root, "f.bin"), int64(size)); err != nil {
				t.Fatal(err)
			}
			link := s.url + "/f.bin?download_token=" + once(t)
			budget := int64(2*size + min(1<<20, size/4))
			var sent atomic.Int64
			var wg sync.WaitGroup
			request := func(method string, header ...string) int {
				req, err := http.NewRequest(method, link, nil)
				if err != nil {
					t.Error(err)
					return 0
				}
				req.Header.Set("Accept-Encoding", "gzip")
				for i := 0; i < len(header); i += 2 {
					req.Header.Set(header[i], header[i+1])
				}
				resp, err := client.Do(req)
				if err != nil {
					return 0
				}
				defer resp.Body.Close()
				n, _ := io.Copy(io.Discard, resp.Body)
				if resp.StatusCode < 300 && method == http.MethodGet {
					sent.Add(n)
				}
				return resp.StatusCode
			}
			if status := request(http.MethodGet, "Range", "bytes=0-0"); status != http.StatusPartialContent {
				t.Fatalf("status %d", status)
			}
			for i := range 60 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					switch i % 6 {
					case 0:
						request(http.MethodGet)
					case 1:
						request(http.MethodGet, "Range", fmt.Sprintf("bytes=%d-", i%size))
					case 2:
						request(http.MethodGet, "Range", "bytes=0-0,-1")
					case 3:
						request(http.MethodHead)
					case 4:
						request(http.MethodGet, "Range", fmt.Sprintf("bytes=-%d", i+1))
					default:
						request(http.MethodGet, "Range", "bytes=0-", "If-Range", `"another"`)
					}
				}()
			}
			wg.Wait()
			for range 5 {
				request(http.MethodGet)
			}
			t.Logf("%d of %d bytes, file %d", sent.Load(), budget, size)
			if sent.Load() > budget {
				t.Errorf("%d bytes were sent, the budget is %d", sent.Load(), budget)
			}
			if sent.Load() < budget-int64(size) {
				t.Errorf("only %d bytes were sent, the budget is %d: bytes that were not sent were not given back", sent.Load(), budget)
			}
		})
	}
}

func TestResumeIsPinned(t *testing.T) {
	content := random(t, 1<<16)
	files := map[string]string{"f.bin": content, "g.bin": content}
	part := []string{"Range", "bytes=100-199"}
	t.Run("to the path", func(t *testing.T) {
		s := start(t, files, resumable("1h"))
		query := "?download_token=" + once(t)
		s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent)
		s.get("/g.bin"+query, part...).want(t, http.StatusUnauthorized)
		if a := s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent); a.body != content[100:200] {
			t.Error("another part")
		}
	})
	t.Run("to the file as it was", func(t *testing.T) {
		s := start(t, files, resumable("1h"))
		query := "?download_token=" + once(t)
		s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent)
		s.put("f.bin", random(t, 1<<16)+"x")
		a := s.get("/f.bin"+query, part...).want(t, http.StatusUnauthorized)
		wantProblem(t, a, "used")
		s.put("f.bin", content)
	})
	t.Run("to the address", func(t *testing.T) {
		for roam, want := range map[string]int{"": http.StatusUnauthorized, " {\n\t\t\t\troam\n\t\t\t}": http.StatusPartialContent} {
			s := startWith(t, files, "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}", resumable("1h"+roam))
			query := "?download_token=" + once(t)
			s.get("/f.bin"+query, append(part, "X-Forwarded-For", "203.0.113.7")...).want(t, http.StatusPartialContent)
			s.get("/f.bin"+query, append(part, "X-Forwarded-For", "203.0.113.7")...).want(t, http.StatusPartialContent)
			s.get("/f.bin"+query, append(part, "X-Forwarded-For", "203.0.113.8")...).want(t, want)
			query = "?download_token=" + once(t)
			s.get("/f.bin"+query, append(part, "X-Forwarded-For", "2001:db8:1:2::1")...).want(t, http.StatusPartialContent)
			s.get("/f.bin"+query, append(part, "X-Forwarded-For", "2001:db8:1:2:ffff::9")...).want(t, http.StatusPartialContent)
			s.get("/f.bin"+query, append(part, "X-Forwarded-For", "2001:db8:1:3::1")...).want(t, want)
		}
	})
	t.Run("to the window", func(t *testing.T) {
		s := start(t, files, resumable("1s"))
		query := "?download_token=" + once(t)
		s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent)
		s.eventually(func() bool { return s.get("/f.bin"+query, part...).StatusCode == http.StatusUnauthorized })
	})
	t.Run("HEAD, 304, 416 and 404 cost nothing", func(t *testing.T) {
		s := start(t, files, resumable("1h 1"))
		query := "?download_token=" + once(t)
		etag := s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent).Header.Get("Etag")
		for range 100 {
			s.do(http.MethodHead, "/f.bin"+query).want(t, http.StatusOK)
			s.get("/f.bin"+query, "If-None-Match", etag).want(t, http.StatusNotModified)
			s.get("/f.bin"+query, "Range", "bytes=99999999-").want(t, http.StatusRequestedRangeNotSatisfiable)
		}
		s.get("/f.bin"+query).wantBody(t, content)
	})
	t.Run("uses", func(t *testing.T) {
		s := start(t, files, strings.Replace(resumable("1h 1"), "resume", "uses 2\n\t\t\tresume", 1))
		query := "?download_token=" + once(t)
		s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent) // the first use
		s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent) // of its grant
		s.get("/g.bin"+query, part...).want(t, http.StatusPartialContent) // the second
		s.get("/f.bin"+query, part...).want(t, http.StatusPartialContent)
		s.get("/f.bin2"+query).want(t, http.StatusUnauthorized)
	})
	t.Run("per path", func(t *testing.T) {
		s := start(t, files, strings.Replace(resumable("1h 1"), "resume", "per path\n\t\t\tresume", 1))
		query := "?download_token=" + once(t)
		for _, path := range []string{"/f.bin", "/g.bin", "/f.bin", "/g.bin"} {
			s.get(path+query, part...).want(t, http.StatusPartialContent)
		}
	})
}

func TestAPartOfWhatCannotBeResumedIsSentWhole(t *testing.T) {
	s := start(t, map[string]string{"pub/f.bin": "content"}, strings.Replace(resumable("1h"), "file_server",
		"handle_path /pub/* {\n\t\theader Etag W/\"weak\"\n\t\tfile_server {\n\t\t\troot {vars.root}/pub\n\t\t}\n\t}", 1))
	query := "?download_token=" + once(t)
	s.get("/pub/f.bin"+query, "Range", "bytes=0-1").wantBody(t, "content")
	s.get("/pub/f.bin"+query).want(t, http.StatusUnauthorized)
}

func TestWaitingForAConnection(t *testing.T) {
	t.Parallel()
	content := random(t, 32<<20)
	s := startApart(t, map[string]string{"f.bin": content}, "", resumable("1h 20"))
	link := s.url + "/f.bin?download_token=" + once(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 16 { // connections that do not read
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.StatusCode)
		}
	}
	began := time.Now()
	s.get("/f.bin?"+strings.SplitN(link, "?", 2)[1], "Range", "bytes=0-9").want(t, http.StatusServiceUnavailable)
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("waited %v", waited)
	}
	cancel()
	s.eventually(func() bool {
		return s.get("/f.bin?"+strings.SplitN(link, "?", 2)[1], "Range", "bytes=0-9").StatusCode == http.StatusPartialContent
	})
}
