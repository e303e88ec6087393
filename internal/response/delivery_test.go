package response

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestDeliveryOrder: what goes out, and when the gate is asked. Nothing but 1xx may
// ever go out before that.
func TestDeliveryOrder(t *testing.T) {
	type writer = http.ResponseWriter
	text := func(w writer, s string) error { _, err := io.WriteString(w, s); return err }
	flush := func(w writer) error { return http.NewResponseController(w).Flush() }
	for name, tt := range map[string]struct {
		method   string // default: GET
		next     func(w writer, r *http.Request) error
		spending string // what happens if a 2xx answer uses something up
		other    string // and if it does not; default: the same
		err      error
	}{
		"a file": {
			next:     func(w writer, _ *http.Request) error { w.WriteHeader(200); return text(w, "ab") },
			spending: "gate 200, 200, write 2",
		},
		"no status": {
			next:     func(w writer, _ *http.Request) error { return text(w, "ab") },
			spending: "gate 200, 200, write 2",
		},
		"two writes": {
			next:     func(w writer, _ *http.Request) error { return errors.Join(text(w, "ab"), text(w, "c")) },
			spending: "gate 200, 200, write 2, write 1",
		},
		"a header": {
			next:     func(w writer, _ *http.Request) error { w.WriteHeader(200); return nil },
			spending: "gate 200, 200",
		},
		"a header, then an error": {
			next:     func(w writer, _ *http.Request) error { w.WriteHeader(200); return errSite },
			spending: "", other: "gate 200, 200", err: errSite,
		},
		"a byte, then an error": {
			next:     func(w writer, _ *http.Request) error { return errors.Join(text(w, "a"), errSite) },
			spending: "gate 200, 200, write 1", err: errSite,
		},
		"an error":               {next: func(writer, *http.Request) error { return errSite }, err: errSite},
		"an empty write":         {next: func(w writer, _ *http.Request) error { return text(w, "") }, spending: "gate 200, 200"},
		"empty, then an error":   {next: func(w writer, _ *http.Request) error { return errors.Join(text(w, ""), errSite) }, err: errSite},
		"a flush, then a byte":   {next: func(w writer, _ *http.Request) error { return errors.Join(flush(w), text(w, "a"), flush(w)) }, spending: "gate 200, 200, write 1, flush", other: "gate 200, 200, flush, write 1, flush"},
		"a flush, then an error": {next: func(w writer, _ *http.Request) error { return errors.Join(flush(w), errSite) }, spending: "", other: "gate 200, 200, flush", err: errSite},
		"a flush and no more":    {next: func(w writer, _ *http.Request) error { return flush(w) }, spending: "gate 200, 200", other: "gate 200, 200, flush"},
		"an old flush":           {next: func(w writer, _ *http.Request) error { w.(http.Flusher).Flush(); return text(w, "a") }, spending: "gate 200, 200, write 1", other: "gate 200, 200, flush, write 1"},
		"early hints, a file":    {next: func(w writer, _ *http.Request) error { w.WriteHeader(103); w.WriteHeader(100); return text(w, "a") }, spending: "103, 100, gate 200, 200, write 1"},
		"early hints, an error":  {next: func(w writer, _ *http.Request) error { w.WriteHeader(103); return errSite }, spending: "103", err: errSite},
		"a second status":        {next: func(w writer, _ *http.Request) error { w.WriteHeader(200); w.WriteHeader(404); return text(w, "a") }, spending: "gate 200, 200, write 1"},
		"204":                    {next: func(w writer, _ *http.Request) error { w.WriteHeader(204); return nil }, spending: "gate 204, 204"},
		"206":                    {next: func(w writer, _ *http.Request) error { w.WriteHeader(206); return text(w, "a") }, spending: "gate 206, 206, write 1"},
		"304":                    {next: func(w writer, _ *http.Request) error { w.WriteHeader(304); return nil }, spending: "gate 304, 304"},
		"302, then an error":     {next: func(w writer, _ *http.Request) error { w.WriteHeader(302); return errSite }, spending: "gate 302, 302", err: errSite},
		"404 with a body":        {next: func(w writer, _ *http.Request) error { w.WriteHeader(404); return text(w, "none") }, spending: "gate 404, 404, write 4"},
		"404, flushed":           {next: func(w writer, _ *http.Request) error { w.WriteHeader(404); return flush(w) }, spending: "gate 404, 404, flush"},
		"copied":                 {next: func(w writer, _ *http.Request) error { _, err := io.Copy(w, noWriterTo{"abc"}.reader()); return err }, spending: "gate 200, 200, write 3"},
		"copied, nothing":        {next: func(w writer, _ *http.Request) error { _, err := io.Copy(w, noWriterTo{""}.reader()); return err }, spending: "gate 200, 200"},
		"copied, a read error":   {next: func(w writer, _ *http.Request) error { _, err := io.Copy(w, iotest.ErrReader(errSite)); return err }, err: errSite},
		"copied, broken later":   {next: func(w writer, _ *http.Request) error { _, err := io.Copy(w, brokenLater()); return err }, spending: "gate 200, 200, write 1", err: errSite},
		"copied, slowly":         {next: func(w writer, _ *http.Request) error { _, err := io.Copy(w, &hesitant{}); return err }, spending: "gate 200, 200, write 1"},
		"limited, and all": {next: func(w writer, _ *http.Request) error {
			_, err := io.CopyN(w, noWriterTo{"abc"}.reader(), 3)
			return err
		}, spending: "gate 200, 200, write 3"},
		"limited, and nothing": {next: func(w writer, _ *http.Request) error { _, err := io.CopyN(w, noWriterTo{""}.reader(), 0); return err }, spending: "gate 200, 200"},
		"limited, and broken":  {next: func(w writer, _ *http.Request) error { _, err := io.CopyN(w, iotest.ErrReader(errSite), 3); return err }, err: errSite},
		"limited, and then broken": {
			next:     func(w writer, _ *http.Request) error { _, err := io.CopyN(w, brokenLater(), 3); return err },
			spending: "gate 200, 200, write 1", err: errSite,
		},
		"HEAD": {
			method: http.MethodHead,
			next: func(w writer, _ *http.Request) error {
				w.Header().Set("Content-Length", "10")
				w.WriteHeader(200)
				return nil
			},
			spending: "gate 200, 200",
		},
		"an announced body that is sent": {
			next: func(w writer, _ *http.Request) error {
				w.Header().Set("Content-Length", "1")
				w.WriteHeader(200)
				return text(w, "a")
			},
			spending: "gate 200, 200, write 1",
		},
		"an announced body that is not": {
			next: func(w writer, _ *http.Request) error {
				w.Header().Set("Content-Length", "1")
				w.WriteHeader(200)
				return nil
			},
			spending: "", other: "gate 200, 200",
		},
		"an announced body of nothing": {
			next: func(w writer, _ *http.Request) error {
				w.Header().Set("Content-Length", "0")
				w.WriteHeader(200)
				return nil
			},
			spending: "gate 200, 200",
		},
		"204 that announces a body": {
			next: func(w writer, _ *http.Request) error {
				w.Header().Set("Content-Length", "1")
				w.WriteHeader(204)
				return nil
			},
			spending: "gate 204, 204",
		},
		"no answer": {next: func(writer, *http.Request) error { return nil }},
	} {
		for _, spends := range []bool{true, false} {
			want, method := tt.spending, tt.method
			if !spends && tt.other != "" {
				want = tt.other
			}
			if method == "" {
				method = http.MethodGet
			}
			c := new(client)
			d := &Delivery{Spends: spends}
			panicked, err := deliver(d, c, asking(method, "/a"), tt.next)
			if got := strings.Join(c.events, ", "); got != want {
				t.Errorf("%s, spends %v: %s; want %s", name, spends, got, want)
			}
			wantErr, notSent := tt.err, spends && name == "an announced body that is not"
			if notSent {
				wantErr = errNoBody
			}
			if panicked != nil || !errors.Is(err, wantErr) {
				t.Errorf("%s, spends %v: %v, panic %v", name, spends, err, panicked)
			}
			if sent := strings.Contains(want, "gate"); d.Sent() != sent || d.Failed() != notSent || d.Unanswered() != (name == "no answer") {
				t.Errorf("%s, spends %v: sent %v, failed %v, unanswered %v", name, spends, d.Sent(), d.Failed(), d.Unanswered())
			}
		}
	}
}

