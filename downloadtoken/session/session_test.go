package session

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

const (
	testSecret = "made-up-secret-of-more-than-32-bytes"
	testPath   = "/api/v1/access_tokens/W1"
	app        = "https://app.example"
)

var testNow = time.Unix(1_800_000_000, 0)

// ready provisions a session as far as that needs no Caddy.
func ready(t testing.TB, origins ...string) (*Session, *observer.ObservedLogs) {
	t.Helper()
	key, err := token.NewKey("HS256", []byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	return &Session{
		Origin:   origins,
		logger:   zap.New(core),
		now:      func() time.Time { return testNow },
		verifier: &token.Verifier{Keys: keys},
		rules:    token.Rules{Leeway: 10 * time.Second},
	}, logs
}

type claims = jwt.MapClaims

// mint signs a token for one minute.
func mint(t testing.TB, secret string, c claims) string {
	t.Helper()
	all := claims{"exp": testNow.Unix() + 60}
	for name, value := range c {
		all[name] = value
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func put(token string) string { return `{"accessToken": "` + token + `"}` }

// ask sends a request to the handler; what it passes on is answered with 299.
func ask(t testing.TB, s *Session, method, target, body string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://files.example"+target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(299)
		return nil
	})
	if err := s.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil), next); err != nil {
		t.Fatal(err)
	}
	return w.Result()
}

func TestBegin(t *testing.T) {
	good, large := mint(t, testSecret, nil), mint(t, testSecret, claims{"x": strings.Repeat("x", 3000)})
	const invalid, expired, request, size = "access_token_invalid", "access_token_expired", "invalid_request", "too_large"
	for _, tt := range []struct {
		name, query, body string
		status            int
		code              string
		cookie            bool
	}{
		{"a token", "", put(good), 200, "", true},
		{"a member for SDKs to come", "", `{"x": 1, "accessToken": "` + good + `"}`, 200, "", true},
		{"set-cookie", "?set-cookie=true", put(good), 200, "", true},
		{"no cookie", "?set-cookie=false", put(good), 200, "", false},
		{"set-cookie maybe", "?set-cookie=maybe", put(good), 400, request, false},
		{"set-cookie empty", "?set-cookie=", put(good), 400, request, false},
		{"set-cookie twice", "?set-cookie=true&set-cookie=true", put(good), 400, request, false},
		{"this account", "", put(mint(t, testSecret, claims{"accountId": "W1"})), 200, "", true},
		{"another account", "", put(mint(t, testSecret, claims{"accountId": "W2"})), 403, invalid, false},
		{"an account of a type", "", put(mint(t, testSecret, claims{"accountId": 1})), 403, invalid, false},
		{"another key", "", put(mint(t, testSecret+"x", nil)), 403, invalid, false},
		{"an audience", "", put(mint(t, testSecret, claims{"aud": "x"})), 403, invalid, false},
		{"no token at all", "", put("x"), 403, invalid, false},
		{"expired", "", put(mint(t, testSecret, claims{"exp": testNow.Unix() - 60})), 403, expired, false},
		{"expired, within the leeway", "", put(mint(t, testSecret, claims{"exp": testNow.Unix() - 3})), 403, expired, false},
		{"within this second", "", put(mint(t, testSecret, claims{"exp": float64(testNow.Unix()) + .5})), 403, expired, false},
		{"the last second", "", put(mint(t, testSecret, claims{"exp": testNow.Unix() + 1})), 200, "", true},
		{"no body", "", "", 400, request, false},
		{"no member", "", `{}`, 400, request, false},
		{"an empty one", "", put(""), 400, request, false},
		{"no JSON", "", good, 400, request, false},
		{"twice", "", `{"accessToken": "a", "accessToken": "` + good + `"}`, 400, request, false},
		{"another case", "", `{"accesstoken": "` + good + `"}`, 400, request, false},
		{"a number", "", `{"accessToken": 1}`, 400, request, false},
		{"more than JSON", "", put(good) + "x", 400, request, false},
		{"a large body", "", put(strings.Repeat("x", maxBody)), 413, size, false},
		{"too large for a cookie", "", put(large), 413, size, false},
		{"large, without a cookie", "?set-cookie=false", put(large), 200, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, logs := ready(t)
			a := ask(t, s, http.MethodPut, testPath+tt.query, tt.body)
			var got struct {
				AccessToken string `json:"accessToken"`
				TTLSeconds  int    `json:"ttlSeconds"`
				Error       struct {
					Code    string `json:"code"`
					Message string `json:"message"`
				} `json:"error"`
			}
			if err := json.UnmarshalRead(a.Body, &got); err != nil || a.StatusCode != tt.status || got.Error.Code != tt.code {
				t.Fatalf("%v: %d %q", err, a.StatusCode, got.Error.Code)
			}
			if (tt.code != "") != (got.Error.Message != "") || (tt.code == "") != (got.AccessToken != "" && got.TTLSeconds > 0) {
				t.Errorf("%+v", got)
			}
			if cookies := a.Cookies(); (len(cookies) == 1) != tt.cookie || tt.cookie && cookies[0].MaxAge != got.TTLSeconds {
				t.Errorf("cookies %v, ttl %d", cookies, got.TTLSeconds)
			}
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%v", a.Header)
			}
			if logs.Len() != 1 {
				t.Fatalf("%d lines in the log", logs.Len())
			}
			line := logs.All()[0]
			if reason := line.ContextMap()["reason"]; tt.code != "" && reason != tt.code {
				t.Errorf("logged as %v", reason)
			}
		})
	}
}

// TestMethods: what is no session is passed on, and what is one never.
func TestMethods(t *testing.T) {
	s, _ := ready(t, app)
	for _, tt := range []struct {
		method, target string
		status         int
		allow          string
	}{
		{"DELETE", testPath, 204, ""},
		{"OPTIONS", testPath, 204, allowed},
		{"GET", testPath, 405, allowed},
		{"POST", testPath, 405, allowed},
		{"DELETE", "/base" + testPath, 204, ""},
		{"DELETE", testPath + "/", 299, ""},
		{"DELETE", "/api/v1/access_tokens/", 299, ""},
		{"DELETE", "/api/v1/access_tokens/a%3Bb", 299, ""},
		{"DELETE", "/api/v1/access_tokens/" + strings.Repeat("a", 65), 299, ""},
	} {
		a := ask(t, s, tt.method, tt.target, "")
		if a.StatusCode != tt.status || a.Header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, Allow %q", tt.method, tt.target, a.StatusCode, a.Header.Get("Allow"))
		}
	}
}

// TestCookie is how browsers are told to keep it, and to forget it.
func TestCookie(t *testing.T) {
	for _, tt := range []struct {
		origins  []string
		sameSite http.SameSite
	}{{nil, http.SameSiteLaxMode}, {[]string{app}, http.SameSiteNoneMode}} {
		s, _ := ready(t, tt.origins...)
		text := mint(t, testSecret, nil)
		begun := ask(t, s, http.MethodPut, testPath, put(text)).Cookies()
		ended := ask(t, s, http.MethodDelete, testPath, "").Cookies()
		if len(begun) != 1 || len(ended) != 1 || begun[0].Value != text || begun[0].MaxAge != 60 || ended[0].Value != "" || ended[0].MaxAge != -1 {
			t.Fatalf("%v, %v", begun, ended)
		}
		for _, c := range []*http.Cookie{begun[0], ended[0]} {
			if c.Name != "access-token-W1" || c.Path != "/" || c.Domain != "" || !c.Secure || !c.HttpOnly || c.SameSite != tt.sameSite {
				t.Errorf("%v", c)
			}
		}
	}
}
