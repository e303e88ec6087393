package redact

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// The parts of the token that the tests hide, and what logs may have of it.
var (
	header    = encode(`{"alg":"HS256","typ":"JWT"}`)
	payload   = encode(`{"exp":1800000000,"jti":"planted-nonce","scope":"file:report.pdf"}`)
	signature = encode("thirty-two bytes of a signature.")
	planted   = header + "." + payload + "." + signature
	printed   = "jwt:" + token.FingerprintOf(planted).String()
)

func provisioned(t testing.TB, e *Encoder) *Encoder {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := e.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := e.ConfigureDefaultFormat(caddy.DiscardWriter{}); err != nil {
		t.Fatal(err)
	}
	return e
}

func line(t testing.TB, e zapcore.Encoder, entry zapcore.Entry, fields ...zapcore.Field) string {
	t.Helper()
	b, err := e.EncodeEntry(entry, fields)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	return b.String()
}

type stringer struct{}

func (stringer) String() string { return "at " + planted }

// request is one with the token wherever a client can put it.
func request(target string) caddyhttp.LoggableHTTPRequest {
	r, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
	if err != nil {
		panic(err)
	}
	r.RequestURI = target
	r.Header.Set("Referer", "http://localhost/?download_token="+planted)
	r.Header["X-Token"] = []string{"a", planted}
	r.AddCookie(&http.Cookie{Name: "session", Value: planted})
	r.Header.Set("Authorization", "Bearer "+planted)
	return caddyhttp.LoggableHTTPRequest{Request: r, ShouldLogCredentials: true}
}

var fields = []zapcore.Field{
	zap.String("string", planted),
	zap.Strings("strings", []string{"a", planted}),
	zap.ByteString("bytes", []byte(planted)),
	zap.Stringer("stringer", stringer{}),
	zap.Error(fmt.Errorf("dial: %w", &url.Error{Op: "Get", URL: "http://localhost/?t=" + planted, Err: errors.New("refused")})),
	zap.Errors("errors", []error{errors.New(planted), errors.New("other")}),
	zap.Reflect("reflect", map[string]any{"a": []any{1, planted}, planted: "name"}),
	zap.Any("any", struct{ URL, HTML string }{planted, "<a href=?a&t=" + planted + "&b>"}),
	zap.Object("request", request("/a.txt?download_token="+planted+"&x=1")),
	zap.Inline(request("/b.txt?token=" + planted)),
	zap.Dict("dict", zap.Dict("inner", zap.String("a", planted))),
	zap.Objects("objects", []caddyhttp.LoggableHTTPRequest{request("/c.txt")}),
	zap.Namespace("namespace"),
	zap.String(planted, "as a name"),
	zap.String("inside", planted),
}

