package downloadtoken_test

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

// connection is a client that notes what may not be done with it.
type connection struct {
	*httptest.ResponseRecorder
	misused []string
}

func (c *connection) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c.misused = append(c.misused, "hijacked")
	return nil, nil, errors.New("hijacked")
}

func (c *connection) Push(string, *http.PushOptions) error {
	c.misused = append(c.misused, "pushed")
	return nil
}

func (c *connection) WriteHeader(status int) {
	if status < 200 {
		c.misused = append(c.misused, http.StatusText(status))
		return
	}
	c.ResponseRecorder.WriteHeader(status)
}

func (c *connection) SetWriteDeadline(time.Time) error { return nil }

// attempts are what a later handler may try to get more out of one request.
var attempts = map[string]func(w http.ResponseWriter) error{
	"101":    func(w http.ResponseWriter) error { w.WriteHeader(http.StatusSwitchingProtocols); return nil },
	"hijack": func(w http.ResponseWriter) error { _, _, _ = http.NewResponseController(w).Hijack(); return nil },
	"101, then hijack": func(w http.ResponseWriter) error {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "test")
		w.WriteHeader(http.StatusSwitchingProtocols)
		_, _, err := http.NewResponseController(w).Hijack()
		if !errors.Is(err, http.ErrNotSupported) {
			return errors.New("reverse_proxy would not understand this refusal")
		}
		return nil
	},
	"hijack, then an answer": func(w http.ResponseWriter) error {
		_, _, _ = http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(w, "planted")
		return nil
	},
}

// TestOneTokenIsOneRequest: no later handler gets at the connection.
func TestOneTokenIsOneRequest(t *testing.T) {
	for mode, oneTime := range map[string]*downloadtoken.OneTime{"time-limited": nil, "one-time": {}, "resumable": {Resume: &downloadtoken.Resume{Window: caddy.Duration(time.Minute)}}} {
		h := &downloadtoken.Handler{
			Config:   verification.Config{Key: []verification.TrustedKey{{Alg: "HS256", Key: hmacSecret}}, MaxTTL: caddy.Duration(time.Hour)},
			ScopeRaw: []json.RawMessage{[]byte(`{"type": "any"}`)},
			OneTime:  oneTime,
		}
		provision(t, h)
		target := func() string {
			token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
				"jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(), "iat": float64(time.Now().UnixMicro()) / 1e6,
			}).SignedString([]byte(hmacSecret))
			if err != nil {
				t.Fatal(err)
			}
			return "/a.txt?download_token=" + token
		}
		for name, attempt := range attempts {
			t.Run(mode+"/"+name, func(t *testing.T) {
				link := target()
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					c := &connection{ResponseRecorder: httptest.NewRecorder()}
					r := request(c, link)
					r.Method = method
					err := h.ServeHTTP(c, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
						if _, can := w.(http.Pusher); can {
							t.Error("it can push")
						}
						if http.NewResponseController(w).SetWriteDeadline(time.Time{}) != nil {
							t.Error("it has no deadlines")
						}
						for {
							unwrapper, can := w.(interface{ Unwrap() http.ResponseWriter })
							if !can {
								break
							}
							w = unwrapper.Unwrap()
						}
						return attempt(w)
					}))
					var failure caddyhttp.HandlerError
					if !errors.As(err, &failure) || failure.StatusCode != http.StatusBadGateway {
						t.Errorf("%s: %v", method, err)
					}
					if len(c.misused) > 0 || c.Body.Len() > 0 || c.Header().Get("Upgrade")+c.Header().Get("Connection") != "" {
						t.Errorf("%s: %q, body %q, %v", method, c.misused, c.Body, c.Header())
					}
				}
				c := &connection{ResponseRecorder: httptest.NewRecorder()}
				if err := h.ServeHTTP(c, request(c, link), ok); err != nil || c.Body.String() != "x" {
					t.Errorf("the token was spent: %v, %d %q", err, c.Code, c.Body)
				}
			})
		}
	}
}

