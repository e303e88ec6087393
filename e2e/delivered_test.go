package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(execHandler{}) }

// execHandler runs a command for an event. It stands in for the handler of that name in
// the plugin caddy-events-exec, which the documents name.
type execHandler struct {
	Command string   `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
}

func (execHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.exec", New: func() caddy.Module { return new(execHandler) }}
}

func (e *execHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&e.Command) {
		return d.ArgErr()
	}
	e.Args = d.RemainingArgs()
	return nil
}

func (e *execHandler) Handle(ctx context.Context, _ caddy.Event) error {
	repl := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	args := make([]string, len(e.Args))
	for i, arg := range e.Args {
		args[i] = repl.ReplaceAll(arg, "")
	}
	return exec.CommandContext(ctx, e.Command, args...).Run()
}

// delivered are the lines of that name so far.
func (s *server) delivered() (lines []map[string]any) {
	for _, line := range s.own() {
		if line["msg"] == "delivered" {
			lines = append(lines, line)
		}
	}
	return lines
}

// wantDelivered waits for the next line and compares it.
func (s *server) wantDelivered(link string, sent, distinct int, complete bool) {
	s.t.Helper()
	token := link[strings.Index(link, "eyJ"):]
	var line map[string]any
	s.eventually(func() bool {
		for _, line = range s.delivered() {
			if line["fingerprint"] == fingerprint(token) {
				return true
			}
		}
		return false
	})
	path, _, _ := strings.Cut(link, "?")
	if line["level"] != "info" || line["path"] != path || line["sub"] != "an ear" || line["complete"] != complete ||
		line["bytes_distinct"] != float64(distinct) || sent >= 0 && line["bytes_sent"] != float64(sent) {
		s.t.Errorf("logged %v; want %d bytes, %d distinct, complete %v", line, sent, distinct, complete)
	}
	if took, ok := line["duration"].(float64); !ok || took < 0 || took > patience.Seconds() {
		s.t.Errorf("duration %v", line["duration"])
	}
	for _, line := range s.delivered() {
		if fmt.Sprint(line) == "" || strings.Contains(fmt.Sprint(line), "eyJ") {
			s.t.Errorf("logged %v", line)
		}
	}
}

// forSomebody is a link to a file, for somebody who is named in its token.
func forSomebody(t testing.TB, path string) string {
	t.Helper()
	return path + "?download_token=" + mint(t, claims{"jti": fmt.Sprint(time.Now()), "sub": "an ear"})
}

// TestDelivered: when a one-time download has ended, one line says what became of it.
func TestDelivered(t *testing.T) {
	const size = 8 << 20
	big := random(t, size)
	files := map[string]string{"a.txt": "content of a", "empty": "", "big.bin": big}
	t.Run("once", func(t *testing.T) {
		s := start(t, files, oneTime)
		link := forSomebody(t, "/a.txt")
		s.do(http.MethodHead, link).want(t, http.StatusOK)
		s.get(link, "Range", "bytes=0-3").wantBody(t, "content of a")
		s.wantDelivered(link, 12, 12, true)
		s.get(link).want(t, http.StatusUnauthorized)
		s.get(forSomebody(t, "/gone")).want(t, http.StatusNotFound)
		empty := forSomebody(t, "/empty")
		s.get(empty).wantBody(t, "")
		s.wantDelivered(empty, 0, 0, true)

		cut := forSomebody(t, "/big.bin")
		s.cut(cut, 1000)
		s.eventually(func() bool { return len(s.delivered()) == 3 })
		if line := s.delivered()[2]; line["complete"] != false || line["fingerprint"] != fingerprint(cut[strings.Index(cut, "eyJ"):]) {
			t.Errorf("logged %v", line)
		}
		time.Sleep(100 * time.Millisecond) // more lines would have come
		if lines := s.delivered(); len(lines) != 3 {
			t.Errorf("logged %v", lines)
		}
	})
	t.Run("not with tokens that can be used again", func(t *testing.T) {
		s := start(t, files, strings.Replace(oneTime, "one_time", "", 1))
		s.get(forSomebody(t, "/a.txt")).want(t, http.StatusOK)
		if err := s.reload(oneTime); err != nil { // after which the request has ended
			t.Fatal(err)
		}
		if lines := s.delivered(); len(lines) != 0 {
			t.Errorf("logged %v", lines)
		}
	})
	t.Run("with resume, when the window ends", func(t *testing.T) {
		s := start(t, files, resumable("3s 1"))
		began, link, part := time.Now(), forSomebody(t, "/a.txt"), forSomebody(t, "/big.bin")
		s.get(link, "Range", "bytes=0-3").want(t, http.StatusPartialContent)
		s.get(link, "Range", "bytes=2-11").want(t, http.StatusPartialContent)
		s.get(part, "Range", "bytes=100-199").want(t, http.StatusPartialContent)
		if len(s.delivered()) > 0 && time.Since(began) < 2*time.Second {
			t.Errorf("logged %v", s.delivered())
		}
		if err := s.reload(resumable("4s 1")); err != nil { // the download goes on
			t.Fatal(err)
		}
		s.wantDelivered(link, 14, 12, true)
		s.wantDelivered(part, 100, 100, false)
		if time.Since(began) < 3*time.Second {
			t.Errorf("after %v", time.Since(began))
		}
	})
	t.Run("with resume, when the budget is used up", func(t *testing.T) {
		s := start(t, files, resumable("1h 1"))
		link := forSomebody(t, "/a.txt") // 12 bytes, and 3 more
		s.get(link).want(t, http.StatusOK)
		s.get(link, "Range", "bytes=0-2").want(t, http.StatusPartialContent)
		s.wantDelivered(link, 15, 12, true)
	})
	t.Run("with resume, when the server stops", func(t *testing.T) {
		s := start(t, files, resumable("1h 1"))
		link := forSomebody(t, "/a.txt")
		s.get(link, "Range", "bytes=0-3").want(t, http.StatusPartialContent)
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
		s.wantDelivered(link, 4, 4, false)
	})
}

// cut reads n bytes of an answer and hangs up.
func (s *server) cut(link string, n int) {
	s.t.Helper()
	host := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", link, host)
	if _, err := io.ReadFull(conn, make([]byte, n)); err != nil {
		s.t.Fatal(err)
	}
}

// TestEvents: what the log says once is an event, too; the example of the documents posts
// it to a webhook.
func TestEvents(t *testing.T) {
	tool(t, "curl")
	posted := make(chan url.Values, 10)
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		posted <- r.PostForm
	}))
	defer webhook.Close()
	var example string
	for _, block := range blocksOf(t, "../docs/operations.md") {
		if strings.Contains(block.text, "on download_token_delivered") {
			example = block.text
		}
	}
	_, events, _ := strings.Cut(example, "{\n")
	events = strings.Replace(events[:strings.LastIndex(events, "}")], "https://app.example.com/downloads", webhook.URL, 1)
	if !strings.Contains(events, webhook.URL) {
		t.Fatalf("the example is %q", example)
	}
	others := ""
	for _, event := range []string{"spent", "denied"} {
		others += "on download_token_" + event + ` exec curl -sf -d event={event.name} -d fingerprint={event.data.fingerprint} -d client_ip={event.data.client_ip} -d reason={event.data.reason} -d status={event.data.status} ` + webhook.URL + "\n"
	}
	s := startWith(t, map[string]string{"a b&c.txt": "content"}, strings.Replace(events, "on download", others+"on download", 1), oneTime)
	link := forSomebody(t, "/a%20b&c.txt")
	id := fingerprint(link[strings.Index(link, "eyJ"):])
	s.get(link).want(t, http.StatusOK)
	s.get(link).want(t, http.StatusUnauthorized)
	got := make(map[string]url.Values)
	for range 3 {
		select {
		case form := <-posted:
			got[form.Get("event")] = form
		case <-time.After(patience):
			t.Fatalf("posted %v", got)
		}
	}
	for event, want := range map[string]map[string]string{
		"download_token_spent":     {"fingerprint": id, "client_ip": "127.0.0.1", "reason": ""},
		"download_token_denied":    {"fingerprint": id, "client_ip": "127.0.0.1", "reason": "replayed", "status": "401"},
		"download_token_delivered": {"fingerprint": id, "path": "/a b&c.txt", "sub": "an ear", "complete": "true", "bytes": "7"},
	} {
		for name, value := range want {
			if got[event].Get(name) != value {
				t.Errorf("%s: %s is %q, want %q", event, name, got[event].Get(name), value)
			}
		}
	}
}