// noWriterTo makes a reader that io.Copy does not ask to write by itself.
type noWriterTo struct{ content string }

func (n noWriterTo) reader() io.Reader { return struct{ io.Reader }{strings.NewReader(n.content)} }

// brokenLater fails after a byte.
func brokenLater() io.Reader {
	return io.MultiReader(strings.NewReader("a"), iotest.ErrReader(errSite))
}

// hesitant has a byte and an end, and says nothing before each.
type hesitant struct{ asked int }

func (h *hesitant) Read(p []byte) (int, error) {
	h.asked++
	switch h.asked {
	case 1, 2, 4:
		return 0, nil
	case 3:
		p[0] = 'a'
		return 1, nil
	}
	return 0, io.EOF
}

// TestDeliveryStopped: what the gate refuses, or a later handler has done to the
// request, keeps all of the answer back.
func TestDeliveryStopped(t *testing.T) {
	type writer = http.ResponseWriter
	serve := func(w writer, _ *http.Request) error {
		w.WriteHeader(200)
		if _, err := io.WriteString(w, "planted"); err == nil {
			return errors.New("it was written")
		}
		return nil
	}
	elsewhere := func(path string) func(writer, *http.Request) error {
		return func(w writer, r *http.Request) error { r.URL.Path = path; return serve(w, r) }
	}
	for name, tt := range map[string]struct {
		gate     error
		next     func(w writer, r *http.Request) error
		panics   any
		stopped  error
		status   int // of the error for Caddy; 0: it is the gate's own
		notAsked bool
	}{
		"refused":                     {gate: errGate, next: serve, stopped: errGate},
		"refused, copied":             {gate: errGate, next: func(w writer, _ *http.Request) error { _, _ = io.Copy(w, noWriterTo{"planted"}.reader()); return nil }, stopped: errGate},
		"refused, flushed":            {gate: errGate, next: func(w writer, r *http.Request) error { _ = serve(w, r); return http.NewResponseController(w).Flush() }, stopped: errGate},
		"refused, and another status": {gate: errGate, next: func(w writer, r *http.Request) error { _ = serve(w, r); w.WriteHeader(302); return nil }, stopped: errGate},
		"refused, and empty":          {gate: errGate, next: func(w writer, r *http.Request) error { w.WriteHeader(200); return nil }, stopped: errGate},
		"refused, 404":                {gate: errGate, next: func(w writer, r *http.Request) error { w.WriteHeader(404); return nil }, stopped: errGate},
		"refused, and aborted":        {gate: errGate, next: func(w writer, r *http.Request) error { _ = serve(w, r); panic(http.ErrAbortHandler) }, stopped: errGate},
		"refused, and a panic":        {gate: errGate, next: func(w writer, r *http.Request) error { _ = serve(w, r); panic(errSite) }, panics: errSite, stopped: errGate},
		"refused, and an error":       {gate: errGate, next: func(w writer, r *http.Request) error { _ = serve(w, r); return errSite }, stopped: errGate},
		"another file":                {next: elsewhere("/other"), stopped: errOtherFile, status: 500, notAsked: true},
		"a file with the same end":    {next: elsewhere("/xdir/a"), stopped: errOtherFile, status: 500, notAsked: true},
		"a file above":                {next: elsewhere("/pub/dir/a/b"), stopped: errOtherFile, status: 500, notAsked: true},
		"a name with the same end":    {next: elsewhere("ir/a"), stopped: errOtherFile, status: 500, notAsked: true},
		"an announced body, and none": {next: func(w writer, _ *http.Request) error {
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(200)
			return nil
		}, stopped: errNoBody, status: 500, notAsked: true},
		"101": {next: func(w writer, _ *http.Request) error { w.WriteHeader(101); return nil }, stopped: errSwitch, status: 502, notAsked: true},
		"101, then a body": {next: func(w writer, _ *http.Request) error {
			w.WriteHeader(101)
			_, _ = io.WriteString(w, "planted")
			return nil
		}, stopped: errSwitch, status: 502, notAsked: true},
		"101, then an empty write": {next: func(w writer, _ *http.Request) error { w.WriteHeader(101); _, _ = w.Write(nil); return nil }, stopped: errSwitch, status: 502, notAsked: true},
		"a hijack":                 {next: func(w writer, _ *http.Request) error { _, _, _ = http.NewResponseController(w).Hijack(); return nil }, stopped: errSwitch, status: 502, notAsked: true},
		"a hijack, then an abort": {next: func(w writer, _ *http.Request) error {
			_, _, _ = http.NewResponseController(w).Hijack()
			panic(http.ErrAbortHandler)
		}, stopped: errSwitch, status: 502, notAsked: true},
		"a panic":                {next: func(writer, *http.Request) error { panic(errSite) }, panics: errSite, notAsked: true},
		"an abort":               {next: func(writer, *http.Request) error { panic(http.ErrAbortHandler) }, panics: http.ErrAbortHandler, notAsked: true},
		"a header, then a panic": {next: func(w writer, _ *http.Request) error { w.WriteHeader(200); panic(errSite) }, panics: errSite, notAsked: true},
		"an upstream that has switched": {next: func(_ writer, r *http.Request) error {
			replacer(r).Set("http.reverse_proxy.status_code", 101)
			return nil
		}, stopped: errSwitch, status: 502, notAsked: true},
	} {
		c := new(client)
		g := &fakeGate{client: c, errs: []error{tt.gate}}
		d := &Delivery{Gate: g, Spends: true}
		panicked, err := deliver(d, c, asking(http.MethodGet, "/pub/dir/a"), func(w http.ResponseWriter, r *http.Request) error {
			for _, field := range []string{"Etag", "Content-Type", "Content-Range", "Last-Modified", "Vary", "Cache-Control", "Location"} {
				w.Header().Set(field, "planted")
			}
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "test")
			return tt.next(w, r)
		})
		if panicked != tt.panics || d.Stopped() != tt.stopped || d.Sent() {
			t.Errorf("%s: panic %v, stopped by %v, sent %v", name, panicked, d.Stopped(), d.Sent())
		}
		var failure caddyhttp.HandlerError
		switch {
		case tt.panics != nil:
		case tt.status == 0 && err != tt.stopped:
			t.Errorf("%s: %v", name, err)
		case tt.status != 0 && (!errors.As(err, &failure) || failure.StatusCode != tt.status || !errors.Is(err, tt.stopped)):
			t.Errorf("%s: %v", name, err)
		}
		if asked := g.asked > 0; asked == tt.notAsked || len(c.events) > g.asked {
			t.Errorf("%s: %q", name, c.events)
		}
		if tt.panics != nil {
			continue
		}
		for field, values := range c.header {
			if strings.Contains(strings.Join(values, ","), "planted") || d.Failed() && (field == "Upgrade" || field == "Connection") {
				t.Errorf("%s: what is said of the other answer is left: %s %q", name, field, values)
			}
		}
		if d.Failed() && c.header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s: the error may be kept: %v", name, c.header)
		}
	}
}

