package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// eachKind runs a test with drafts that have no name, where the system has those, and
// with drafts that have one.
func eachKind(t *testing.T, test func(t *testing.T)) {
	if runtime.GOOS == "linux" {
		t.Run("without a name", test)
	}
	t.Run("with a name", func(t *testing.T) {
		nameless = func(*os.Root, string) (*os.File, error) { return nil, errors.ErrUnsupported }
		defer func() { nameless = openNameless }()
		test(t)
	})
}

// TestRace: of those that create the same file at the same time, one wins, and nothing is
// written over.
func TestRace(t *testing.T) {
	eachKind(t, func(t *testing.T) {
		s := newSite(t, &Upload{Mkdir: true})
		s.permits = all // even where overwriting is permitted, a file that came meanwhile stays
		const rounds, racers = 30, 8
		for round := range rounds {
			var created, refused atomic.Int32
			var winner atomic.Value
			var ready, done sync.WaitGroup
			ready.Add(racers)
			for racer := range racers {
				done.Go(func() {
					content := fmt.Sprintf("racer %d of round %d", racer, round)
					body, writer := io.Pipe()
					go func() {
						_, _ = io.WriteString(writer, content[:1])
						ready.Done()
						ready.Wait() // all have begun
						_, _ = io.WriteString(writer, content[1:])
						_ = writer.Close()
					}()
					switch got := s.do(http.MethodPut, fmt.Sprintf("/%d/f", round), body, "If-None-Match", "*"); got.StatusCode {
					case 201:
						created.Add(1)
						winner.Store(content)
					case 412:
						refused.Add(1)
					default:
						t.Errorf("%s: %s", got.Status, got.body)
					}
				})
			}
			done.Wait()
			if created.Load() != 1 || refused.Load() != racers-1 || s.files()[fmt.Sprintf("%d/f", round)] != winner.Load() {
				t.Fatalf("%d created, %d refused, %q, and the winner is %v", created.Load(), refused.Load(), s.files(), winner.Load())
			}
		}
		if n := len(s.files()); n != 2*rounds {
			t.Errorf("%d files and folders: %q", n, s.files())
		}
	})
}

