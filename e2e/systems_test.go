package e2e

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// python is Debian's interpreter, the one that sees python3-jwt.
func python(t testing.TB) string {
	t.Helper()
	const path = "/usr/bin/python3"
	if err := exec.Command(path, "-c", "import jwt").Run(); err != nil {
		missing(t, "python3-jwt is not installed")
	}
	return path
}

// djangoSecret has the length and alphabet of a generated SECRET_KEY.
const djangoSecret = "k3y-planted#with(every^sort)of_char&%*=+!@0123456x"

// mintChRIS runs what ChRIS runs (core/views.py), with Debian's PyJWT. extra is
// Python that may change the payload.
func mintChRIS(t testing.TB, alg, key, extra string) string {
	t.Helper()
	return strings.TrimSpace(run(t, `
import jwt, sys, uuid, datetime
payload = {
    'user': 'cube',
    'nonce': str(uuid.uuid4()),
    'exp': datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=10),
}
`+extra+`
print(jwt.encode(payload, sys.argv[2] or None, algorithm=sys.argv[1]))
`, python(t), "-", alg, key))
}

// systemCaddyfile is an example's Caddyfile for the test's server: the site block is
// taken as it is, the address and the global options are the test's.
func systemDirectives(t testing.TB, example string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "example", example, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, site, ok := strings.Cut(string(content), "http://localhost:8000 {\n")
	if !ok {
		t.Fatal("the example has no site http://localhost:8000")
	}
	site = site[:strings.LastIndex(site, "}")]
	_, site, _ = strings.Cut(site, "\n") // root
	return site
}

// twoSeconds waits until a token without iat, whose exp is max_ttl ahead in whole
// seconds, is one that cannot have been issued before the server's start: another
// second may have been added by rounding.
func twoSeconds() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(2050 * time.Millisecond)))
}

func TestChRIS(t *testing.T) {
	python(t)
	t.Setenv("CHRIS_SECRET", djangoSecret)
	s := start(t, map[string]string{"welcome.txt": "Welcome to ChRIS\n"}, systemDirectives(t, "chris"))
	twoSeconds()
	for _, alg := range []string{"HS256", "HS512"} {
		t.Run(alg, func(t *testing.T) {
			s.t = t
			link := "/welcome.txt?download_token=" + mintChRIS(t, alg, djangoSecret, "")
			first := s.get(link).wantBody(t, "Welcome to ChRIS\n")
			if got := first.Header.Get("Content-Disposition"); got != `attachment; filename="welcome.txt"` {
				t.Errorf("Content-Disposition %q", got)
			}
			again := s.get(link).want(t, http.StatusUnauthorized)
			if got := again.Header.Get("WWW-Authenticate"); got != "Token" {
				t.Errorf("WWW-Authenticate %q", got)
			}
			wantProblem(t, again, "used")
		})
	}
	refused := map[string]string{
		"expired":    mintChRIS(t, "HS512", djangoSecret, "payload['exp'] = 1700000000"),
		"other key":  mintChRIS(t, "HS512", strings.Repeat("x", 50), ""),
		"alg none":   mintChRIS(t, "none", "", ""),
		"no nonce":   mintChRIS(t, "HS512", djangoSecret, "del payload['nonce']"),
		"no user":    mintChRIS(t, "HS512", djangoSecret, "del payload['user']"),
		"no exp":     mintChRIS(t, "HS512", djangoSecret, "del payload['exp']"),
		"long lived": mintChRIS(t, "HS512", djangoSecret, "payload['exp'] += datetime.timedelta(minutes=5)"),
	}
	good := mintChRIS(t, "HS512", djangoSecret, "")
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	other := strings.Split(mintChRIS(t, "HS512", djangoSecret, "payload['user'] = 'chris'"), ".")[1]
	refused["tampered payload"] = head + "." + other + "." + signature
	refused["tampered signature"] = head + "." + payload + "." + flip(signature)
	for name, token := range refused {
		t.Run(name, func(t *testing.T) {
			s.t = t
			a := s.get("/welcome.txt?download_token="+token).want(t, http.StatusUnauthorized)
			if got := a.Header.Get("WWW-Authenticate"); got != "Token" {
				t.Errorf("WWW-Authenticate %q", got)
			}
		})
	}
	t.Run("refusals cost nothing", func(t *testing.T) {
		s.t = t
		s.get("/welcome.txt?download_token="+good).want(t, http.StatusOK)
	})
	t.Run("HEAD, then GET", func(t *testing.T) {
		s.t = t
		link := "/welcome.txt?download_token=" + mintChRIS(t, "HS512", djangoSecret, "")
		if a := s.do(http.MethodHead, link).want(t, http.StatusOK); a.ContentLength != 17 {
			t.Errorf("Content-Length %d", a.ContentLength)
		}
		s.get(link).want(t, http.StatusOK)
		s.do(http.MethodHead, link).want(t, http.StatusUnauthorized)
	})
	t.Run("a missing file, then a present one", func(t *testing.T) {
		s.t = t
		token := "?download_token=" + mintChRIS(t, "HS512", djangoSecret, "")
		s.get("/nothing.txt"+token).want(t, http.StatusNotFound)
		s.get("/welcome.txt"+token).want(t, http.StatusOK)
	})
}