func replacer(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// TestDeliveryBehindHandlePath: a later handler may take off what stands in front.
func TestDeliveryBehindHandlePath(t *testing.T) {
	for _, path := range []string{"/pub/dir/a", "/dir/a", "/a"} {
		c := new(client)
		_, err := deliver(&Delivery{Spends: true}, c, asking(http.MethodGet, "/pub/dir/a"), func(w http.ResponseWriter, r *http.Request) error {
			r.URL.Path = path
			_, err := io.WriteString(w, "a")
			return err
		})
		if err != nil || c.body.String() != "a" {
			t.Errorf("%s: %v, %q", path, err, c.events)
		}
	}
}

// TestDeliveryAfterAPanic: a panic after the first byte stays one.
func TestDeliveryAfterAPanic(t *testing.T) {
	c := new(client)
	d := &Delivery{Spends: true}
	panicked, _ := deliver(d, c, asking(http.MethodGet, "/a"), func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "a")
		panic(http.ErrAbortHandler)
	})
	if panicked != http.ErrAbortHandler || !d.Sent() {
		t.Errorf("%v, %q", panicked, c.events)
	}
	if d.Hijack(); d.Stopped() != nil {
		t.Errorf("what was sent counts as stopped: %v", d.Stopped())
	}
}

// TestDeliveryOfPartsThatAreNone: the next handlers are asked for the whole instead,
// once, with the request as it was.
func TestDeliveryOfPartsThatAreNone(t *testing.T) {
	for name, errs := range map[string][]error{"": {ErrPartial}, "refused": {ErrPartial, errGate}, "and again": {ErrPartial, ErrPartial}} {
		c := new(client)
		r := asking(http.MethodGet, "/pub/a?x=1")
		r.Header.Set("Range", "bytes=1-")
		r.Header.Set("If-Range", `"e"`)
		r.Header.Set("Accept", "*/*")
		var ranges, urls []string
		panicked, err := deliver(&Delivery{Gate: &fakeGate{client: c, errs: errs}, Spends: true}, c, r, func(w http.ResponseWriter, r *http.Request) error {
			ranges, urls = append(ranges, r.Header.Get("Range")+r.Header.Get("If-Range")), append(urls, r.URL.String())
			r.URL.Path, r.URL.RawQuery = strings.TrimPrefix(r.URL.Path, "/pub"), "" // as handle_path does
			if r.Header.Get("Range") == "" {
				_, err := io.WriteString(w, "whole")
				return err
			}
			w.Header().Set("Content-Range", "bytes 1-4/5")
			w.WriteHeader(206)
			_, err := io.WriteString(w, "hole")
			return err
		})
		want, events := error(nil), "gate 206, gate 200, 200, write 5"
		if len(errs) > 1 {
			want, events = errs[1], "gate 206, gate 200"
		}
		if panicked != nil || err != want || strings.Join(c.events, ", ") != events {
			t.Errorf("%s: %v, panic %v, %q", name, err, panicked, c.events)
		}
		if !slices.Equal(ranges, []string{`bytes=1-"e"`, ""}) || !slices.Equal(urls, []string{"/pub/a?x=1", "/pub/a?x=1"}) {
			t.Errorf("%s: asked for %q of %q", name, ranges, urls)
		}
		if c.header.Get("Content-Range") != "" {
			t.Errorf("%s: %v", name, c.header)
		}
	}
}

