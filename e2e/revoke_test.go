package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// revoke posts to the admin API.
func (s *server) revoke(body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+s.admin+"/download_token/revoke", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer)
}

// limited is a directive without one_time.
const limited = `download_token {
		key HS256 "` + secret + `"
		key HS256 "another-planted-secret-0123456789-abcdefgh" {
			kid two
		}
		scope any
	}
	file_server`

func TestRevoke(t *testing.T) {
	files := map[string]string{"a.txt": "a"}
	for name, config := range map[string]string{"time-limited": limited, "one-time": oneTime} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, config)
			for kind, tt := range map[string]struct {
				claims claims
				body   func(token string) string
			}{
				"nonce":            {claims{"jti": "n1"}, func(string) string { return `{"nonce":"n1"}` }},
				"token":            {claims{"jti": "n2"}, func(token string) string { return `{"token":"` + token + `"}` }},
				"sub":              {claims{"jti": "n3", "sub": "s"}, func(string) string { return `{"sub":"s"}` }},
				"user":             {claims{"jti": "n4", "user": "u"}, func(string) string { return `{"sub":"u","for":"1h"}` }},
				"a number as user": {claims{"jti": "n6", "user": 4711}, func(string) string { return `{"sub":"4711"}` }},
				"issued before": {claims{"jti": "n5", "iss": "i"}, func(string) string {
					return `{"issued_before":"` + time.Now().Add(time.Second).Format(time.RFC3339Nano) + `","issuer":"i"}`
				}},
			} {
				t.Run(kind, func(t *testing.T) {
					s.t = t
					token := mint(t, tt.claims)
					if name == "time-limited" {
						s.get("/a.txt?download_token="+token).want(t, http.StatusOK)
					}
					if status, answer := s.revoke(tt.body(token)); status != http.StatusOK {
						t.Fatalf("%d %s", status, answer)
					}
					for range 2 {
						wantProblem(t, s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized), "invalid")
						s.wantLog("revoked")
						if err := s.reload(config); err != nil {
							t.Fatal(err)
						}
					}
					s.get("/a.txt?download_token="+mint(t, claims{"jti": "other" + kind})).want(t, http.StatusOK)
				})
			}
		})
	}
	t.Run("kid", func(t *testing.T) {
		s := start(t, files, limited)
		signed := "?download_token=" + mintHeader(t, "another-planted-secret-0123456789-abcdefgh", map[string]any{"kid": "two"}, nil)
		s.get("/a.txt"+signed).want(t, http.StatusOK)
		if status, answer := s.revoke(`{"kid":"two"}`); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		s.get("/a.txt"+signed).want(t, http.StatusUnauthorized)
		s.get("/a.txt?download_token="+mint(t, nil)).want(t, http.StatusOK)
	})
	t.Run("a number as nonce", func(t *testing.T) { // which only one_time refuses
		s := start(t, files, limited)
		token := mint(t, claims{"jti": 4712})
		s.get("/a.txt?download_token="+token).want(t, http.StatusOK)
		if status, answer := s.revoke(`{"nonce":"4712"}`); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized)
	})
	t.Run("a restart", func(t *testing.T) {
		s := start(t, files, limited)
		token := mint(t, claims{"sub": "gone"})
		if status, answer := s.revoke(`{"sub":"gone"}`); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		if err := s.reload("respond nothing"); err != nil {
			t.Fatal(err)
		}
		if status, _ := s.revoke(`{"sub":"x"}`); status != http.StatusNotFound {
			t.Errorf("without a directive: %d", status)
		}
		if err := s.reload(limited); err != nil {
			t.Fatal(err)
		}
		s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized)
	})
	t.Run("the fingerprint that the log names", func(t *testing.T) {
		s := start(t, files, limited)
		token := mint(t, claims{"sub": "logged"})
		s.get("/b.txt?download_token="+token).want(t, http.StatusNotFound)
		wantProblem(t, s.do(http.MethodPost, "/a.txt?download_token="+token).want(t, http.StatusMethodNotAllowed), "method")
		s.wantLog("method")
		found := regexp.MustCompile(`"reason":"method","fingerprint":"([0-9a-f]{16})"`).FindStringSubmatch(s.logs())
		if found == nil {
			t.Fatal("no line with a fingerprint")
		}
		s.get("/a.txt?download_token="+token).want(t, http.StatusOK)
		if status, answer := s.revoke(`{"fingerprint":"` + found[1] + `","for":"1h"}`); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized)
		s.get("/a.txt?download_token="+mint(t, claims{"sub": "other"})).want(t, http.StatusOK)
	})
	t.Run("the list", func(t *testing.T) {
		s := startWith(t, files, "download_token {\n\t\tstore memory\n\t\tstore other memory\n\t}",
			limited+"\nhandle /other/* {\n"+strings.Replace(limited, "scope any", "scope any\n\t\tstore other", 1)+"\n}")
		token := mint(t, nil)
		for _, body := range []string{
			`{"token":"` + token + `"}`, `{"sub":"a","issuer":"i","until":"2100-01-01T00:00:00Z"}`, `{"sub":"a","issuer":"i","until":"2100-01-01T00:00:00Z"}`,
		} {
			if status, answer := s.revoke(body); status != http.StatusOK {
				t.Fatalf("%d %s", status, answer)
			}
		}
		resp, err := http.Get("http://" + s.admin + "/download_token/revocations")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		want := regexp.MustCompile(`^\{"default":\[\{"sub":"a","issuer":"i","until":"2100-01-01T00:00:00Z"\},\{"fingerprint":"[0-9a-f]{16}"\}\],"other":\[\]\}\n$`)
		if !want.Match(got) || strings.Contains(string(got), token) {
			t.Errorf("%s", got)
		}
	})
	t.Run("bad requests", func(t *testing.T) {
		s := start(t, files, limited)
		for body, want := range map[string]int{
			``: 400, `{}`: 400, `{"nonce":"a","sub":"b"}`: 400, `{"nonce":7}`: 400, `{"jti":"a"}`: 400, `{"token":"x"}`: 400, `{"fingerprint":"x"}`: 400,
			`{"nonce":"a","for":"soon"}`: 400, `{"nonce":"a","until":"2001-01-01T00:00:00Z"}`: 400,
			`{"nonce":"a","nonce":"b"}`: 400, `{"nonce":"a","store":"nowhere"}`: 404, strings.Repeat(" ", 70000): 413,
		} {
			if status, answer := s.revoke(body); status != want || strings.Contains(answer, "planted") {
				t.Errorf("%.40s: %d %s", body, status, answer)
			}
		}
	})
	t.Run("stores", func(t *testing.T) {
		s := start(t, files, oneTime)
		s.get("/a.txt?download_token="+once(t)).want(t, http.StatusOK)
		if status, _ := s.revoke(`{"nonce":"x"}`); status != http.StatusOK {
			t.Fatal(status)
		}
		resp, err := http.Get("http://" + s.admin + "/download_token/stores")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var stores map[string]struct {
			Type                                     string
			Entries, Reserved, Capacity, Revocations int
		}
		if err := json.NewDecoder(resp.Body).Decode(&stores); err != nil {
			t.Fatal(err)
		}
		if got := stores["default"]; got.Type != "memory" || got.Entries != 1 || got.Reserved != 0 || got.Capacity != 1_000_000 || got.Revocations != 1 {
			t.Errorf("%+v", stores)
		}
	})
}
