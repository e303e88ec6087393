package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestDenials(t *testing.T) {
	s := start(t, map[string]string{"pub/a.txt": "a"}, `download_token {
		key HS256 "`+secret+`"
		key HS256 "another-planted-secret-0123456789-abcdefgh" {
			kid two
			issuer https://two.example
		}
		issuer https://one.example https://two.example
		audience files
		header_typ dl+jwt
		require typ download
		require tier gold silver
		max_ttl 10m
		ip_claim ip
		scope template folder:{name} /{name}/*
		one_time
		challenge Bearer "Project \"files\""
	}
	file_server`)
	good := func() claims {
		return claims{
			"iss": "https://one.example", "aud": []string{"x", "files"}, "typ": "download", "tier": "silver",
			"ip": "127.0.0.0/8", "scope": "folder:pub", "jti": "j" + time.Now().String(),
		}
	}
	sign := func(c claims, header map[string]any) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"exp": time.Now().Add(time.Minute).Unix(), "iat": float64(time.Now().UnixMicro()) / 1e6,
		})
		for name, value := range c {
			token.Claims.(jwt.MapClaims)[name] = value
			if value == nil {
				delete(token.Claims.(jwt.MapClaims), name)
			}
		}
		token.Header["typ"] = "DL+JWT"
		for name, value := range header {
			token.Header[name] = value
		}
		signed, err := token.SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	s.get("/pub/a.txt?download_token="+sign(good(), nil)).wantBody(t, "a")

	const (
		bad          = `Bearer realm="Project \"files\"", error="invalid_token"`
		request      = `Bearer realm="Project \"files\"", error="invalid_request"`
		insufficient = `Bearer realm="Project \"files\"", error="insufficient_scope"`
	)
	with := func(name string, value any) claims { c := good(); c[name] = value; return c }
	for _, tt := range []struct {
		reason, told string
		status       int
		challenge    string
		token        string
	}{
		{"missing", "missing", 401, `Bearer realm="Project \"files\""`, ""},
		{"malformed", "malformed", 401, bad, "="},
		{"malformed", "malformed", 401, bad, "=%zz"},
		{"malformed", "malformed", 401, bad, "=a;b"},
		{"malformed", "malformed", 401, bad, "=not.a.token"},
		{"ambiguous", "malformed", 400, request, "=" + sign(good(), nil) + "&download%5Ftoken=" + sign(good(), nil)},
		{"too_large", "malformed", 400, request, "=" + sign(good(), nil) + strings.Repeat("A", 8192)},
		{"critical", "malformed", 401, bad, "=" + sign(good(), map[string]any{"crit": []string{"exp"}})},
		{"unknown_key", "invalid", 401, bad, "=" + sign(good(), map[string]any{"kid": "three"})},
		{"signature", "invalid", 401, bad, "=" + sign(good(), map[string]any{"kid": "two"})},
		{"algorithm", "invalid", 401, bad, "=" + mintWith(t, jwt.SigningMethodHS512, []byte(secret), good())},
		{"algorithm", "invalid", 401, bad, "=" + mintWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good()) + "AAAA"},
		{"issuer", "invalid", 401, bad, "=" + sign(with("iss", "https://other.example"), nil)},
		{"issuer", "invalid", 401, bad, "=" + sign(with("iss", "https://two.example"), nil)}, // bound to another key
		{"issuer", "invalid", 401, bad, "=" + sign(with("iss", nil), nil)},
		{"audience", "invalid", 401, bad, "=" + sign(with("aud", "other"), nil)},
		{"audience", "invalid", 401, bad, "=" + sign(with("aud", nil), nil)},
		{"header_typ", "invalid", 401, bad, "=" + sign(good(), map[string]any{"typ": "JWT"})},
		{"claim", "invalid", 401, bad, "=" + sign(with("typ", "access"), nil)},
		{"claim", "invalid", 401, bad, "=" + sign(with("tier", "iron"), nil)},
		{"claim", "invalid", 401, bad, "=" + sign(with("exp", nil), nil)},
		{"claim", "invalid", 401, bad, "=" + sign(with("jti", nil), nil)},
		{"claim", "invalid", 401, bad, "=" + sign(with("jti", 7), nil)},
		{"not_yet_valid", "invalid", 401, bad, "=" + sign(with("nbf", time.Now().Unix()+100), nil)},
		{"not_yet_valid", "invalid", 401, bad, "=" + sign(with("iat", time.Now().Unix()+100), nil)},
		{"too_long_lived", "invalid", 401, bad, "=" + sign(with("exp", time.Now().Unix()+3600), nil)},
		{"expired", "expired", 401, bad, "=" + sign(with("exp", time.Now().Unix()-1), nil)},
		{"scope", "forbidden", 403, insufficient, "=" + sign(with("scope", "folder:other"), nil)},
		{"scope", "forbidden", 403, insufficient, "=" + sign(with("scope", 7), nil)},
		{"client_ip", "forbidden", 403, insufficient, "=" + sign(with("ip", "10.0.0.0/8"), nil)},
		{"client_ip", "forbidden", 403, insufficient, "=" + sign(with("ip", nil), nil)},
		{"client_ip", "forbidden", 403, insufficient, "=" + sign(with("ip", "somewhere"), nil)},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			s.t = t
			target := "/pub/a.txt"
			if tt.token != "" {
				target += "?download_token" + tt.token
			}
			a := s.get(target).want(t, tt.status)
			wantProblem(t, a, tt.told)
			for name, want := range map[string]string{
				"WWW-Authenticate": tt.challenge, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s %q, want %q", name, got, want)
				}
			}
			if strings.Contains(a.body, tt.reason) && tt.reason != tt.told && tt.reason != "scope" {
				t.Errorf("the body tells the exact reason: %s", a.body)
			}
			s.wantLog(tt.reason)
		})
	}
	t.Run("method", func(t *testing.T) {
		s.t = t
		a := s.do(http.MethodDelete, "/pub/a.txt?download_token="+sign(good(), nil)).want(t, http.StatusMethodNotAllowed)
		if got := a.Header.Get("Allow"); got != "GET, HEAD" {
			t.Errorf("Allow %q", got)
		}
	})
	t.Run("bad_path", func(t *testing.T) {
		s.t = t
		wantProblem(t, s.raw("/pub/../pub/a.txt?download_token="+sign(good(), nil)).want(t, http.StatusBadRequest), "malformed")
	})
}

