package response

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestProbe: of what would be served, nothing goes out, and its status and header come
// back; every other answer goes out.
func TestProbe(t *testing.T) {
	type writer = http.ResponseWriter
	answer := func(status int) func(writer, *http.Request) error {
		return func(w writer, _ *http.Request) error {
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(status)
			_, err := io.WriteString(w, "hello")
			return err
		}
	}
	for name, tt := range map[string]struct {
		next   func(w writer, r *http.Request) error
		status int    // that comes back; 0: none
		events string // at the client
		length string // what comes back, or goes out, as Content-Length
		err    error
	}{
		"a file":        {next: answer(200), status: 200, length: "5"},
		"nothing in it": {next: func(w writer, _ *http.Request) error { w.WriteHeader(204); return nil }, status: 204},
		"copied": {next: func(w writer, _ *http.Request) error {
			_, err := io.CopyN(w, noWriterTo{"hello"}.reader(), 5)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}, status: 200},
		"a flush":                {next: func(w writer, _ *http.Request) error { return http.NewResponseController(w).Flush() }, status: 200},
		"early hints, a file":    {next: func(w writer, r *http.Request) error { w.WriteHeader(103); return answer(200)(w, r) }, status: 200, length: "5"},
		"one that knows no HEAD": {next: answer(405), status: 405, length: "5"},
		"nor anything":           {next: answer(501), status: 501, length: "5"},
		"404":                    {next: answer(404), events: "404, write 5"},
		"a redirect":             {next: answer(308), events: "308, write 5"},
		"304":                    {next: func(w writer, _ *http.Request) error { w.WriteHeader(304); return nil }, events: "304"},
		"404, copied": {next: func(w writer, _ *http.Request) error {
			w.WriteHeader(404)
			_, err := io.Copy(w, noWriterTo{strings.Repeat("x", 9)}.reader())
			return err
		}, events: "404, write 9"},
		"404, and another":      {next: func(w writer, r *http.Request) error { w.WriteHeader(404); w.WriteHeader(200); return nil }, events: "404"},
		"an error":              {next: func(writer, *http.Request) error { return errSite }, err: errSite},
		"a header and an error": {next: func(w writer, r *http.Request) error { w.WriteHeader(200); return errSite }, err: errSite},
		"404 and an error":      {next: func(w writer, r *http.Request) error { w.WriteHeader(404); return errSite }, events: "404", err: errSite},
		"no answer":             {next: func(writer, *http.Request) error { return nil }},
		"another file":          {next: func(w writer, r *http.Request) error { r.URL.Path = "/other"; return answer(200)(w, r) }, err: errOtherFile},
		"101":                   {next: answer(101), err: errSwitch},
	} {
		c := new(client)
		c.Header().Set("X-Site", "site")
		r := asking(http.MethodGet, "/a")
		asked := http.Header{
			"Accept": {"text/html"}, "Accept-Encoding": {"gzip"}, "Range": {"bytes=0-1"}, "If-Range": {`"e"`}, "If-Match": {"*"},
			"If-None-Match": {"*"}, "If-Modified-Since": {"x"}, "If-Unmodified-Since": {"x"},
		}
		r.Header = asked.Clone()
		d := &Delivery{Policy: new(Policy), Gate: &fakeGate{client: new(client)}, InURL: true, Lifetime: 1 << 40}
		d.Begin(c, r)
		status, header, err := d.Probe(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			if r.Method != http.MethodHead || len(r.Header) != 1 || r.Header.Get("Accept") == "" {
				t.Errorf("%s: asked with %s, %v", name, r.Method, r.Header)
			}
			w.Header().Set("X-Behind", "behind")
			w.Header().Set("Etag", `"planted"`)
			return tt.next(w, r)
		}))
		if status != tt.status || !errors.Is(err, tt.err) || strings.Join(c.events, ", ") != tt.events {
			t.Errorf("%s: %d, %v, %q", name, status, err, c.events)
		}
		if d.Sent() != (tt.status != 0 || tt.events != "") {
			t.Errorf("%s: sent %v", name, d.Sent())
		}
		if r.Method != http.MethodGet || !slices.Equal(r.Header["Range"], asked["Range"]) || len(r.Header) != len(asked) {
			t.Errorf("%s: the request is left as %s %v", name, r.Method, r.Header)
		}
		switch {
		case tt.status != 0: // the page is not about the file
			if header.Get("Etag") == "" || header.Get("Content-Length") != tt.length || c.header.Get("Etag") != "" || c.header.Get("X-Behind") != "" {
				t.Errorf("%s: %v comes back, and the client is told %v", name, header, c.header)
			}
		case header != nil, c.header.Get("X-Site") != "site", c.header.Get("X-Behind") != "behind" && name != "no answer", c.header.Get("Content-Length") != "" && tt.events != "":
			t.Errorf("%s: %v comes back, and the client is told %v", name, header, c.header)
		case tt.err != nil && tt.events == "" && c.header.Get("Etag") != "" && name != "an error":
			t.Errorf("%s: what is said of the file is left: %v", name, c.header)
		case name == "no answer" && (!d.Unanswered() || c.header.Get("Cache-Control") != "no-store"):
			t.Errorf("%s: %v", name, c.header)
		}
	}
}

// TestProbeOfAPanic leaves the request as it was.
func TestProbeOfAPanic(t *testing.T) {
	r := asking(http.MethodGet, "/a")
	r.Header.Set("Range", "bytes=0-1")
	d := &Delivery{Policy: new(Policy), Gate: &fakeGate{client: new(client)}}
	d.Begin(new(client), r)
	defer func() {
		if p := recover(); p != errSite || r.Method != http.MethodGet || r.Header.Get("Range") == "" {
			t.Errorf("%v, %s %v", p, r.Method, r.Header)
		}
	}()
	_, _, _ = d.Probe(caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic(errSite) }))
}
