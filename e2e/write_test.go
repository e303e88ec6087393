package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// onceWriting is for one-time tokens that write, one a minute old at most.
const onceWriting = `download_token {
		key HS256 "` + secret + `"
		scope template folder:{name} /{name}/* {
			allow read modify
		}
		methods webdav
		max_ttl 10m
		one_time
	}
	test_webdav`

// TestOneTimeUpload: a link for one upload is good for one, whoever breaks off when.
func TestOneTimeUpload(t *testing.T) {
	s := start(t, map[string]string{"in/there.txt": "there"}, onceWriting)
	link := func(name string) string {
		return "/in/" + name + "?download_token=" + mint(t, claims{"jti": rand.Text(), "scope": "folder:in"})
	}
	t.Run("once", func(t *testing.T) {
		s.t = t
		target := link("a.txt")
		s.do("PROPFIND", target, "Depth", "0").want(t, http.StatusNotFound)
		s.send("PUT", strings.Replace(target, "/in/", "/out/", 1), "new").want(t, http.StatusForbidden)
		s.send("PUT", target, "new", "Content-Range", "bytes 0-2/3").want(t, http.StatusBadRequest)
		s.send("PUT", strings.Replace(target, "a.txt", "no/a.txt", 1), "new").want(t, http.StatusConflict)
		s.send("PUT", target, "new").want(t, http.StatusCreated)
		s.send("PUT", target, "newer").want(t, http.StatusUnauthorized)
		s.do("DELETE", target).want(t, http.StatusUnauthorized)
		if got, _ := os.ReadFile(filepath.Join(s.root, "in", "a.txt")); string(got) != "new" {
			t.Errorf("%q", got)
		}
	})
	t.Run("delete", func(t *testing.T) {
		s.t = t
		target := link("there.txt")
		s.do("DELETE", target).want(t, http.StatusNoContent)
		s.do("DELETE", target).want(t, http.StatusUnauthorized)
	})
	t.Run("many at once", func(t *testing.T) {
		target, statuses := link("many.txt"), make(chan int)
		for i := range 20 {
			go func() {
				req, _ := http.NewRequest("PUT", s.url+target, strings.NewReader(fmt.Sprint(i)))
				resp, err := client.Do(req)
				if err != nil {
					statuses <- 0
					return
				}
				resp.Body.Close()
				statuses <- resp.StatusCode
			}()
		}
		done := 0
		for range 20 {
			if status := <-statuses; status == http.StatusCreated {
				done++
			}
		}
		if done != 1 {
			t.Errorf("%d of 20 were done", done)
		}
	})
	t.Run("gone in the middle", func(t *testing.T) {
		s.t = t
		target, host := link("b.txt"), strings.TrimPrefix(s.url, "http://")
		for _, sent := range []int{0, 1, 500, 999} {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n%s", target, host, strings.Repeat("b", sent))
			eventually(t, func() bool { // until the server is at it
				_, err := os.Stat(filepath.Join(s.root, "in", "b.txt"))
				return err == nil
			})
			conn.Close()
		}
		s.eventually(func() bool { // the server may not have noticed yet that the others are gone
			a := s.send("PUT", target, strings.Repeat("b", 1000))
			if a.StatusCode != http.StatusServiceUnavailable {
				a.want(t, http.StatusCreated)
			}
			return a.StatusCode == http.StatusCreated
		})
		s.send("PUT", target, "again").want(t, http.StatusUnauthorized)
	})
	t.Run("gone after the end", func(t *testing.T) {
		s.t = t
		target, host := link("c.txt"), strings.TrimPrefix(s.url, "http://")
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\n\r\nnew", target, host)
		conn.Close()
		eventually(t, func() bool {
			got, _ := os.ReadFile(filepath.Join(s.root, "in", "c.txt"))
			return string(got) == "new"
		})
		s.eventually(func() bool { return s.send("PUT", target, "newer").StatusCode == http.StatusUnauthorized })
		if got, _ := os.ReadFile(filepath.Join(s.root, "in", "c.txt")); string(got) != "new" {
			t.Errorf("it was written twice: %q", got)
		}
	})
}

// TestGoneBehindAProxy: a proxy breaks off when its client goes, though the application
// behind it may have all of the upload by then, and do it.
func TestGoneBehindAProxy(t *testing.T) {
	arrived, goOn := make(chan string, 10), make(chan bool)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 3)
		n, _ := io.ReadFull(r.Body, body)
		arrived <- string(body[:n])
		select {
		case <-goOn:
		case <-time.After(patience):
		}
		w.WriteHeader(http.StatusCreated)
	}))
	defer upstream.Close()
	defer close(goOn)
	s := start(t, map[string]string{"in/a": ""}, strings.Replace(onceWriting, "test_webdav", "reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://"), 1))
	target := "/in/c.txt?download_token=" + mint(t, claims{"jti": rand.Text(), "scope": "folder:in"})
	host := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\n\r\nnew", target, host)
	if got := <-arrived; got != "new" {
		t.Fatalf("%q arrived", got)
	}
	conn.Close()
	s.eventually(func() bool { return strings.Contains(s.logs(), `"msg":"token spent"`) })
	s.send("PUT", target, "new").want(t, http.StatusUnauthorized)
}

