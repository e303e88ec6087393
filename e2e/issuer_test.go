package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
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

// issuedToken is what an issuer answers.
type issuedToken struct {
	Token     string    `json:"token"`
	ExpiresIn int       `json:"expires_in"`
	ExpiresAt time.Time `json:"expires_at"`
	Link      string    `json:"link"`
	location  string
}

// wantToken reads the answer to POST.
func (a answer) wantToken(t testing.TB) issuedToken {
	t.Helper()
	var i issuedToken
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
		var data issuedToken
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
