//go:build !windows

package response

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// TestSendable sends parts of a file through Caddy's writer of idle timeouts, while the
// file grows, or is cut short.
func TestSendable(t *testing.T) {
	const size = 300_000
	content := make([]byte, size)
	_, _ = rand.Read(content)
	for name, tt := range map[string]struct {
		chunk     int
		from, n   int64
		change    func(t *testing.T, name string) // after the first byte
		want      int64                           // -1: what is there, in whole or cut
		sendfiled bool
	}{
		"whole":                          {n: size, want: size, sendfiled: true},
		"a part":                         {from: 1000, n: 200_000, want: 200_000, sendfiled: true},
		"just a piece":                   {from: 1, n: 65536, want: 65536}, // of which the head was read
		"less than a piece":              {n: 65535, want: 65535},
		"small pieces":                   {chunk: 1 << 10, from: 5, n: 123_457, want: 123_457, sendfiled: true},
		"more than there is":             {from: 200_000, n: 1 << 40, want: 100_000, sendfiled: true},
		"a file that grows":              {n: size, change: grow, want: size, sendfiled: true},
		"a part of one that grows":       {from: 99, n: 100_000, change: grow, want: 100_000, sendfiled: true},
		"to the end of one that grows":   {n: 1 << 40, change: grow, want: 2 * size, sendfiled: true},
		"a file that is cut short":       {n: size, change: cut, want: 70_000, sendfiled: true},
		"a file that is cut to nothing":  {n: size, change: empty, want: 512},
		"a file that is gone meanwhile":  {n: size, change: remove, want: size, sendfiled: true},
		"nothing at all":                 {from: 7, n: 0, want: 0},
		"the end":                        {from: size, n: 10, want: 0},
		"the last piece is whole":        {from: size - 2*65536, n: 2 * 65536, want: 2 * 65536, sendfiled: true},
		"one byte more than some pieces": {from: 3, n: 2*65536 + 1, want: 2*65536 + 1, sendfiled: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.Seek(tt.from, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			sent, asked := int64(-1), false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				idle := &caddyhttp.IdleTimeoutWriter{
					ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, Ctrl: http.NewResponseController(w),
					Deadline: caddyhttp.IdleDeadline{Timeout: time.Minute}, MaxChunk: tt.chunk, Logger: zap.NewNop(),
				}
				w.Header().Set("Content-Length", strconv.FormatInt(max(tt.want, tt.n%(1<<40)), 10))
				part := &io.LimitedReader{R: file, N: tt.n}
				head := make([]byte, min(512, tt.n))
				n, _ := part.Read(head)
				_, _ = idle.Write(head[:n])
				if tt.change != nil {
					tt.change(t, path)
				}
				src := sendable(idle, part)
				more, err := idle.ReadFrom(src)
				if err != nil {
					t.Error(err)
				}
				sent, asked = int64(n)+more, src.(*pieces).conn != nil
				if position, _ := file.Seek(0, io.SeekCurrent); position != tt.from+sent {
					t.Errorf("%d bytes are said to be sent, %d were", sent, position-tt.from)
				}
			}))
			defer server.Close()
			resp, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, _ := io.ReadAll(resp.Body) // cut where the file was
			server.Close()
			whole := append(bytes.Clone(content), content...)
			if int64(len(got)) != tt.want || sent != tt.want || !bytes.Equal(got, whole[tt.from:][:len(got)]) {
				t.Errorf("%d bytes came and %d were sent, want %d", len(got), sent, tt.want)
			}
			if asked != tt.sendfiled {
				t.Errorf("the descriptor was asked for: %v", asked)
			}
		})
	}
}

func grow(t *testing.T, name string) {
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, name string)    { truncate(t, name, 70_000) }
func empty(t *testing.T, name string)  { truncate(t, name, 0) }
func remove(t *testing.T, name string) { _ = os.Remove(name) }

func truncate(t *testing.T, name string, size int64) {
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

// TestSendableOnlyWhereItHelps: everything else stays as it was.
func TestSendableOnlyWhereItHelps(t *testing.T) {
	file, err := os.Open("sendfile_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	idle := new(caddyhttp.IdleTimeoutWriter)
	for name, tt := range map[string]struct {
		idle *caddyhttp.IdleTimeoutWriter
		src  *io.LimitedReader
	}{
		"no idle timeout": {nil, &io.LimitedReader{R: file, N: 1 << 20}},
		"no file":         {idle, &io.LimitedReader{R: bytes.NewReader(nil), N: 1 << 20}},
	} {
		if got := sendable(tt.idle, tt.src); got != io.Reader(tt.src) {
			t.Errorf("%s: %T", name, got)
		}
	}
}
