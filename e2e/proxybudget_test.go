package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTheBudgetBehindAProxy: reverse_proxy ends a connection with a panic when it
// cannot write. What was drawn and not written is given back all the same, and a
// download that the budget ends leaves its line.
func TestTheBudgetBehindAProxy(t *testing.T) {
	const size = 1 << 20
	content := random(t, size)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"e"`)
		if r.Header.Get("Die") != "" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = io.WriteString(w, content[:1])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "f.bin", time.Time{}, strings.NewReader(content))
	}))
	defer upstream.Close()
	s := start(t, nil, strings.Replace(resumable("1h 1"), "file_server", "reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://"), 1))

	t.Run("a download that breaks off leaves its line", func(t *testing.T) {
		link := s.url + "/f.bin?download_token=" + once(t)
		for i, want := range []int64{size, size / 4} {
			if n := arriving(t, link, "Range", "bytes=0-"); n != want {
				t.Errorf("answer %d: %d bytes, want %d", i, n, want)
			}
		}
		s.eventually(func() bool { return strings.Count(s.logs(), "broken off") == 1 })
	})
	t.Run("what was not written is given back", func(t *testing.T) {
		link := s.url + "/f.bin?download_token=" + once(t)
		if n := arriving(t, link, "Range", "bytes=0-0"); n != 1 {
			t.Fatalf("%d bytes", n)
		}
		for range 8 { // each draws a fifth of the budget ahead, and writes a byte
			if n := arriving(t, link, "Range", "bytes=0-", "Die", "1"); n != 1 {
				t.Fatalf("%d bytes", n)
			}
		}
		if n := arriving(t, link, "Range", "bytes=0-"); n != size {
			t.Errorf("%d bytes were left", n)
		}
	})
}

// arriving reads as much of an answer as comes.
func arriving(t testing.TB, link string, header ...string) int64 {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, link, nil)
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
	n, _ := io.Copy(io.Discard, resp.Body)
	return n
}
