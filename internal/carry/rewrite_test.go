package carry

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// hlsType is what file_server sends.
const hlsType = "application/vnd.apple.mpegurl"

// playlistServer rewrites what next answers.
func playlistServer(t testing.TB, next http.HandlerFunc) *httptest.Server {
	t.Helper()
	handler := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		next(w, r)
		return nil
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := linksOf(t, "http://"+r.Host+r.URL.EscapedPath())
		method, header, path := r.Method, r.Header.Clone(), r.URL.Path
		if err := Rewrite(handler, Playlists(l)).ServeHTTP(w, r); err != nil {
			t.Error(err)
		}
		if r.Method != method || len(r.Header) != len(header) {
			t.Errorf("%s %s became %s with %v", method, path, r.Method, r.Header)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// serveFile is a file as file_server would send it, with a compressed one beside it.
func serveFile(name, contentType, content string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{contentType}
		w.Header().Set("Etag", `"file"`)
		body := []byte(content)
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			body = compressed(content)
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		path, found := strings.CutPrefix(r.URL.Path, "/v")
		r.URL.Path = path // as handle_path does
		if !found || path != name {
			http.Error(w, r.URL.Path, http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, name, time.Unix(1e9, 0), bytes.NewReader(body))
	}
}

func compressed(content string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.Bytes()
}

// ask sends a request with the header fields name, value, name, value.
func ask(t testing.TB, method, url string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

const (
	playlist       = "#EXTM3U\nseg.ts\n"
	signedPlaylist = "#EXTM3U\nseg.ts?tok=T\n"
)

// TestRewritten: however a playlist is asked for, it is answered whole.
func TestRewritten(t *testing.T) {
	for _, name := range []string{"/index.m3u8", "/live"} {
		s := playlistServer(t, serveFile(name, hlsType+"; charset=utf-8", playlist))
		first, body := ask(t, http.MethodGet, s.URL+"/v"+name)
		if body != signedPlaylist {
			t.Fatalf("%s: %q", name, body)
		}
		tag := first.Header.Get("Etag")
		if !strings.HasPrefix(tag, `W/"`) || strings.Contains(tag, "file") {
			t.Errorf("tag %q", tag)
		}
		ways := [][]string{nil, {"Range", "bytes=0-3"}, {"Accept-Encoding", "gzip"}, {"Range", "bytes=0-3", "If-Range", `"file"`, "Accept-Encoding", "gzip"}}
		if name == "/index.m3u8" { // otherwise 304, 412 and 416 do not say what they are about
			ways = append(ways, []string{"If-None-Match", `"file"`}, []string{"If-Modified-Since", time.Now().UTC().Format(http.TimeFormat)},
				[]string{"If-Match", `"other"`}, []string{"Range", "bytes=900-"})
		}
		for _, fields := range ways {
			for method, want := range map[string]string{http.MethodGet: signedPlaylist, http.MethodHead: ""} {
				resp, body := ask(t, method, s.URL+"/v"+name, fields...)
				h := resp.Header
				if resp.StatusCode != http.StatusOK || body != want || resp.ContentLength != int64(len(signedPlaylist)) ||
					h.Get("Etag") != tag || h.Get("Last-Modified") != "" || h.Get("Accept-Ranges") != "none" ||
					h.Get("Cache-Control") != "private, no-store" || h.Get("Content-Encoding") != "" || h.Get("Content-Type") != hlsType+"; charset=utf-8" {
					t.Errorf("%s %s %v: %d %q, %v, %d bytes", method, name, fields, resp.StatusCode, body, h, resp.ContentLength)
				}
			}
		}
		for _, tags := range []string{tag, `"x", ` + tag} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				resp, body := ask(t, method, s.URL+"/v"+name, "If-None-Match", tags)
				if resp.StatusCode != http.StatusNotModified || body != "" || resp.Header.Get("Etag") != tag {
					t.Errorf("%s %s, known as %s: %d %v", method, name, tags, resp.StatusCode, resp.Header)
				}
			}
		}
	}
}

// TestTypes: what is a playlist.
func TestTypes(t *testing.T) {
	const description, signed = `<MPD><Location>a</Location></MPD>`, `<MPD><Location>a?tok=INDEX</Location></MPD>`
	tests := []struct {
		name, contentType, body string
		want                    string // "": as it is
	}{
		{"/x", "application/vnd.apple.mpegurl", playlist, signedPlaylist},
		{"/x", "Application/X-mpegURL", playlist, signedPlaylist},
		{"/x", "audio/mpegurl ; charset=x", "seg.ts", "seg.ts?tok=T"},
		{"/x", "audio/x-mpegurl", playlist, signedPlaylist},
		{"/x", "application/dash+xml;profiles=x", description, signed},
		{"/x", "text/plain", playlist, ""},
		{"/x.txt", "text/plain", playlist, ""},
		{"/x.m3u8", "video/mp4", playlist, ""},
		{"/x.m3u8", "", playlist, signedPlaylist},
		{"/x.M3U8", "text/plain; charset=utf-8", "\uFEFF" + playlist, "\uFEFF" + signedPlaylist},
		{"/x.m3u", "application/octet-stream", playlist, signedPlaylist},
		{"/x.m3u", "text/plain", "seg.ts\n", ""},
		{"/x.mpd", "", description, signed},
		{"/x.mpd", "text/xml", description, signed},
		{"/x.mpd", "text/plain", "state: playing", ""},
	}
	for _, test := range tests {
		s := playlistServer(t, serveFile(test.name, test.contentType, test.body))
		resp, body := ask(t, http.MethodGet, s.URL+"/v"+test.name)
		want, asItIs := test.want, test.want == ""
		if asItIs {
			want = test.body
		}
		if body != want || (resp.Header.Get("Etag") == `"file"`) != asItIs || (resp.Header.Get("Last-Modified") != "") != asItIs {
			t.Errorf("%s, %s: %q, %v", test.name, test.contentType, body, resp.Header)
		}
	}
}

// TestAsItIs: what is too large, encoded for good, or no success.
func TestAsItIs(t *testing.T) {
	large := strings.Repeat("seg.ts\n", maxBody/7+1)
	tests := map[string]struct {
		status int
		fields []string
		body   string
		length bool
	}{
		"too large":                   {200, nil, large, true},
		"and the length is not known": {200, nil, large, false},
		"encoded all the same":        {200, []string{"Content-Encoding", "gzip"}, string(compressed(playlist)), true},
		"not found":                   {404, nil, playlist, true},
		"empty":                       {200, nil, "", true},
		"nothing in it":               {200, nil, "#EXTM3U\n", true},
	}
	for name, test := range tests {
		for _, reads := range []bool{false, true} {
			s := playlistServer(t, func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				h.Set("Content-Type", hlsType)
				h.Set("Etag", `"file"`)
				if test.fields != nil {
					h.Set(test.fields[0], test.fields[1])
				}
				if test.length {
					h.Set("Content-Length", strconv.Itoa(len(test.body)))
				}
				w.WriteHeader(test.status)
				if r.Method == http.MethodHead {
					return
				}
				if reads {
					_, _ = io.Copy(w, strings.NewReader(test.body))
					return
				}
				for rest := test.body; rest != ""; {
					n := min(len(rest), 64<<10)
					_, _ = io.WriteString(w, rest[:n])
					rest = rest[n:]
				}
			})
			resp, body := ask(t, http.MethodGet, s.URL+"/v/index.m3u8")
			if resp.StatusCode != test.status || body != test.body || resp.Header.Get("Etag") != `"file"` {
				t.Errorf("%s: %d, %d bytes, %v", name, resp.StatusCode, len(body), resp.Header)
			}
			head, body := ask(t, http.MethodHead, s.URL+"/v/index.m3u8")
			if head.StatusCode != test.status || body != "" || head.ContentLength != resp.ContentLength && test.length {
				t.Errorf("%s, HEAD: %d, %d bytes, %v", name, head.StatusCode, head.ContentLength, head.Header)
			}
		}
	}
}