// TestReadersWhileOverwriting see the whole old file or the whole new one.
func TestReadersWhileOverwriting(t *testing.T) {
	eachKind(t, func(t *testing.T) {
		s := newSite(t, new(Upload))
		s.permits = all
		one, two := strings.Repeat("1", 1<<16), strings.Repeat("2", 1<<17)
		s.put("f", one)
		ctx, stop := context.WithCancel(t.Context())
		var reading sync.WaitGroup
		reading.Go(func() {
			for ctx.Err() == nil {
				if got, err := os.ReadFile(filepath.Join(s.root, "f")); err != nil || string(got) != one && string(got) != two {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
		for i := range 50 {
			if got := s.do(http.MethodPut, "/f", strings.NewReader([]string{two, one}[i%2])); got.StatusCode != 204 {
				t.Fatal(got.Status)
			}
		}
		stop()
		reading.Wait()
		if len(s.files()) != 1 {
			t.Errorf("%d files", len(s.files()))
		}
	})
}

// TestClientGone: a client that goes away after each byte of its request, but the last,
// leaves nothing.
func TestClientGone(t *testing.T) {
	content := strings.Repeat("0123456789", 3)
	body, contentType := form([][2]string{{"name", "NAME"}}, "f.txt", "text/plain", content)
	eachKind(t, func(t *testing.T) {
		for kind, request := range map[string]string{
			"length": fmt.Sprintf("PUT /NAME HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(content), content),
			"chunks": "PUT /NAME HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
			"form":   fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, body.Len(), body),
			"mkdir":  fmt.Sprintf("PUT /d/NAME HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(content), content),
		} {
			t.Run(kind, func(t *testing.T) {
				s := newSite(t, &Upload{Mkdir: true, ContentType: []string{"text/plain"}})
				send := func(n int, name string) {
					conn, err := net.Dial("tcp", s.Listener.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					if _, err := io.WriteString(conn, strings.ReplaceAll(request[:n], "NAME", name)); err != nil {
						t.Fatal(err)
					}
					if n == len(request) {
						_, _ = io.ReadAll(io.LimitReader(conn, 12)) // its status
					} else if n%2 == 0 {
						_ = conn.(*net.TCPConn).SetLinger(0) // reset
					}
				}
				for n := range len(request) {
					send(n, fmt.Sprintf("%d.txt", n)) // three or four letters less or more, but in the head
				}
				send(len(request), "NAME")
				s.Server.Close() // when all have ended
				left := s.files()
				delete(left, "d/")
				if len(left) > 0 { // NAME has no extension, so its type is refused
					t.Errorf("left: %q", left)
				}
			})
		}
	})
}

// TestClientGoneBeforeTheEnd: the same request, whole, is stored; so what TestClientGone
// breaks off would have been.
func TestClientGoneBeforeTheEnd(t *testing.T) {
	eachKind(t, func(t *testing.T) {
		s := newSite(t, &Upload{ContentType: []string{"text/plain"}})
		for want, last := range []string{"", "9"} {
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(conn, "PUT /f.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n012345678%s", last)
			if last == "" {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			_, _ = io.ReadAll(conn) // when it has ended
			_ = conn.Close()
			if left := s.files(); len(left) != want {
				t.Errorf("after %q: %q", last, left)
			}
		}
	})
}

// TestLeftOvers: the first upload has what a crash left removed, if it is old, and nothing
// else.
func TestLeftOvers(t *testing.T) {
	s := newSite(t, new(Upload))
	old := time.Now().Add(-2 * leftOver)
	for _, name := range []string{draftPrefix + "OLD", "folder/" + draftPrefix + "OLD", "old.txt", ".old", draftPrefix + "folder/a"} {
		s.put(name, "x")
		if err := os.Chtimes(filepath.Join(s.root, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	s.put(draftPrefix+"NEW", "x")
	outside := filepath.Join(t.TempDir(), draftPrefix+"OLD")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(outside, old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(s.root, "out")); err != nil {
		missing(t, err.Error())
	}
	if got := s.do(http.MethodPut, "/new.txt", nil); got.StatusCode != 201 {
		t.Fatal(got.Status)
	}
	want := map[string]string{
		"folder/": "", "old.txt": "x", ".old": "x", draftPrefix + "folder/": "", draftPrefix + "folder/a": "x", draftPrefix + "NEW": "x", "new.txt": "",
	}
	for deadline := time.Now().Add(30 * time.Second); !maps.Equal(s.files(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("left: %q", s.files())
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if removeLeftOvers(ended, s.root, time.Now().Add(time.Hour)); !maps.Equal(s.files(), want) {
		t.Errorf("for a configuration that has ended: %q", s.files())
	}
	if _, done := swept.Load(s.root); done {
		t.Error("the next configuration does not look again")
	}
}

// TestContinue: what can be refused by the header is refused before the client sends its
// body.
func TestContinue(t *testing.T) {
	s := newSite(t, &Upload{MaxSize: 100, ContentType: []string{"text/plain"}})
	s.permits = only(scope.CreateFile)
	s.put("old.txt", "")
	for request, want := range map[string]string{
		"PUT /new.txt HTTP/1.1\r\nContent-Length: 100\r\n":                                              "100",
		"PUT /new.txt HTTP/1.1\r\nContent-Length: 101\r\n":                                              "413",
		"PUT /new.png HTTP/1.1\r\nContent-Length: 100\r\n":                                              "415",
		"PUT /old.txt HTTP/1.1\r\nContent-Length: 100\r\n":                                              "412",
		"PUT /none/new.txt HTTP/1.1\r\nContent-Length: 100\r\n":                                         "409",
		"PUT / HTTP/1.1\r\nContent-Length: 100\r\n":                                                     "405",
		"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 70000\r\n": "413",
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "%sHost: a\r\nExpect: 100-continue\r\n\r\n", request)
		head := make([]byte, len("HTTP/1.1 100"))
		if _, err := io.ReadFull(conn, head); err != nil || string(head[9:]) != want {
			t.Errorf("%s: %q, %v", request, head, err)
		}
		_ = conn.Close()
	}
}