// TestErrorPageOfAWrite: the page of an error route is sent, whatever a write was to keep to.
func TestErrorPageOfAWrite(t *testing.T) {
	s := start(t, map[string]string{"there.txt": "there", "page.html": "the error page"}, everyWrite+`error 507
	handle_errors {
		rewrite * /page.html
		file_server
	}`)
	for _, target := range []string{"/there.txt", "/new.txt"} {
		a := s.send("PUT", target+"?download_token="+mint(t, nil), "x").want(t, http.StatusInsufficientStorage)
		if a.body != "the error page" {
			t.Errorf("%s: %q", target, a.body)
		}
	}
}

// TestDestinationTricks sends every probe of the corpus as Destination, with a token for
// /pub/*: nothing may come to be anywhere else.
func TestDestinationTricks(t *testing.T) {
	files := map[string]string{"pub/x": "granted", "priv/x": "planted", "publish/x": "planted", "sub/a.txt": "planted", "PUB/x": "planted"}
	directive := `download_token {
		from header Authorization
		key HS256 "` + secret + `"
		scope template folder:{name} /{name}/* {
			allow read modify
		}
		path_prefix %s
		methods webdav
	}
	test_webdav`
	for name, tt := range map[string]struct{ body, at string }{
		"the site":    {strings.Replace(directive, "path_prefix %s", "", 1), ""},
		"handle_path": {"handle_path /pub/* {\n" + strings.Replace(directive, "%s", "/pub", 1) + "\n}", "/pub"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil, tt.body)
			inside := filepath.Join(s.root, filepath.FromSlash(strings.TrimPrefix("/pub", tt.at)))
			put := func() {
				for file, content := range files {
					s.put(file, content)
					if tt.at != "" {
						s.put(strings.TrimPrefix(file, "pub/"), content)
					}
				}
			}
			put()
			outside := func() map[string]string {
				all := contents(t, s.root)
				if tt.at == "" {
					maps.DeleteFunc(all, func(p, _ string) bool { return strings.HasPrefix(p, "/pub/") })
				}
				return all
			}
			before, token := outside(), "Bearer "+mint(t, claims{"scope": "folder:pub"})
			probes := tricks(s.url)
			for _, probe := range tricks(s.url) {
				if strings.HasPrefix(probe, "/") {
					probes = append(probes, s.url+probe, "//"+strings.TrimPrefix(s.url, "http://")+probe, "http://evil.example"+probe)
				}
			}
			for _, probe := range probes {
				for _, method := range []string{"COPY", "MOVE"} {
					a := s.do(method, "/pub/x", "Authorization", token, "Destination", probe, "Overwrite", "T")
					after := outside()
					if tt.at == "" && !maps.Equal(before, after) {
						t.Fatalf("%s to %s: %d, and files outside have changed: %v", method, probe, a.StatusCode, after)
					}
					if a.StatusCode < 300 && tt.at != "" && !strings.Contains(probe, "/pub") {
						t.Errorf("%s to %s: %d", method, probe, a.StatusCode)
					}
					put()
				}
			}
			for _, probe := range []string{"/pub/new1", s.url + "/pub/new2", "/%70ub/new%33"} {
				s.do("COPY", "/pub/x", "Authorization", token, "Destination", probe).want(t, http.StatusCreated)
			}
			for _, name := range []string{"new1", "new2", "new3"} {
				if got, err := os.ReadFile(filepath.Join(inside, name)); err != nil || string(got) != "granted" {
					t.Errorf("%s: %q, %v", name, got, err)
				}
			}
		})
	}
}

// TestUploadTokenWrites: the write permissions of a token of Upload do what they say.
func TestUploadTokenWrites(t *testing.T) {
	private, cert := certificate(t)
	file := filepath.Join(t.TempDir(), "upload.pem")
	write(t, file, cert)
	s := start(t, map[string]string{"users/user-xyz/old.jpg": "old"}, `handle_path /`+account+`/raw/* {
		download_token {
			from header Authorization-Token
			key RS256 {file.`+file+`}
			require sub
			scope path_permissions
			methods webdav
			status 403
		}
		test_webdav
	}`)
	base := "/" + account + "/raw/users/user-xyz/"
	token := uploadToken(t, private, claims{"access": access(entry("/users/user-xyz", "Children", []string{"raw"}, false))}) // with createFile
	for _, tt := range []struct {
		method, path string
		header       []string
		want         int
	}{
		{"PUT", base + "new.jpg", nil, 201},
		{"GET", base + "new.jpg", nil, 200},
		{"PUT", base + "new.jpg", nil, 403},
		{"PUT", base + "old.jpg", nil, 403},
		{"DELETE", base + "old.jpg", nil, 403},
		{"MKCOL", base + "dir", nil, 403},
		{"PUT", "/" + account + "/raw/users/user-abc/new.jpg", nil, 403},
		{"COPY", base + "old.jpg", []string{"Destination", base + "copy.jpg"}, 201},
		{"MOVE", base + "old.jpg", []string{"Destination", base + "moved.jpg"}, 403},
		{"PROPFIND", base + "old.jpg", []string{"Depth", "0"}, 207},
		{"PROPFIND", base, []string{"Depth", "1"}, 403},
	} {
		if a := s.send(tt.method, tt.path, "", append(tt.header, "Authorization-Token", token)...); a.StatusCode != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, a.StatusCode, tt.want)
		}
	}
}