// TestLargest: what is just not too large.
func TestLargest(t *testing.T) {
	body := "seg.ts\n" + strings.Repeat("#", maxBody-7)
	s := playlistServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", hlsType)
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader(body))
	})
	if _, got := ask(t, http.MethodGet, s.URL+"/v/index.m3u8"); len(got) != maxBody+len("?tok=T") {
		t.Errorf("%d bytes", len(got))
	}
}

// TestBrokenOff: half a playlist must not look like a whole one.
func TestBrokenOff(t *testing.T) {
	s := playlistServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", hlsType)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, playlist)
	})
	resp, err := http.Get(s.URL + "/v/index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q was taken for the whole", body)
	}
}

// TestFails: what the next handler has said of a body that does not go out is gone.
func TestFails(t *testing.T) {
	failure := errors.New("failure")
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", hlsType)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, playlist)
		return failure
	})
	w := httptest.NewRecorder()
	w.Header().Set("Server", "x")
	r := httptest.NewRequest(http.MethodGet, "https://files.example/v/a", nil)
	err := Rewrite(next, Playlists(linksOf(t, hlsPage))).ServeHTTP(w, r)
	if !errors.Is(err, failure) || w.Body.Len() > 0 || len(w.Header()) != 1 {
		t.Errorf("%v, %q, %v", err, w.Body, w.Header())
	}
}