// TestDeliveryToNobody: what a client does not wait for is neither an empty 200 nor a
// refusal.
func TestDeliveryToNobody(t *testing.T) {
	for name, tt := range map[string]struct {
		gate   error
		next   func(w http.ResponseWriter) error
		panics any
	}{
		"no answer":     {next: func(http.ResponseWriter) error { return nil }, panics: http.ErrAbortHandler},
		"refused":       {gate: errGate, next: func(w http.ResponseWriter) error { _, err := io.WriteString(w, "a"); return err }, panics: http.ErrAbortHandler},
		"a panic":       {gate: errGate, next: func(w http.ResponseWriter) error { _, _ = io.WriteString(w, "a"); panic(errSite) }, panics: errSite},
		"an error":      {next: func(http.ResponseWriter) error { return errSite }},
		"a late answer": {next: func(w http.ResponseWriter) error { _, err := io.WriteString(w, "a"); return err }}, // the gate decides
		"an empty write": {next: func(w http.ResponseWriter) error {
			w.Header().Set("Content-Length", "1")
			_, _ = w.Write(nil)
			return nil
		}, panics: http.ErrAbortHandler},
	} {
		c := new(client)
		ctx, cancel := context.WithCancel(context.Background())
		r := asking(http.MethodGet, "/a")
		r = r.WithContext(context.WithValue(ctx, caddy.ReplacerCtxKey, replacer(r)))
		d := &Delivery{Gate: &fakeGate{client: c, errs: []error{tt.gate}}, Spends: true}
		panicked, _ := deliver(d, c, r, func(w http.ResponseWriter, _ *http.Request) error { cancel(); return tt.next(w) })
		if panicked != tt.panics || (c.status != 0) != (name == "a late answer") || d.Unanswered() {
			t.Errorf("%s: panic %v, %q, unanswered %v", name, panicked, c.events, d.Unanswered())
		}
	}
}

// TestDeliveryKeepsDeadlines: a handler can set them, and reach nothing else.
func TestDeliveryKeepsDeadlines(t *testing.T) {
	c := new(client)
	at := time.Unix(1, 0)
	_, err := deliver(new(Delivery), c, asking(http.MethodGet, "/a"), func(w http.ResponseWriter, _ *http.Request) error {
		if _, can := w.(interface{ Unwrap() http.ResponseWriter }); can {
			t.Error("it can be unwrapped")
		}
		if _, can := w.(http.Pusher); can {
			t.Error("it can push")
		}
		control := http.NewResponseController(w)
		return errors.Join(control.SetReadDeadline(at), control.SetWriteDeadline(at.Add(1)))
	})
	if err != nil || c.deadline != [2]time.Time{at, at.Add(1)} {
		t.Errorf("%v, %v", err, c.deadline)
	}
}
