package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// users is basic_auth for cube and chris, both with the password cube1234.
const users = `basic_auth {
			cube $2a$04$Z3AH/LVZQ9YD1pdb0vq4keFLbH7fUl8syqha5JsSwYPUf7PDV/Y1O
			chris $2a$04$Z3AH/LVZQ9YD1pdb0vq4keFLbH7fUl8syqha5JsSwYPUf7PDV/Y1O
		}`

// issuing is a site that makes one-time tokens at /tokens and serves files for
// them. The issuer has the given subdirectives too.
func issuing(subdirectives string) string {
	return `handle /tokens* {
		` + users + `
		download_token_issuer {
			key HS256 "` + secret + `"
			ttl 10m
			` + subdirectives + `
		}
	}
	handle {
		` + oneTime + `
	}`
}

// as sends a request as a user, "" for nobody.
func (s *server) as(user, method, target string, header ...string) answer {
	s.t.Helper()
	if user != "" {
		req, _ := http.NewRequest(http.MethodGet, "/", nil)
		req.SetBasicAuth(user, "cube1234")
		header = append(header, "Authorization", req.Header.Get("Authorization"))
	}
	return s.do(method, target, header...)
}

// issued is what an issuer answers.
type issued struct {
	Token     string    `json:"token"`
	ExpiresIn int       `json:"expires_in"`
	ExpiresAt time.Time `json:"expires_at"`
	Link      string    `json:"link"`
	location  string
}

// wantToken reads the answer to POST.
func (a answer) wantToken(t testing.TB) issued {
	t.Helper()
	var i issued
	if err := json.Unmarshal([]byte(a.body), &i); err != nil || i.Token == "" {
		t.Fatalf("status %d: %v in %q", a.StatusCode, err, a.body)
	}
	i.location = a.Header.Get("Location")
	return i
}

// payloadOf reads the claims without verifying anything.
func payloadOf(t testing.TB, token string) map[string]any {
	t.Helper()
	c := jwt.MapClaims{}
	if _, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(token, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestIssuerChRIS runs the commands of the ChRIS page against example/chris, with
// curl for http.
func TestIssuerChRIS(t *testing.T) {
	curl := tool(t, "curl")
	t.Setenv("CHRIS_SECRET", djangoSecret)
	const file = "/api/v1/userfiles/1/welcome.txt"
	s := start(t, map[string]string{file[1:]: "Welcome to ChRIS\n"}, systemDirectives(t, "chris"))

	out := run(t, "", curl, "-s", "-i", "-u", "cube:cube1234", "-X", "POST",
		"-H", "Accept: application/vnd.collection+json", s.url+"/api/v1/downloadtokens/")
	a := readAnswer(t, strings.NewReader(out)).want(t, http.StatusCreated)
	if got := a.Header.Get("Content-Type"); got != "application/vnd.collection+json" {
		t.Errorf("Content-Type %q", got)
	}
	type link struct{ Href, Rel string }
	var document struct {
		Collection struct {
			Href, Version string
			Links         []link
			Items         []struct {
				Href  string
				Links []link
				Data  []struct {
					Name  string
					Value any
				}
			}
		}
	}
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	c := document.Collection
	if c.Href != s.url+"/api/v1/downloadtokens/" || c.Version != "1.0" || c.Links == nil || len(c.Items) != 1 || c.Items[0].Links == nil {
		t.Fatalf("%+v", c)
	}
	location := a.Header.Get("Location")
	if !regexp.MustCompile(`^/api/v1/downloadtokens/[A-Za-z0-9_-]{43}/$`).MatchString(location) || c.Items[0].Href != s.url+location {
		t.Errorf("Location %q, href %q", location, c.Items[0].Href)
	}
	data := map[string]any{}
	for _, d := range c.Items[0].Data {
		data[d.Name] = d.Value
	}
	if len(data) != 4 || data["owner_username"] != "cube" {
		t.Errorf("data %v", data)
	}
	if id, err := data["id"].(json.Number).Int64(); err != nil || id < 1 || id >= 1<<53 {
		t.Errorf("id %v", data["id"])
	}
	if at, err := time.Parse("2006-01-02T15:04:05.000000-07:00", data["creation_date"].(string)); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("creation_date %v: %v", data["creation_date"], err)
	}
	token := data["token"].(string)
	payload := payloadOf(t, token)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(payload["nonce"].(string)) ||
		payload["user"] != "cube" || len(payload) != 4 {
		t.Errorf("payload %v", payload)
	}
	if iat := payload["iat"].(json.Number).String(); !regexp.MustCompile(`^\d{10}\.\d{3}$`).MatchString(iat) {
		t.Errorf("iat %s", iat)
	}

	download := func() answer {
		return readAnswer(t, strings.NewReader(run(t, "", curl, "-s", "-i", "-G", s.url+file, "--data-urlencode", "download_token="+token)))
	}
	first := download().wantBody(t, "Welcome to ChRIS\n")
	if got := first.Header.Get("Content-Disposition"); got != `attachment; filename="welcome.txt"` {
		t.Errorf("Content-Disposition %q", got)
	}
	if got := download().want(t, http.StatusUnauthorized).Header.Get("WWW-Authenticate"); got != "Token" {
		t.Errorf("WWW-Authenticate %q", got)
	}
	s.do(http.MethodPost, "/api/v1/downloadtokens/").want(t, http.StatusUnauthorized)
	s.as("cube", http.MethodDelete, location).want(t, http.StatusNoContent) // spent already

	other := s.as("cube", http.MethodPost, "/api/v1/downloadtokens/").want(t, http.StatusCreated).wantToken(t)
	s.as("cube", http.MethodDelete, other.location).want(t, http.StatusNoContent)
	s.get(file+"?download_token="+other.Token).want(t, http.StatusUnauthorized)
	s.wantLog("revoked")
}

// datasetServer is example/dataset with an application that knows two sessions.
func datasetServer(t *testing.T, files map[string]string) *server {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := map[string]string{"Bearer session-of-alice": "alice", "Bearer session-of-bob": "bob"}[r.Header.Get("Authorization")]
		if !ok || r.URL.Path != "/auth/me" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Remote-User", user)
	}))
	t.Cleanup(app.Close)
	t.Setenv("DATASET_SECRET", secret)
	t.Setenv("DATASET_APP", strings.TrimPrefix(app.URL, "http://"))
	return start(t, files, systemDirectives(t, "dataset"))
}