func TestARefusedTokenNeverFallsBack(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, `download_token {
		from query t
		from header X-Token Authorization
		from cookie c
		key HS256 "`+secret+`"
		scope any
	}
	file_server`)
	good, bad := mint(t, nil), mint(t, claims{"exp": 1})
	s.get("/a.txt?t="+good).want(t, http.StatusOK)
	s.get("/a.txt", "X-Token", good).want(t, http.StatusOK)
	s.get("/a.txt", "Authorization", "bearer "+good).want(t, http.StatusOK)
	s.get("/a.txt", "Cookie", "a=1; c="+good).want(t, http.StatusOK)
	s.get("/a.txt", "Authorization", "Basic dTpw", "Cookie", "c="+good).want(t, http.StatusOK)
	s.get("/a.txt?t="+bad, "X-Token", good, "Cookie", "c="+good).want(t, http.StatusUnauthorized)
	s.get("/a.txt?t=", "X-Token", good).want(t, http.StatusUnauthorized)
	s.get("/a.txt?T="+good).want(t, http.StatusUnauthorized)
	s.get("/a.txt", "X-Token", bad, "Authorization", "Bearer "+good).want(t, http.StatusUnauthorized)
	s.get("/a.txt", "X-Token", good, "X-Token", good).want(t, http.StatusBadRequest)
	s.get("/a.txt", "Cookie", "c="+good+"; c="+good).want(t, http.StatusBadRequest)
	s.get("/a.txt?t="+good, "X-Token", bad).want(t, http.StatusOK)
}

func TestErrorRoutesDecide(t *testing.T) {
	files := map[string]string{"a.txt": "a", "denied.html": "<p>No.</p>"}
	t.Run("one that matches", func(t *testing.T) {
		s := start(t, files, oneTime+`
	handle_errors 401 {
		header X-Uri "{uri}"
		header X-Orig "{http.request.orig_uri}"
		header X-Reason "{http.download_token.reason}"
		header X-Message "{err.message}"
		rewrite * /denied.html
		file_server
	}`)
		token := mint(t, claims{"exp": 1})
		a := s.get("/a.txt?x=1&download_token="+token).want(t, http.StatusUnauthorized)
		if a.body != "<p>No.</p>" {
			t.Errorf("body %q", a.body)
		}
		for name, want := range map[string]string{
			"X-Uri": "/a.txt?x=1", "X-Orig": "/a.txt?x=1", "X-Reason": "expired", "X-Message": "download_token: expired",
			"WWW-Authenticate": `Bearer error="invalid_token"`, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s %q, want %q", name, got, want)
			}
		}
	})
	t.Run("none that matches", func(t *testing.T) {
		s := start(t, files, oneTime+`
	handle_errors 404 {
		respond "not here" 404
	}`)
		wantProblem(t, s.get("/a.txt").want(t, http.StatusUnauthorized), "missing")
		if a := s.get("/b.txt?download_token="+once(t)).want(t, http.StatusNotFound); a.body != "not here" {
			t.Errorf("body %q", a.body)
		}
	})
	t.Run("one for another path", func(t *testing.T) {
		s := start(t, files, oneTime+`
	handle_errors {
		@api path /api/*
		respond @api "api" 401
	}`)
		wantProblem(t, s.get("/a.txt").want(t, http.StatusUnauthorized), "missing")
		if a := s.get("/api/x").want(t, http.StatusUnauthorized); a.body != "api" {
			t.Errorf("body %q", a.body)
		}
	})
	t.Run("one of another site", func(t *testing.T) {
		s := start(t, files, oneTime)
		s2 := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
		config := strings.Replace(s.caddyfile(oneTime), s.url+" {", s2+" {\n\thandle_errors {\n\t\trespond other\n\t}\n}\n\n"+s.url+" {", 1)
		adapted := s.adaptWhole(config)
		if err := s.post(adapted); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, s.get("/a.txt").want(t, http.StatusUnauthorized), "missing")
	})
}