// TestStraight: what no rule wants is not held: early hints, what is flushed, and the
// file itself arrive.
func TestStraight(t *testing.T) {
	release := make(chan bool)
	s := playlistServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "one\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-release
		_, _ = io.WriteString(w, "two\n")
	})
	hints := 0
	trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil }}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, s.URL+"/v/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	close(release)
	if err != nil || line != "one\n" || hints != 1 {
		t.Errorf("%q, %v, %d hints", line, err, hints)
	}
	if line, err = lines.ReadString('\n'); line != "two\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// readerFrom notes what is to be read from.
type readerFrom struct {
	*httptest.ResponseRecorder
	src io.Reader
}

func (r *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	r.src = src
	return io.Copy(r.ResponseRecorder, src)
}

// TestKeepsSendfile: a segment is read by the server itself.
func TestKeepsSendfile(t *testing.T) {
	src := io.LimitReader(strings.NewReader("segment"), 7)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		_, err := w.(io.ReaderFrom).ReadFrom(src)
		return err
	})
	w := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodGet, "https://files.example/v/seg.ts", nil)
	if err := Rewrite(next, Playlists(linksOf(t, "https://files.example/v/seg.ts"))).ServeHTTP(w, r); err != nil || w.src != src || w.Body.String() != "segment" {
		t.Errorf("%v, read from %v", err, w.src)
	}
}

// TestOtherMethods: only what is asked for to be read is rewritten.
func TestOtherMethods(t *testing.T) {
	s := playlistServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", hlsType)
		_, _ = io.WriteString(w, playlist)
	})
	if _, body := ask(t, http.MethodPost, s.URL+"/v/index.m3u8"); body != playlist {
		t.Errorf("%q", body)
	}
}

// BenchmarkServed compares a playlist of ten minutes with and without tokens in it, over
// a connection.
func BenchmarkServed(b *testing.B) {
	body := mediaPlaylist(150)
	file := serveFile("/index.m3u8", hlsType, body)
	for name, s := range map[string]*httptest.Server{"plain": httptest.NewServer(file), "tokens": playlistServer(b, file)} {
		path, client := "/v/index.m3u8", &http.Client{Transport: &http.Transport{DisableCompression: true}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Get(s.URL + path)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
		s.Close()
	}
}