func TestIssuerDataset(t *testing.T) {
	const id = "2489E9AD-2EE2-8E00-8EC9-32D5F69181C0" // of the page
	const public = "11111111-2222-4333-8444-555555555555"
	s := datasetServer(t, map[string]string{
		"datasets/" + id + "/cog.tif":      "private",
		"datasets/" + public + "/cog.tif":  "public",
		"datasets/" + public + "/PUBLIC":   "",
		"datasets/not-a-uuid/PUBLIC":       "",
		"datasets/not-a-uuid/x.txt":        "x",
		"datasets/" + id + "-more/cog.tif": "other",
	})
	check := func(t *testing.T, document, sub string) {
		t.Helper()
		var data issued
		if err := json.Unmarshal([]byte(document), &data); err != nil {
			t.Fatalf("%v in %q", err, document)
		}
		if data.ExpiresIn != 120 || time.Until(data.ExpiresAt) > 120*time.Second || time.Until(data.ExpiresAt) < 100*time.Second {
			t.Errorf("%+v", data)
		}
		payload := payloadOf(t, data.Token)
		if payload["typ"] != "download" || payload["scope"] != "dataset:"+id || payload["sub"] != sub || len(payload) != 5 {
			t.Errorf("payload %v", payload)
		}
		s.t = t
		s.get("/datasets/"+id+"/cog.tif?token="+data.Token).wantBody(t, "private")
		s.get("/datasets/"+public+"/cog.tif?token="+data.Token).want(t, http.StatusUnauthorized)
	}
	t.Run("the page's fetch", func(t *testing.T) {
		check(t, run(t, `
const url = process.argv[2] + '/auth/download-token/2489E9AD-2EE2-8E00-8EC9-32D5F69181C0';
const options = {method: 'POST', headers: {Authorization: 'Bearer session-of-alice'}};
try {
	const response = await fetch(url, options);
	const data = await response.json();
	console.log(JSON.stringify(data));
} catch (error) {
	console.error(error);
}
`, tool(t, "node"), "--input-type=module", "-", s.url), "alice")
	})
	t.Run("the page's curl", func(t *testing.T) {
		check(t, run(t, "", tool(t, "curl"), "-s", "--request", "POST",
			"--url", s.url+"/auth/download-token/"+id, "--header", "Authorization: Bearer session-of-bob"), "bob")
	})
	t.Run("public", func(t *testing.T) {
		s.t = t
		a := s.do(http.MethodPost, "/auth/download-token/"+public, "Remote-User", "mallory").want(t, http.StatusOK)
		token := a.wantToken(t)
		if payload := payloadOf(t, token.Token); payload["sub"] != nil {
			t.Errorf("payload %v", payload)
		}
		s.get("/datasets/"+public+"/cog.tif?token="+token.Token).wantBody(t, "public")
		s.do(http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.get("/datasets/"+public+"/cog.tif?token="+token.Token).want(t, http.StatusUnauthorized)
	})
	t.Run("private without a session", func(t *testing.T) {
		s.t = t
		s.do(http.MethodPost, "/auth/download-token/"+id).want(t, http.StatusUnauthorized)
		s.do(http.MethodPost, "/auth/download-token/"+id, "Remote-User", "alice").want(t, http.StatusUnauthorized)
	})
	t.Run("not a UUID", func(t *testing.T) {
		s.t = t
		for _, target := range []string{"not-a-uuid", id + "0", "g" + id[1:], id[:35], "%7B" + id + "%7D", id + "%0A"} {
			a := s.do(http.MethodPost, "/auth/download-token/"+target, "Authorization", "Bearer session-of-alice").want(t, http.StatusUnprocessableEntity)
			wantProblem(t, a, "not_a_uuid")
		}
	})
	t.Run("revoking", func(t *testing.T) {
		s.t = t
		token := s.do(http.MethodPost, "/auth/download-token/"+id, "Authorization", "Bearer session-of-alice").wantToken(t)
		file := "/datasets/" + id + "/cog.tif?token=" + token.Token
		s.get(file).want(t, http.StatusOK)
		s.do(http.MethodDelete, token.location, "Authorization", "Bearer session-of-bob").want(t, http.StatusNotFound)
		s.get(file).want(t, http.StatusOK)
		s.do(http.MethodDelete, token.location, "Authorization", "Bearer session-of-alice").want(t, http.StatusNoContent)
		s.get(file).want(t, http.StatusUnauthorized)
	})
}

func TestIssuerAnswers(t *testing.T) {
	s := start(t, nil, issuing(`link https://files.example.com:8443/a/{http.request.uri.query.file}?v=1&download_token={token}&n={http.request.uri.query.n}
			claim sub {http.auth.user.id}
			one_time`))
	t.Run("JSON", func(t *testing.T) {
		s.t = t
		a := s.as("cube", http.MethodPost, "/tokens?file=b/c%23d.txt&n=%C3%A9%26x", "Accept", "text/html, */*").want(t, http.StatusCreated)
		got := a.wantToken(t)
		if want := "https://files.example.com:8443/a/b/c%23d.txt?v=1&download_token=" + got.Token + "&n=%C3%A9%26x"; got.Link != want {
			t.Errorf("link %s, want %s", got.Link, want)
		}
		if got.ExpiresIn != 600 || got.ExpiresAt.Location() != time.UTC {
			t.Errorf("%+v", got)
		}
		if strings.Contains(got.location, got.Token) || !strings.HasPrefix(got.location, "/tokens/") {
			t.Errorf("Location %s", got.location)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "application/json", "Vary": "Accept",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
	for _, tt := range []struct {
		name, user, method, target string
		status                     int
		reason                     string
		header                     map[string]string
	}{
		{"GET", "cube", "GET", "/tokens", 405, "method", map[string]string{"Allow": "POST, DELETE"}},
		{"PUT", "cube", "PUT", "/tokens", 405, "method", map[string]string{"Allow": "POST, DELETE"}},
		{"a link without its file", "cube", "POST", "/tokens?n=1", 400, "claim", nil},
		{"nothing to revoke", "cube", "DELETE", "/tokens", 404, "unknown", nil},
		{"a token that is none", "cube", "DELETE", "/tokens?download_token=abc", 404, "unknown", nil},
		{"an empty token", "cube", "DELETE", "/tokens?token=", 400, "malformed", nil},
		{"two tokens", "cube", "DELETE", "/tokens?token=a&token=b", 400, "malformed", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			a := s.as(tt.user, tt.method, tt.target).want(t, tt.status)
			wantProblem(t, a, tt.reason)
			if tt.header == nil {
				tt.header = map[string]string{}
			}
			tt.header["Cache-Control"], tt.header["Referrer-Policy"] = "no-store", "no-referrer"
			for name, want := range tt.header {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	t.Run("OPTIONS", func(t *testing.T) {
		s.t = t
		if a := s.as("cube", http.MethodOptions, "/tokens").want(t, http.StatusNoContent); a.Header.Get("Allow") != "POST, DELETE" {
			t.Errorf("Allow %q", a.Header.Get("Allow"))
		}
	})
	t.Run("a body", func(t *testing.T) {
		for size, want := range map[int]int{100: http.StatusCreated, 64<<10 + 1: http.StatusRequestEntityTooLarge} {
			req, err := http.NewRequest(http.MethodPost, s.url+"/tokens?file=a&n=1", strings.NewReader(strings.Repeat("x", size)))
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("cube", "cube1234")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%d bytes: %d, want %d", size, resp.StatusCode, want)
			}
		}
	})
}

func TestIssuerNeedsAUser(t *testing.T) {
	const body = `download_token_issuer /known* {
		key HS256 "` + secret + `"
		ttl 10m
	}
	download_token_issuer /anybody* {
		key HS256 "` + secret + `"
		ttl 10m
		claim sub {http.auth.user.id}
		claim scope "user:{http.request.header.X}"
		anonymous
	}`
	s := start(t, nil, body)
	a := s.do(http.MethodPost, "/known").want(t, http.StatusUnauthorized)
	wantProblem(t, a, "unauthenticated")
	if a.Header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
	wantProblem(t, s.do(http.MethodDelete, "/known/x").want(t, http.StatusUnauthorized), "unauthenticated")
	token := s.do(http.MethodPost, "/anybody", "X", "1").want(t, http.StatusCreated).wantToken(t)
	if payload := payloadOf(t, token.Token); len(payload) != 3 || payload["scope"] != "user:1" {
		t.Errorf("payload %v", payload)
	}
	// "user:" alone would say something that was not meant.
	wantProblem(t, s.do(http.MethodPost, "/anybody").want(t, http.StatusBadRequest), "claim")
	wantProblem(t, s.do(http.MethodPost, "/anybody", "X", strings.Repeat("x", 8000)).want(t, http.StatusBadRequest), "claim")
	wantProblem(t, s.do(http.MethodPost, "/anybody", "X", "\xff").want(t, http.StatusBadRequest), "claim")
}

func TestIssuerRevokes(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, issuing("claim sub {http.auth.user.id}\n\t\t\tone_time")+`
	handle_path /api/* {
		download_token_issuer {
			key HS256 "`+secret+`"
			ttl 10m
			claim aud someone
			anonymous
		}
	}
	handle /broken* {
		download_token_issuer {
			key HS256 "`+secret+`"
			ttl 10m
			store nowhere
			anonymous
		}
	}`)
	mintFor := func(user string) issued {
		s.t.Helper()
		return s.as(user, http.MethodPost, "/tokens").want(s.t, http.StatusCreated).wantToken(s.t)
	}
	file := func(i issued) string { return "/a.txt?download_token=" + i.Token }

	t.Run("by the token, whoever holds it", func(t *testing.T) {
		s.t = t
		for _, name := range []string{"download_token", "token"} {
			token, kept := mintFor("cube"), mintFor("cube")
			s.as("chris", http.MethodDelete, "/tokens?"+name+"="+token.Token).want(t, http.StatusNoContent)
			wantProblem(t, s.get(file(token)).want(t, http.StatusUnauthorized), "invalid")
			s.get(file(kept)).want(t, http.StatusOK)
		}
	})
	t.Run("by Location, as the same user", func(t *testing.T) {
		s.t = t
		token := mintFor("cube")
		s.as("chris", http.MethodDelete, token.location).want(t, http.StatusNotFound)
		s.as("", http.MethodDelete, token.location).want(t, http.StatusUnauthorized)
		flipped := token.location[:len(token.location)-5] + flip(token.location[len(token.location)-5:])
		s.as("cube", http.MethodDelete, flipped).want(t, http.StatusNotFound)
		s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.get(file(token)).want(t, http.StatusUnauthorized)
	})
	t.Run("a used token", func(t *testing.T) {
		s.t = t
		token := mintFor("cube")
		s.get(file(token)).want(t, http.StatusOK)
		s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.as("cube", http.MethodDelete, "/tokens?download_token="+token.Token).want(t, http.StatusNoContent)
	})
	t.Run("tokens of others", func(t *testing.T) {
		s.t = t
		signedElsewhere := mintWith(t, jwt.SigningMethodHS256, []byte(strings.Repeat("y", 32)), claims{"sub": "cube"})
		s.as("cube", http.MethodDelete, "/tokens?download_token="+signedElsewhere).want(t, http.StatusNotFound)
		none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims{"exp": 9999999999}).SignedString(jwt.UnsafeAllowNoneSignatureType)
		if err != nil {
			t.Fatal(err)
		}
		s.as("cube", http.MethodDelete, "/tokens?download_token="+none).want(t, http.StatusNotFound)
		// with our key, whoever has signed it
		for _, c := range []claims{{"sub": "chris"}, {"exp": 1}, {"exp": time.Now().Unix() - 5}, {"aud": "x"}, {"nbf": time.Now().Unix() + 60}} {
			s.as("cube", http.MethodDelete, "/tokens?download_token="+mint(t, c)).want(t, http.StatusNoContent)
		}
	})
	t.Run("behind handle_path, with an audience", func(t *testing.T) {
		s.t = t
		token := s.do(http.MethodPost, "/api/tokens/").want(t, http.StatusCreated).wantToken(t)
		if !strings.HasPrefix(token.location, "/api/tokens/") || !strings.HasSuffix(token.location, "/") {
			t.Fatalf("Location %s", token.location)
		}
		s.do(http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.do(http.MethodDelete, "/api/x?token="+token.Token).want(t, http.StatusNoContent)
	})
	t.Run("Location leads to no other host", func(t *testing.T) {
		s.t = t
		for _, target := range []string{"//evil.example/tokens", "/%5Cevil.example/tokens"} {
			a := s.do(http.MethodPost, "/api"+target).want(t, http.StatusCreated)
			location := a.Header.Get("Location")
			if strings.HasPrefix(location, "//") || strings.Contains(location, `\`) {
				t.Errorf("%s: Location %s", target, location)
			}
		}
	})
	t.Run("no such store", func(t *testing.T) {
		s.t = t
		token := s.do(http.MethodPost, "/broken").want(t, http.StatusCreated).wantToken(t)
		a := s.do(http.MethodDelete, token.location).want(t, http.StatusServiceUnavailable)
		wantProblem(t, a, "unavailable")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
}

// TestIssuerNeverExpands sends text that looks like placeholders wherever a
// request can put some.
func TestIssuerNeverExpands(t *testing.T) {
	const planted = "planted-environment-secret"
	t.Setenv("PLANTED", planted)
	s := start(t, nil, issuing(`claim sub {http.request.header.X}
			claim text "is {http.request.header.X}"
			claim list `+"`"+`[1.0, true, "{http.request.header.X}", {"{http.request.header.X}": "{http.request.uri.query.q}"}]`+"`"+`
			link https://files.example.com/{http.request.header.X}?t={token}&q={http.request.uri.query.q}
			user {http.auth.user.id}`))
	for _, attack := range []string{"{env.PLANTED}", "{http.request.header.Y}", "{token}", `\{env.PLANTED\}`, `","admin":true,"x":"`, "true", "42", `{"a":1}`, "null"} {
		t.Run(attack, func(t *testing.T) {
			s.t = t
			a := s.as("cube", http.MethodPost, "/tokens?q=%7Benv.PLANTED%7D", "X", attack, "Y", "{env.PLANTED}").want(t, http.StatusCreated)
			token := a.wantToken(t)
			payload := payloadOf(t, token.Token)
			text, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text)+a.body, planted) {
				t.Errorf("expanded: %s", text)
			}
			if payload["sub"] != attack || payload["text"] != "is "+attack || payload["admin"] != nil {
				t.Errorf("payload %s", text)
			}
			list := payload["list"].([]any)
			if list[0] != json.Number("1.0") || list[1] != true || list[2] != attack ||
				list[3].(map[string]any)["{http.request.header.X}"] != "{env.PLANTED}" {
				t.Errorf("list %v", list)
			}
			if strings.Count(token.Link, token.Token) != 1 || !strings.HasSuffix(token.Link, "&q=%7Benv.PLANTED%7D") {
				t.Errorf("link %s", token.Link)
			}
		})
	}
}

// TestIssuerKeepsSecrets looks for keys and tokens in the log and in the
// configuration that the admin API shows.
func TestIssuerKeepsSecrets(t *testing.T) {
	t.Setenv("SIGNING_SECRET", secret)
	t.Setenv("CLAIM", "planted-claim")
	body := strings.Replace(issuing("claim sub {env.CLAIM}\n\t\t\tone_time"), `"`+secret+`"`, "{env.SIGNING_SECRET}", 2)
	s := start(t, map[string]string{"a.txt": "a"}, body+`
	handle_errors {
		respond "{uri} {query} {err.message}"
	}`)
	token := s.as("cube", http.MethodPost, "/tokens").want(t, http.StatusCreated).wantToken(t)
	if payloadOf(t, token.Token)["sub"] != "planted-claim" {
		t.Error("the claim is not planted")
	}
	s.as("cube", http.MethodDelete, "/tokens?download_token="+token.Token).want(t, http.StatusNoContent)
	foreign := mintWith(t, jwt.SigningMethodHS256, []byte(strings.Repeat("y", 32)), claims{})
	for _, target := range []string{"/tokens?download_token=" + foreign, "/tokens?download_token=" + foreign + "&download_token=x"} {
		a := s.as("cube", http.MethodDelete, target)
		if strings.Contains(a.body, foreign) {
			t.Errorf("the error route shows the token: %q", a.body)
		}
	}
	config := run(t, "", tool(t, "curl"), "-s", "http://"+s.admin+"/config/")
	for _, planted := range []string{secret, token.Token, strings.Split(token.Token, ".")[2], foreign, "planted-claim"} {
		if strings.Contains(s.logs(), planted) {
			t.Errorf("%.20s is logged", planted)
		}
		if strings.Contains(config, planted) {
			t.Errorf("%.20s is in the configuration", planted)
		}
	}
}

func TestIssuerErrorRoutes(t *testing.T) {
	s := start(t, nil, issuing("one_time")+`
	handle_errors 401 405 {
		respond "custom {err.status_code} {err.message}" {err.status_code}
	}`)
	a := s.as("cube", http.MethodGet, "/tokens").want(t, http.StatusMethodNotAllowed)
	if a.body != "custom 405 download_token_issuer: method" || a.Header.Get("Allow") == "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q, %v", a.body, a.Header)
	}
	wantProblem(t, s.as("cube", http.MethodDelete, "/tokens/x").want(t, http.StatusNotFound), "unknown") // has no route
}

// TestIssuedTokensElsewhere lets other libraries verify what the issuer signs.
// PyJWT, and jose with maxTokenAge, know the time in whole seconds only, so that
// an iat with milliseconds lies in their future until the next one begins: they
// need a leeway of a second.
func TestIssuedTokensElsewhere(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		alg             string
		private, public any
	}{
		{"HS256", nil, []byte(secret)},
		{"HS512", nil, []byte(secret)},
		{"RS256", rsaKey, &rsaKey.PublicKey},
		{"PS256", rsaKey, &rsaKey.PublicKey},
		{"ES256", ecKey, &ecKey.PublicKey},
		{"EdDSA", edKey, edPublic},
	} {
		t.Run(tt.alg, func(t *testing.T) {
			signing, verifying := filepath.Join(t.TempDir(), "signing"), filepath.Join(t.TempDir(), "verifying")
			if tt.private == nil {
				write(t, signing, secret)
				write(t, verifying, secret)
			} else {
				private, err := x509.MarshalPKCS8PrivateKey(tt.private)
				if err != nil {
					t.Fatal(err)
				}
				public, err := x509.MarshalPKIXPublicKey(tt.public)
				if err != nil {
					t.Fatal(err)
				}
				write(t, signing, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
				write(t, verifying, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
			}
			s := start(t, map[string]string{"a.txt": "a"}, fmt.Sprintf(`handle /tokens {
		download_token_issuer {
			key %[1]s {file.%[2]s} {
				kid main
			}
			ttl 1m
			one_time
			claim iss https://app.example.com
			claim aud `+"`"+`["files", "other"]`+"`"+`
			claim sub ünïcode
			claim deep `+"`"+`{"a": [1, null, {"b": "<&>"}]}`+"`"+`
			anonymous
		}
	}
	handle {
		download_token {
			key %[1]s {file.%[3]s} {
				kid main
				issuer https://app.example.com
			}
			audience files
			max_ttl 1m
			scope any
			one_time
		}
		file_server
	}`, tt.alg, signing, verifying))
			token := s.do(http.MethodPost, "/tokens").want(t, http.StatusCreated).wantToken(t).Token
			s.get("/a.txt?download_token="+token).wantBody(t, "a")
			s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized)

			const want = `{"aud":["files","other"],"deep":{"a":[1,null,{"b":"<&>"}]},"iss":"https://app.example.com","sub":"ünïcode"}`
			t.Run("golang-jwt", func(t *testing.T) {
				c := jwt.MapClaims{}
				parsed, err := jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return tt.public, nil },
					jwt.WithValidMethods([]string{tt.alg}), jwt.WithAudience("files"), jwt.WithIssuer("https://app.example.com"),
					jwt.WithIssuedAt(), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
				if err != nil || parsed.Header["kid"] != "main" || parsed.Header["typ"] != "JWT" {
					t.Fatal(err, parsed.Header)
				}
				for _, name := range []string{"iat", "exp", "jti"} {
					delete(c, name)
				}
				var text strings.Builder
				encoder := json.NewEncoder(&text)
				encoder.SetEscapeHTML(false)
				if err := encoder.Encode(c); err != nil || strings.TrimSpace(text.String()) != want {
					t.Errorf("%v: %s", err, text.String())
				}
			})
			t.Run("PyJWT", func(t *testing.T) {
				got := run(t, `
import jwt, sys, json
c = jwt.decode(sys.argv[1], open(sys.argv[2]).read(), algorithms=[sys.argv[3]], audience='files', issuer='https://app.example.com',
	leeway=1, options={'require': ['exp', 'iat', 'jti', 'sub']})
for name in ('iat', 'exp', 'jti'):
    del c[name]
print(json.dumps(c, sort_keys=True, ensure_ascii=False, separators=(',', ':')))
`, python(t), "-", token, verifying, tt.alg)
				if strings.TrimSpace(got) != want {
					t.Errorf("%s", got)
				}
			})
			t.Run("jose", func(t *testing.T) {
				got := node(t, `
import { jwtVerify, importSPKI } from 'jose';
import { readFileSync } from 'node:fs';
const [token, file, alg] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
const key = alg.startsWith('HS') ? new TextEncoder().encode(text) : await importSPKI(text, alg);
const { payload } = await jwtVerify(token, key, {
	algorithms: [alg], audience: 'files', issuer: 'https://app.example.com', typ: 'JWT', maxTokenAge: '1m', clockTolerance: '1s', requiredClaims: ['jti', 'sub'],
});
console.log(JSON.stringify({ aud: payload.aud, deep: payload.deep, iss: payload.iss, sub: payload.sub }));
`, token, verifying, tt.alg)
				if got != want {
					t.Errorf("%s", got)
				}
			})
			if tt.alg != "EdDSA" { // which jsonwebtoken does not know
				t.Run("jsonwebtoken", func(t *testing.T) {
					got := node(t, `
import jsonwebtoken from 'jsonwebtoken';
import { readFileSync } from 'node:fs';
const [token, file, alg] = process.argv.slice(2);
const payload = jsonwebtoken.verify(token, readFileSync(file, 'utf8'), {
	algorithms: [alg], audience: 'files', issuer: 'https://app.example.com', maxAge: '1m',
});
console.log(JSON.stringify({ aud: payload.aud, deep: payload.deep, iss: payload.iss, sub: payload.sub }));
`, token, verifying, tt.alg)
					if got != want {
						t.Errorf("%s", got)
					}
				})
			}
		})
	}
}

// write writes a file that only we can read.
func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestIssuerKeyErrors starts a real caddy with keys that must not be accepted, and
// reads everything that it prints.
func TestIssuerKeyErrors(t *testing.T) {
	path := caddyBinary(t)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	write(t, file, ":0 {\n\tdownload_token_issuer {\n\t\tkey HS256 {env.PLANTED}\n\t\tttl 1m\n\t}\n}\n")
	cmd := exec.Command(path, "validate", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "PLANTED=planted-but-too-short")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "key: secret has only 21 bytes") || strings.Contains(string(out), "planted-but") {
		t.Errorf("%v: %s", err, out)
	}
}
