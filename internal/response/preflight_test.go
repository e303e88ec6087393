package response

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestIsPreflight(t *testing.T) {
	const origin, method = "https://app.example", "GET"
	for _, tt := range []struct {
		method, origin, asks string
		want                 bool
	}{
		{http.MethodOptions, origin, method, true},
		{http.MethodOptions, "null", method, true},
		{http.MethodOptions, "", method, false},
		{http.MethodOptions, origin, "", false},
		{http.MethodGet, origin, method, false},
		{http.MethodPost, origin, method, false},
		{"options", origin, method, false},
	} {
		r := asking(tt.method, "/a")
		r.Header.Set("Origin", tt.origin)
		r.Header.Set("Access-Control-Request-Method", tt.asks)
		if got := IsPreflight(r); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// TestPreflight: the answer is 204 with the CORS fields of the later handlers, if they
// accept, and otherwise with those of the site in front.
func TestPreflight(t *testing.T) {
	for name, tt := range map[string]struct {
		next              func(w http.ResponseWriter) error
		origin, vary, age string
	}{
		"accepted":          {func(w http.ResponseWriter) error { w.WriteHeader(200); return nil }, "behind", "Origin", "9"},
		"204":               {func(w http.ResponseWriter) error { w.WriteHeader(204); return nil }, "behind", "Origin", "9"},
		"refused":           {func(w http.ResponseWriter) error { w.WriteHeader(403); return nil }, "front", "Front", ""},
		"redirected":        {func(w http.ResponseWriter) error { w.WriteHeader(302); return nil }, "front", "Front", ""},
		"an error":          {func(w http.ResponseWriter) error { w.WriteHeader(200); return errSite }, "front", "Front", ""},
		"no answer":         {func(w http.ResponseWriter) error { return nil }, "front", "Front", ""},
		"switched":          {func(w http.ResponseWriter) error { w.WriteHeader(101); return nil }, "front", "Front", ""},
		"early hints first": {func(w http.ResponseWriter) error { w.WriteHeader(103); w.WriteHeader(200); return nil }, "behind", "Origin", "9"},
		"a second status":   {func(w http.ResponseWriter) error { w.WriteHeader(403); w.WriteHeader(200); return nil }, "front", "Front", ""},
		"the origin in front": {func(w http.ResponseWriter) error {
			w.Header().Set("Access-Control-Allow-Origin", "front")
			w.WriteHeader(200)
			return nil
		}, "front", "Front", "9"},
		"a little text": {func(w http.ResponseWriter) error {
			_, err := io.WriteString(w, strings.Repeat("x", maxDropped))
			return err
		}, "behind", "Origin", "9"},
		"copied": {func(w http.ResponseWriter) error { _, err := io.Copy(w, noWriterTo{"x"}.reader()); return err }, "behind", "Origin", "9"},
		"a long text, and an abort": {func(w http.ResponseWriter) error {
			if _, err := io.WriteString(w, strings.Repeat("x", maxDropped+1)); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("it is read: %v", err)
			}
			panic(http.ErrAbortHandler)
		}, "behind", "Origin", "9"},
	} {
		c := new(client)
		c.Header().Set("Access-Control-Allow-Origin", "front")
		c.Header().Set("Vary", "Front")
		r := asking(http.MethodOptions, "/a")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("planted")), 7
		r.Trailer = http.Header{"Planted": nil}
		err := Preflight(c, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			if body, _ := io.ReadAll(r.Body); len(body)+len(r.Trailer) > 0 || r.ContentLength != 0 {
				t.Errorf("%s: the next handler gets %q, %d, %v", name, body, r.ContentLength, r.Trailer)
			}
			w.Header().Set("Access-Control-Allow-Origin", "behind")
			w.Header().Set("Access-Control-Max-Age", "9")
			w.Header().Set("Vary", "Origin")
			w.Header().Set("Content-Type", "planted")
			return tt.next(w)
		}))
		if err != nil || strings.Join(c.events, ", ") != "204" || c.header.Get("Content-Type") != "" {
			t.Errorf("%s: %v, %q, %v", name, err, c.events, c.header)
		}
		for field, want := range map[string]string{"Access-Control-Allow-Origin": tt.origin, "Vary": tt.vary, "Access-Control-Max-Age": tt.age} {
			if got := c.header.Get(field); got != want {
				t.Errorf("%s: %s %q, want %q", name, field, got, want)
			}
		}
	}
}

// TestPreflightPanics: what is no reaction to a body that was not taken is a panic.
func TestPreflightPanics(t *testing.T) {
	for name, tt := range map[string]struct {
		written int
		panics  any
	}{"at once": {0, http.ErrAbortHandler}, "after a little": {maxDropped, http.ErrAbortHandler}, "of another kind": {maxDropped + 1, errSite}} {
		func() {
			defer func() {
				if p := recover(); p != tt.panics {
					t.Errorf("%s: %v", name, p)
				}
			}()
			_ = Preflight(new(client), asking(http.MethodOptions, "/a"), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				_, _ = w.Write(make([]byte, tt.written))
				panic(tt.panics)
			}))
		}()
	}
}