// flip changes the last but one character of a base64 text.
func flip(text string) string {
	b := []byte(text)
	if i := len(b) - 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

// wantProblem checks the body of a refusal (RFC 9457).
func wantProblem(t testing.TB, a answer, reason string) {
	t.Helper()
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	var problem struct {
		Title, Detail, Reason string
		Status                int
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	if problem.Reason != reason || problem.Status != a.StatusCode || problem.Title == "" || problem.Detail == "" {
		t.Errorf("problem %+v, want reason %q", problem, reason)
	}
}

func TestDataset(t *testing.T) {
	py := python(t)
	t.Setenv("DATASET_SECRET", secret)
	const id, otherID = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0", "11111111-2222-4333-8444-555555555555"
	s := start(t, map[string]string{
		"datasets/" + id + "/cog.tif":                        "tif",
		"datasets/" + id + "/sub/meta.json":                  "{}",
		"datasets/" + strings.ToUpper(id) + "/cog.tif":       "TIF",
		"datasets/" + otherID + "/cog.tif":                   "other",
		"datasets/" + id + "-more/cog.tif":                   "longer name",
		"datasets/" + strings.Replace(id, "-", "", 1) + "/x": "no uuid",
	}, systemDirectives(t, "dataset"))

	mintDataset := func(extra string) string {
		return strings.TrimSpace(run(t, `
import jwt, sys, time
now = int(time.time())
payload = {'typ': 'download', 'scope': 'dataset:`+id+`', 'exp': now + 120, 'iat': now, 'sub': 'u', 'username': 'n'}
`+extra+`
print(jwt.encode(payload, sys.argv[1], algorithm='HS256'))
`, py, "-", secret))
	}
	token := "?token=" + mintDataset("")
	for range 3 {
		s.get("/datasets/"+id+"/cog.tif"+token).wantBody(t, "tif")
	}
	s.get("/datasets/"+id+"/sub/meta.json"+token).wantBody(t, "{}")
	s.get("/datasets/"+strings.ToUpper(id)+"/cog.tif"+token).wantBody(t, "TIF")
	if a := s.get("/datasets/"+id+"/cog.tif"+token, "Range", "bytes=1-").want(t, http.StatusPartialContent); a.body != "if" {
		t.Errorf("range %q", a.body)
	}
	upper := "?token=" + mintDataset("payload['scope'] = payload['scope'].upper().replace('DATASET', 'dataset')")
	s.get("/datasets/"+id+"/cog.tif"+upper).wantBody(t, "tif")

	for name, path := range map[string]string{
		"another dataset": "/datasets/" + otherID + "/cog.tif",
		"a longer name":   "/datasets/" + id + "-more/cog.tif",
		"not a uuid":      "/datasets/" + strings.Replace(id, "-", "", 1) + "/x",
		"the folder":      "/datasets/",
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			wantProblem(t, s.get(path+token).want(t, http.StatusUnauthorized), "forbidden")
		})
	}
	for name, extra := range map[string]string{
		"a session token":         "payload['typ'] = 'access'",
		"no typ":                  "del payload['typ']",
		"an audience":             "payload['aud'] = 'somebody else'",
		"121 seconds":             "payload['exp'] += 1",
		"iat in the future":       "payload['iat'] += 3600; payload['exp'] += 3600",
		"two scopes in one claim": "payload['scope'] += ' dataset:" + otherID + "'",
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.get("/datasets/"+id+"/cog.tif?token="+mintDataset(extra)).want(t, http.StatusUnauthorized)
		})
	}
	wantProblem(t, s.get("/datasets/"+id+"/cog.tif").want(t, http.StatusUnauthorized), "missing")
}

func TestSpellingsOfOneToken(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	token := mint(t, claims{"jti": rand.Text()})
	spellings := map[string]string{
		"line feed":      token[:20] + "%0A" + token[20:],
		"CR LF at end":   token + "%0D%0A",
		"padding":        token + "=",
		"trailing bits":  token[:len(token)-1] + string(token[len(token)-1]+1),
		"space":          "+" + token,
		"percent-coded":  strings.ReplaceAll(token, ".", "%2E"), // the same token, in other bytes of the URL
		"as it was sent": token,
	}
	opened := 0
	for name, spelling := range spellings {
		if a := s.get("/a.txt?download_token=" + spelling); a.StatusCode == http.StatusOK {
			opened++
			t.Logf("opened by: %s", name)
		}
	}
	if opened != 1 {
		t.Fatalf("opened %d times, want 1", opened)
	}
}