// TestEncoderKnowsEveryField: no kind of field, and nothing else of a line, has the
// token, whichever encoder writes it, and the rest of the line stays.
func TestEncoderKnowsEveryField(t *testing.T) {
	entry := zapcore.Entry{LoggerName: "log." + planted, Message: "asked for " + planted, Stack: "at " + planted,
		Caller: zapcore.EntryCaller{Defined: true, File: planted, Line: 1}}
	for name, raw := range map[string]string{
		"default": "", "json": `{"format":"json"}`, "console": `{"format":"console"}`, "append": `{"format":"append","fields":{"a":"` + planted + `"}}`,
		"filter": `{"format":"filter","fields":{"request>uri":{"filter":"query","actions":[]}}}`, "itself": `{"format":"redact_jwt"}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := new(Encoder)
			if raw != "" {
				e.WrappedRaw = json.RawMessage(raw)
			}
			encoder := provisioned(t, e).Clone()
			for _, field := range []zapcore.Field{zap.String("with", planted), zap.Object("with", request("/with"))} {
				field.AddTo(encoder)
			}
			got := line(t, encoder, entry, fields...)
			for _, part := range []string{payload, signature} {
				if at := strings.Index(got, part); at >= 0 {
					t.Errorf("the token is in %q", got[:at+10])
				}
			}
			for _, want := range []string{"asked for " + printed, "/a.txt?download_token=" + printed + "&x=1", `"as a name"`, "Bearer " + printed} {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in %s", want, got)
				}
			}
			if strings.HasPrefix(got, "{") && !json.Valid([]byte(got)) {
				t.Errorf("not JSON: %s", got)
			}
		})
	}
}

// TestEncoderKeepsALineWithoutAToken byte by byte.
func TestEncoderKeepsALineWithoutAToken(t *testing.T) {
	entry := zapcore.Entry{Message: "handled \xff request {\"eyJ\": \x00}", Time: time.Unix(1800000000, 5)}
	r := browser("/a%20b.txt?x=%2E")
	r.Header = nil // its order changes
	fields := []zapcore.Field{zap.Object("request", r), zap.String("header", header), zap.Binary("binary", []byte{0xc3, '.'})}
	plain := new(logging.JSONEncoder)
	if err := plain.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	e := provisioned(t, new(Encoder))
	for range 2 { // clones do not add up
		if got, want := line(t, e, entry, fields...), line(t, plain, entry, fields...); got != want {
			t.Errorf("%s became %s", want, got)
		}
	}
}

// TestFilterKnowsEveryField: it gets each kind as a field, too.
func TestFilterKnowsEveryField(t *testing.T) {
	plain := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
	more := []zapcore.Field{zap.Int("int", 5), zap.Time("time", time.Now()), zap.Duration("duration", 5), zap.Bool("bool", true), zap.Skip(),
		zap.Reflect("nil", nil), zap.Binary("binary", []byte{1}), zap.Strings("strings", []string{"a"}), zap.NamedError("error", nil)}
	for _, field := range more {
		if got, want := line(t, plain, zapcore.Entry{}, new(Filter).Filter(field)), line(t, plain, zapcore.Entry{}, field); got != want {
			t.Errorf("%s became %s", want, got)
		}
	}
	for _, field := range append(fields, zap.NamedError("error", fmt.Errorf("a %s", planted)), zap.Reflect("unknown", func() {})) {
		got := line(t, plain, zapcore.Entry{}, new(Filter).Filter(field))
		if strings.Contains(got, payload) || strings.Contains(got, signature) || !json.Valid([]byte(got)) {
			if field.Key != planted {
				t.Errorf("%s: %s", field.Key, got)
			}
		}
		if field.Type != zapcore.NamespaceType && field.Type != zapcore.InlineMarshalerType && field.Key != "unknown" && field.Key != planted && !strings.Contains(got, printed) {
			t.Errorf("%s: no fingerprint in %s", field.Key, got)
		}
	}
	binary := new(Filter).Filter(zap.Binary("binary", []byte("t="+planted)))
	if got := string(binary.Interface.([]byte)); got != "t="+printed {
		t.Errorf("binary %q", got)
	}
}

// browser is what Caddy logs of a request of a browser.
func browser(target string) caddyhttp.LoggableHTTPRequest {
	r, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
	if err != nil {
		panic(err)
	}
	r.RequestURI, r.RemoteAddr, r.Host = target, "203.0.113.7:50123", "downloads.example.com"
	for name, value := range map[string]string{
		"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br, zstd",
		"Accept-Language": "en-GB,en;q=0.9,de;q=0.8", "Referer": "https://downloads.example.com/catalogue/report.html", "Sec-Fetch-Site": "same-origin",
		"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Ch-Ua": `"Chromium";v="140", "Not=A?Brand";v="24"`,
		"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
	} {
		r.Header.Set(name, value)
	}
	return caddyhttp.LoggableHTTPRequest{Request: r}
}

func BenchmarkLine(b *testing.B) {
	entry := zapcore.Entry{LoggerName: "http.log.access", Message: "handled request", Time: time.Now()}
	about := func(target string) []zapcore.Field {
		return []zapcore.Field{zap.Object("request", browser(target)), zap.Int("bytes_read", 0), zap.String("user_id", ""),
			zap.Duration("duration", time.Millisecond), zap.Int("size", 10322), zap.Int("status", 200),
			zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: http.Header{"Server": {"Caddy"}, "Etag": {`"d8qt3wz3pc1g7yq"`}, "Content-Length": {"10322"},
				"Last-Modified": {"Fri, 27 Nov 2026 08:00:00 GMT"}, "Accept-Ranges": {"bytes"}, "Referrer-Policy": {"no-referrer"}}})}
	}
	plain := new(logging.JSONEncoder)
	if err := plain.Provision(caddy.Context{}); err != nil {
		b.Fatal(err)
	}
	for name, target := range map[string]string{"without": "/reports/2026/q3.pdf?page=2", "escapes": "/reports/r%C3%A9sum%C3%A9%20eyes.pdf?q=a%2Eb", "token": "/reports/2026/q3.pdf?download_token=" + planted} {
		text := line(b, plain, entry, about(target)...)
		b.Run("search/"+name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				token.Redact(text)
			}
		})
		for kind, e := range map[string]zapcore.Encoder{"json": plain, "redact_jwt": provisioned(b, new(Encoder))} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				fields := about(target)
				b.ReportAllocs()
				for b.Loop() {
					buf, err := e.EncodeEntry(entry, fields)
					if err != nil {
						b.Fatal(err)
					}
					buf.Free()
				}
			})
		}
	}
}

// TestFilterInsideCaddysFilter: what Caddy's filter encoder hands over, and takes back.
func TestFilterInsideCaddysFilter(t *testing.T) {
	filter := `{"filter":"redact_jwt"}`
	e := provisioned(t, &Encoder{WrappedRaw: json.RawMessage(`{"format":"filter","fields":{"request>uri":` + filter + `,"request>headers>X-Token":` + filter +
		`,"request>headers>Referer":` + filter + `,"resp_headers":` + filter + `,"strings":` + filter + `,"bytes":` + filter + `}}`)})
	r := request("/a.txt?t=" + planted)
	r.ShouldLogCredentials = false
	got := line(t, e.Encoder, zapcore.Entry{Message: "m"}, zap.Object("request", r), zap.Strings("strings", []string{"b", planted}), zap.ByteString("bytes", []byte("text")),
		zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: http.Header{"Location": {"/?t=" + planted, "other"}}}))
	for _, want := range []string{`"uri":"/a.txt?t=` + printed + `"`, `"X-Token":["a","` + printed + `"]`, `"strings":["b","` + printed + `"]`,
		`"resp_headers":{"Location":["/?t=` + printed + `","other"]}`, `"Referer":["http://localhost/?download_token=` + printed + `"]`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, payload) || !json.Valid([]byte(got)) {
		t.Errorf("a token in %s", got)
	}
}

// TestWrongLines: an error says what to write instead.
func TestWrongLines(t *testing.T) {
	for _, lines := range []string{"redact_jwt console", "redact_jwt {\nwrap\n}", "redact_jwt {\nwarp json\n}"} {
		err := new(Encoder).UnmarshalCaddyfile(caddyfile.NewTestDispenser(lines))
		if err == nil || !strings.Contains(err.Error(), "such as: wrap console") {
			t.Errorf("%q: %v", lines, err)
		}
	}
}
