package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const sessionPath = "/api/v1/access_tokens/" + account

// uploadToken signs a token as an application of Upload's customers would.
func uploadToken(t testing.TB, private string, c claims) string {
	t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(private))
	if err != nil {
		t.Fatal(err)
	}
	all := claims{
		"sub": "user-xyz", "iat": time.Now().Unix(),
		"access": access(entry("/users/user-xyz", "Children", []string{"raw"}, false)),
	}
	for name, value := range c {
		all[name] = value
	}
	return mintWith(t, jwt.SigningMethodRS256, key, all)
}

// send is do with a body.
func (s *server) send(method, target, body string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(text)}
}

// wantCode checks the body of a refusal, in the vendor's form.
func (a answer) wantCode(t testing.TB, status int, code string) {
	t.Helper()
	a.want(t, status)
	var refused struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &refused); err != nil || refused.Error.Code != code || refused.Error.Message == "" {
		t.Errorf("%v: %q, want code %s", err, a.body, code)
	}
	if len(a.Header.Values("Set-Cookie")) > 0 {
		t.Errorf("a refusal sets %q", a.Header.Values("Set-Cookie"))
	}
}

func putBody(token string) string { return `{"accessToken": "` + token + `"}` }

func TestSession(t *testing.T) {
	const origin = "https://app.example.com"
	t.Setenv("UPLOAD_ORIGIN", origin)
	s, private := uploadServer(t)
	token := uploadToken(t, private, claims{"accountId": account})
	const file = "/" + account + "/raw/users/user-xyz/a.jpg"

	t.Run("begin, use, end", func(t *testing.T) {
		s.t = t
		a := s.send(http.MethodPut, sessionPath+"?set-cookie=true", putBody(token), "Origin", origin, "Content-Type", "application/json").want(t, http.StatusOK)
		var got struct {
			AccessToken string
			TTLSeconds  int
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.AccessToken != token || got.TTLSeconds < 50 || got.TTLSeconds > 60 {
			t.Errorf("%v: %+v", err, got)
		}
		cookies := a.Cookies()
		if len(cookies) != 1 {
			t.Fatalf("cookies %v", cookies)
		}
		c := cookies[0]
		if c.Name != "access-token-"+account || c.Value != token || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteNoneMode ||
			c.Path != "/" || c.Domain != "" || c.MaxAge != got.TTLSeconds {
			t.Errorf("cookie %+v", c)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "application/json",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		s.get(file, "Cookie", c.Name+"="+c.Value).want(t, http.StatusOK)

		end := s.do(http.MethodDelete, sessionPath+"?set-cookie=true", "Origin", origin).want(t, http.StatusNoContent)
		gone := end.Cookies()
		if len(gone) != 1 || gone[0].Name != c.Name || gone[0].Value != "" || gone[0].MaxAge != -1 || // "Max-Age=0"
			!gone[0].Secure || !gone[0].HttpOnly || gone[0].SameSite != c.SameSite || gone[0].Path != c.Path {
			t.Errorf("cookie %+v", gone)
		}
	})
	t.Run("a cookie that somebody else has planted", func(t *testing.T) {
		s.t = t
		name := "access-token-" + account + "="
		planted := uploadToken(t, private, claims{"sub": "mallory", "access": access(entry("/users/mallory", "Children", []string{"raw"}, false))})
		s.get(file, "Cookie", name+planted).want(t, http.StatusForbidden)
		for _, cookie := range []string{name + planted + "; " + name + token, name + token + "; " + name + planted, name + token + "; " + name, name + token + "; " + name + token} {
			wantProblem(t, s.get(file, "Cookie", cookie).want(t, http.StatusBadRequest), "malformed") // never one of the two
		}
		s.get(file, "Cookie", name+token, "Cookie", name+planted).want(t, http.StatusBadRequest)
		for _, cookie := range []string{strings.ToUpper(name) + planted + "; " + name + token, "x" + name + planted + "; " + name + token, name + token + "; __Host-" + name + planted} {
			s.get(file, "Cookie", cookie).want(t, http.StatusOK)
		}
	})
	t.Run("without a cookie", func(t *testing.T) {
		s.t = t
		a := s.send(http.MethodPut, sessionPath+"?set-cookie=false", putBody(token)).want(t, http.StatusOK)
		if len(a.Cookies()) != 0 || !strings.Contains(a.body, token) {
			t.Errorf("%v, %q", a.Cookies(), a.body)
		}
	})
	t.Run("a token without an account", func(t *testing.T) {
		s.t = t
		s.send(http.MethodPut, sessionPath, putBody(uploadToken(t, private, nil))).want(t, http.StatusOK)
	})
	otherPrivate, _ := certificate(t)
	large := strings.Repeat("x", 3000)
	for name, tt := range map[string]struct {
		target, body string
		status       int
		code         string
	}{
		"another key":          {"", putBody(uploadToken(t, otherPrivate, nil)), 403, "access_token_invalid"},
		"another account":      {"", putBody(uploadToken(t, private, claims{"accountId": "other"})), 403, "access_token_invalid"},
		"an account of a type": {"", putBody(uploadToken(t, private, claims{"accountId": 1})), 403, "access_token_invalid"},
		"no sub":               {"", putBody(uploadToken(t, private, claims{"sub": nil})), 403, "access_token_invalid"},
		"no iat":               {"", putBody(uploadToken(t, private, claims{"iat": nil})), 403, "access_token_invalid"},
		"an audience":          {"", putBody(uploadToken(t, private, claims{"aud": "x"})), 403, "access_token_invalid"},
		"HS256":                {"", putBody(mint(t, claims{"sub": "x"})), 403, "access_token_invalid"},
		"expired":              {"", putBody(uploadToken(t, private, claims{"exp": 1615680311})), 403, "access_token_expired"},
		"within this second":   {"", putBody(uploadToken(t, private, claims{"exp": float64(time.Now().UnixMilli()+900) / 1000})), 403, "access_token_expired"},
		"no token":             {"", `{}`, 400, "invalid_request"},
		"no JSON":              {"", token, 400, "invalid_request"},
		"twice":                {"", `{"accessToken": "a", "accessToken": "` + token + `"}`, 400, "invalid_request"},
		"another case":         {"", `{"accesstoken": "` + token + `"}`, 400, "invalid_request"},
		"a number":             {"", `{"accessToken": 1}`, 400, "invalid_request"},
		"more than JSON":       {"", putBody(token) + "x", 400, "invalid_request"},
		"set-cookie maybe":     {"?set-cookie=maybe", putBody(token), 400, "invalid_request"},
		"set-cookie twice":     {"?set-cookie=true&set-cookie=false", putBody(token), 400, "invalid_request"},
		"a large body":         {"", `{"x": "` + strings.Repeat("x", 16<<10) + `"}`, 413, "too_large"},
		"a large token":        {"", putBody(uploadToken(t, private, claims{"large": large})), 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.send(http.MethodPut, sessionPath+tt.target, tt.body).wantCode(t, tt.status, tt.code)
		})
	}
	t.Run("a large token without a cookie", func(t *testing.T) {
		s.t = t
		s.send(http.MethodPut, sessionPath+"?set-cookie=false", putBody(uploadToken(t, private, claims{"large": large}))).want(t, http.StatusOK)
	})
	t.Run("methods", func(t *testing.T) {
		s.t = t
		a := s.get(sessionPath)
		a.wantCode(t, http.StatusMethodNotAllowed, "method_not_allowed")
		if a.Header.Get("Allow") != "PUT, DELETE, OPTIONS" {
			t.Errorf("Allow %q", a.Header.Get("Allow"))
		}
	})
	t.Run("origins", func(t *testing.T) {
		s.t = t
		for from, admitted := range map[string]bool{
			origin: true, s.url: true,
			"https://app.example.com.evil.example": false, "https://evil.example": false, "http://app.example.com": false,
			"https://app.example.com:444": false, "null": false, "https://APP.example.com": false, "file://": false,
		} {
			a := s.send(http.MethodPut, sessionPath, putBody(token), "Origin", from)
			echoed := a.Header.Get("Access-Control-Allow-Origin")
			switch {
			case admitted && a.StatusCode != http.StatusOK, !admitted && a.StatusCode != http.StatusForbidden:
				t.Errorf("%s: %d", from, a.StatusCode)
			case from == origin && echoed != origin, from != origin && echoed != "":
				t.Errorf("%s: Access-Control-Allow-Origin %q", from, echoed)
			case !admitted && s.do(http.MethodDelete, sessionPath, "Origin", from).StatusCode != http.StatusForbidden:
				t.Errorf("DELETE from %s", from)
			}
		}
	})
	t.Run("preflight", func(t *testing.T) {
		s.t = t
		a := s.do(http.MethodOptions, sessionPath, "Origin", origin, "Access-Control-Request-Method", "PUT",
			"Access-Control-Request-Headers", "content-type").want(t, http.StatusNoContent)
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Methods": "PUT, DELETE", "Access-Control-Allow-Headers": "Content-Type", "Vary": "Origin",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		a = s.do(http.MethodOptions, sessionPath, "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT")
		if a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a foreign origin is admitted")
		}
	})
	if log := s.logs(); strings.Contains(log, token) || strings.Contains(log, strings.Split(token, ".")[2]) {
		t.Error("a token is logged")
	}
}

func TestSessionOtherPaths(t *testing.T) {
	s := start(t, nil, `download_token_session {
		key HS256 "`+secret+`"
		leeway 10s
	}
	respond "next" 299`)
	for _, target := range []string{"/", "/api/v1/access_tokens", "/api/v1/access_tokens/", "/api/v1/access_tokens/a/b", "/api/v1/access_tokens/a%3Bb",
		"/api/v1/access_tokens/" + strings.Repeat("a", 65)} {
		s.send(http.MethodPut, target, putBody(mint(t, nil))).want(t, 299)
	}
	a := s.send(http.MethodPut, "/base/api/v1/access_tokens/a", putBody(mint(t, nil))).want(t, http.StatusOK)
	if c := a.Cookies(); len(c) != 1 || c[0].Name != "access-token-a" || c[0].SameSite != http.SameSiteLaxMode || !c[0].Secure {
		t.Errorf("cookies %v", c)
	}
	// accepted for its leeway, but a cookie must not outlive exp
	s.send(http.MethodPut, "/api/v1/access_tokens/a", putBody(mint(t, claims{"exp": time.Now().Unix() - 3}))).
		wantCode(t, http.StatusForbidden, "access_token_expired")
}