// TestPreflightsGetAWriterOfTheirOwn: whatever the next handlers do, 204 and CORS
// fields are all that comes of it.
func TestPreflightsGetAWriterOfTheirOwn(t *testing.T) {
	const origin = "Access-Control-Allow-Origin"
	h := &downloadtoken.Handler{
		Config:   verification.Config{Key: []verification.TrustedKey{{Alg: "HS256", Key: hmacSecret}}},
		ScopeRaw: []json.RawMessage{[]byte(`{"type": "any"}`)},
	}
	provision(t, h)
	for name, tt := range map[string]struct {
		next   func(w http.ResponseWriter, r *http.Request) error
		origin string
	}{
		"nothing":            {func(http.ResponseWriter, *http.Request) error { return nil }, "before"},
		"an answer":          {func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(200); return nil }, "behind"},
		"a body":             {func(w http.ResponseWriter, _ *http.Request) error { _, err := io.WriteString(w, "OK"); return err }, "behind"},
		"a flush first":      {func(w http.ResponseWriter, _ *http.Request) error { return http.NewResponseController(w).Flush() }, "behind"},
		"early hints":        {func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(103); return nil }, "before"},
		"an error":           {func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(502, nil) }, "before"},
		"an answer of 404":   {func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(404); return nil }, "before"},
		"101, then a hijack": {attemptOf("101, then hijack"), "before"},
		"a trailer": {func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Trailer", "Planted")
			w.WriteHeader(200)
			w.Header().Set("Planted", "planted")
			w.Header().Set(http.TrailerPrefix+"Planted", "planted")
			w.Header().Set("Access-Control-Planted", "planted")
			return nil
		}, "behind"},
		"no end": {func(w http.ResponseWriter, _ *http.Request) error {
			for range 100 {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					panic(http.ErrAbortHandler) // as reverse_proxy does
				}
			}
			t.Error("100 KiB were read")
			return nil
		}, "behind"},
		"the request's body": {func(w http.ResponseWriter, r *http.Request) error {
			if body, _ := io.ReadAll(r.Body); len(body) > 0 || r.ContentLength != 0 || r.Header.Get("Upgrade") != "" {
				t.Errorf("the next handler is asked for %q, %d bytes, %v", body, r.ContentLength, r.Header)
			}
			return nil
		}, "before"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &connection{ResponseRecorder: httptest.NewRecorder()}
			c.Header().Set(origin, "before")
			c.Header().Set("X-Site", "site")
			r := request(c, "/a.txt")
			r.Method, r.Body, r.ContentLength = http.MethodOptions, io.NopCloser(strings.NewReader("planted")), 7
			r.Header = http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"GET"}, "Connection": {"Upgrade"}, "Upgrade": {"test"}}
			err := h.ServeHTTP(c, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				if _, can := w.(interface{ Unwrap() http.ResponseWriter }); can {
					t.Error("it can be unwrapped")
				}
				w.Header().Set(origin, "behind")
				w.Header().Set("Etag", `"planted"`)
				w.Header().Set("X-Site", "planted")
				return tt.next(w, r)
			}))
			if err != nil || c.Code != http.StatusNoContent || c.Body.Len() > 0 || c.Flushed || len(c.misused) > 0 {
				t.Errorf("%v, status %d, %d bytes, flushed %v, %q", err, c.Code, c.Body.Len(), c.Flushed, c.misused)
			}
			want := http.Header{origin: {tt.origin}, "X-Site": {"site"}, "Referrer-Policy": {"no-referrer"}}
			for name, values := range c.Header() {
				if strings.Join(values, ",") != strings.Join(want[name], ",") {
					t.Errorf("%s: %q, want %q", name, values, want[name])
				}
			}
			if got := c.Header().Get(origin); got != tt.origin {
				t.Errorf("%s %q, want %q", origin, got, tt.origin)
			}
		})
	}
}

func attemptOf(name string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error { return attempts[name](w) }
}
