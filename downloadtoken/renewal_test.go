package downloadtoken

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// served is the answer to a request whose next handler has this status and these
// fields.
func served(t testing.TB, h *Handler, r *http.Request, status int, fields ...string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	v := visiting(h, w, r)
	err := h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Add(fields[i], fields[i+1])
		}
		w.WriteHeader(status)
		if status == 200 {
			_, err := w.Write([]byte("x"))
			return err
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return w.Result()
}

// TestRenewalChain renews a token that is renewed, and each has the exp that the last
// request gives it, and for all else is the first.
func TestRenewalChain(t *testing.T) {
	h, _ := signing(t, renewing())
	now := time.Now().Truncate(time.Second)
	h.now = func() time.Time { return now }
	text := signed(t, map[string]any{
		"jti": nil, "exp": now.Add(10 * time.Second).Unix(), "x": map[string]any{"a": 1.5}, "sub": encrypted(t, "u"),
		"cdniuc": `regex:http://cdni\.example/foo/bar/[0-9]{3}\.ts`, "cdniets": 30, "cdnistt": 1, "cdnistd": 2,
	})
	first, reason := judgedURI(t, h, get("http://cdni.example/foo/bar/000.ts?URISigningPackage="+text))
	if reason != "" {
		t.Fatal(reason)
	}
	r := get("http://cdni.example/foo/bar/000.ts?URISigningPackage=" + text)
	for i := range 5 {
		answer := served(t, h, r, 200)
		cookies := answer.Cookies()
		if answer.StatusCode != 200 || len(cookies) != 1 {
			t.Fatalf("request %d: %d, %v", i, answer.StatusCode, answer.Header)
		}
		c := cookies[0]
		if c.Name != "URISigningPackage" || c.Path != "/foo/bar" || c.Domain != "" || !c.HttpOnly || c.Secure || c.SameSite != 0 || !c.Expires.Equal(now.Add(30*time.Second)) {
			t.Errorf("request %d: the cookie is %s", i, c)
		}
		if cc := answer.Header.Get("Cache-Control"); cc != "private, no-cache" {
			t.Errorf("request %d: %s", i, cc)
		}
		r = get("http://cdni.example/foo/bar/00" + string(rune('1'+i)) + ".ts")
		r.AddCookie(c)
		v, reason := judgedURI(t, h, r.Clone(t.Context()))
		if reason != "" {
			t.Fatal(reason)
		}
		if v.fingerprint != first.fingerprint || v.token.Key != first.token.Key || v.subject() != "u" || !v.token.Claims.ExpiresAt.Equal(now.Add(30*time.Second)) {
			t.Errorf("request %d: another token: %+v", i, v.token)
		}
		for _, name := range first.token.Claims.Names() {
			want, _ := first.token.Claims.Raw(name)
			if got, _ := v.token.Claims.Raw(name); name != "exp" && string(got) != string(want) {
				t.Errorf("request %d: %s is %s, want %s", i, name, got, want)
			}
		}
		now = now.Add(29 * time.Second)
	}
	now = now.Add(time.Second)
	if _, reason := judgedURI(t, h, r); reason != "expired" {
		t.Errorf("cdniets after the last request: %q", reason)
	}
}

// TestRenewalOverTLS: the cookie does not go over anything else, and comes along with what
// a player on the page of another site asks for.
func TestRenewalOverTLS(t *testing.T) {
	h, _ := signing(t, renewing())
	r := get("https://cdni.example/a?URISigningPackage=" + signed(t, map[string]any{"jti": nil, "cdniuc": hashOf("https://cdni.example/a"), "cdniets": 30, "cdnistt": 1}))
	cookies := served(t, h, r, 200).Cookies()
	if len(cookies) != 1 || !cookies[0].Secure || cookies[0].SameSite != http.SameSiteNoneMode || cookies[0].Path != "/" {
		t.Errorf("%v", cookies)
	}
}

// TestRenewalIsForAnswers: with 2xx and 3xx, never with a refusal, never where a shared
// cache may keep it, and never where RFC 9246 forbids it.
func TestRenewalIsForAnswers(t *testing.T) {
	type c = map[string]any
	const renewed, not = true, false
	for name, tt := range map[string]struct {
		claims c
		target string
		status int
		fields []string
		want   bool
	}{
		"200":                    {c{}, "/foo/bar/1.ts", 200, nil, renewed},
		"206":                    {c{}, "/foo/bar/1.ts", 206, nil, renewed},
		"304":                    {c{}, "/foo/bar/1.ts", 304, nil, renewed},
		"302":                    {c{}, "/foo/bar/1.ts", 302, []string{"Location", "/x"}, renewed},
		"404":                    {c{}, "/foo/bar/1.ts", 404, nil, not},
		"503":                    {c{}, "/foo/bar/1.ts", 503, nil, not},
		"a refusal":              {c{}, "/foo/bar/1.mp4", 200, nil, not},
		"an expired token":       {c{"exp": 1646867369}, "/foo/bar/1.ts", 200, nil, not},
		"a site that lets cache": {c{}, "/foo/bar/1.ts", 200, []string{"Cache-Control", "public, s-maxage=60", "CDN-Cache-Control", "max-age=60"}, renewed},
		"as deep as the path":    {c{"cdnistd": 3}, "/foo/bar/1.ts", 200, nil, renewed},
		"deeper than the path":   {c{"cdnistd": 4}, "/foo/bar/1.ts", 200, nil, not},
		"no transport":           {c{"cdnistt": 0}, "/foo/bar/1.ts", 200, nil, not},
		"in redirects only":      {c{"cdnistt": 2}, "/foo/bar/1.ts", 200, nil, not},
		"no renewal":             {c{"cdnistt": nil, "cdniets": nil}, "/foo/bar/1.ts", 200, nil, not},
	} {
		h, _ := signing(t, renewing())
		claims := c{"jti": nil, "cdniuc": `regex:http://cdni\.example/foo/bar/[0-9]\.ts`, "cdniets": 30, "cdnistt": 1, "cdnistd": 2}
		for claim, value := range tt.claims {
			claims[claim] = value
		}
		answer := served(t, h, get("http://cdni.example"+tt.target+"?URISigningPackage="+signed(t, claims)), tt.status, tt.fields...)
		if got := len(answer.Cookies()) > 0; got != tt.want {
			t.Errorf("%s: renewed: %v", name, got)
		}
		cc := answer.Header.Get("Cache-Control")
		if tt.want && (!strings.HasPrefix(cc, "private") || answer.Header.Get("Cdn-Cache-Control") != "" || !slices.Contains(answer.Header["Vary"], "Cookie")) {
			t.Errorf("%s: %v", name, answer.Header)
		}
	}
}

// TestRenewalInRedirects puts the next token into redirects to other hosts, and there
// only.
func TestRenewalInRedirects(t *testing.T) {
	h, _ := signing(t, renewing())
	text := signed(t, map[string]any{"jti": nil, "cdniuc": `regex:https?://.*`, "cdniets": 30, "cdnistt": 2})
	for location, want := range map[string]string{
		"http://other.example/a":                           "http://other.example/a?",
		"https://other.example/a?b=c#d":                    "https://other.example/a?b=c&",
		"//other.example/a":                                "//other.example/a?",
		"http://other.example/a?URISigningPackage=old&b=c": "http://other.example/a?b=c&",
		"http://cdni.example:8080/a":                       "",
		"/a":                                               "",
		"b":                                                "",
		"mailto:a@other.example":                           "",
		"ftp://other.example/a":                            "",
		"http://%zz/":                                      "",
		"":                                                 "",
	} {
		answer := served(t, h, get("http://cdni.example/a?URISigningPackage="+text), 302, "Location", location)
		got := answer.Header.Get("Location")
		if len(answer.Cookies()) > 0 {
			t.Errorf("%s: a cookie", location)
		}
		if want == "" {
			if got != location {
				t.Errorf("%s became %s", location, got)
			}
			continue
		}
		u, err := url.Parse(got)
		if err != nil || !strings.HasPrefix(got, want+"URISigningPackage=") || strings.Contains(location, "#d") != (u.Fragment == "d") {
			t.Errorf("%s became %s", location, got)
			continue
		}
		if cc := answer.Header.Get("Cache-Control"); !strings.HasPrefix(cc, "private") {
			t.Errorf("%s: %s", location, cc)
		}
		if _, reason := judgedURI(t, h, get("http://other.example"+u.RequestURI())); reason != "" {
			t.Errorf("%s: what comes back is refused: %s", location, reason)
		}
	}
}

// TestRenewalKeepsWhatWasUsed: all tokens of a chain are one for the store, which
// remembers what they have used until the chain has ended.
func TestRenewalKeepsWhatWasUsed(t *testing.T) {
	asked := &patient{}
	h := renewing()
	h.store = asked
	h, _ = signing(t, h)
	now := time.Now().Truncate(time.Second)
	start := now
	h.now = func() time.Time { return now }
	text := signed(t, map[string]any{"exp": now.Add(time.Minute).Unix(), "cdniuc": `regex:http://cdni\.example/a`, "cdniets": 6 * 3600, "cdnistt": 1})
	r := get("http://cdni.example/a?URISigningPackage=" + text)
	end := start.Add(time.Minute + maxChain)
	var expires []time.Duration
	for range 5 {
		answer := served(t, h, r, 200)
		if answer.StatusCode != 200 {
			break
		}
		c := answer.Cookies()[0]
		r = get("http://cdni.example/a")
		r.AddCookie(c)
		if expires = append(expires, c.Expires.Sub(start)); c.Expires.Equal(end) {
			now = end
		} else {
			now = c.Expires.Add(-time.Minute)
		}
	}
	if want := []time.Duration{6 * time.Hour, 12*time.Hour - time.Minute, end.Sub(start)}; !slices.Equal(expires, want) {
		t.Errorf("the tokens of the chain expire after %v, want %v", expires, want)
	}
	for i, q := range asked.queries {
		if q.Key != asked.queries[0].Key || !q.Expires.Equal(end) || q.Policy != "path index.html index.txt / jti renewed" || q.MaxTTL != 13*time.Hour+token.MaxTTLSlack {
			t.Errorf("request %d: the store was asked %+v", i, q)
		}
	}
}

// TestRenewalProlongsNoOther: a token that does not ask for its renewal is remembered until
// it expires.
func TestRenewalProlongsNoOther(t *testing.T) {
	asked := &patient{}
	h := renewing()
	h.store = asked
	h, _ = signing(t, h)
	exp := time.Now().Add(time.Minute).Truncate(time.Second)
	served(t, h, get("http://cdni.example/a?URISigningPackage="+signed(t, map[string]any{"exp": exp.Unix(), "cdniuc": hashOf("http://cdni.example/a")})), 200)
	if len(asked.queries) != 1 || !asked.queries[0].Expires.Equal(exp) || asked.queries[0].MaxTTL != time.Hour+token.MaxTTLSlack {
		t.Errorf("the store was asked %+v", asked.queries)
	}
}

// TestRenewalIsAcceptable: no token is made that max_ttl would refuse.
func TestRenewalIsAcceptable(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for name, tt := range map[string]struct {
		iat  any
		ends time.Duration
	}{"without iat": {nil, time.Hour}, "with iat": {now.Add(-40 * time.Minute).Unix(), 20 * time.Minute}} {
		h, _ := signing(t, renewing())
		h.now = func() time.Time { return now }
		h.rules.MaxTTL = time.Hour
		text := signed(t, map[string]any{"jti": nil, "iat": tt.iat, "exp": now.Add(10 * time.Minute).Unix(), "cdniuc": `regex:http://cdni\.example/a`, "cdniets": 7200, "cdnistt": 1})
		cookies := served(t, h, get("http://cdni.example/a?URISigningPackage="+text), 200).Cookies()
		if len(cookies) != 1 || !cookies[0].Expires.Equal(now.Add(tt.ends)) {
			t.Fatalf("%s: %v", name, cookies)
		}
		r := get("http://cdni.example/a")
		r.AddCookie(cookies[0])
		if _, reason := judgedURI(t, h, r); reason != "" {
			t.Errorf("%s: %s", name, reason)
		}
	}
}

// TestRenewalNeedsItsKey: without one the token is served, and the operator is warned
// once; and what another key has signed is not taken for renewed.
func TestRenewalNeedsItsKey(t *testing.T) {
	h, logs := signing(t, new(Handler))
	text := signed(t, map[string]any{"jti": nil, "cdniuc": `regex:http://cdni\.example/a`, "cdniets": 30, "cdnistt": 1})
	for range 2 {
		if answer := served(t, h, get("http://cdni.example/a?URISigningPackage="+text), 200); answer.StatusCode != 200 || len(answer.Cookies()) > 0 {
			t.Errorf("%d, %v", answer.StatusCode, answer.Header)
		}
	}
	if n := logs.FilterMessageSnippet("write renew and a key").Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
	with, _ := signing(t, renewing())
	c := served(t, with, get("http://cdni.example/a?URISigningPackage="+text), 200).Cookies()[0]
	r := get("http://cdni.example/a")
	r.AddCookie(c)
	if _, reason := judgedURI(t, h, r); reason != "unknown_key" {
		t.Errorf("a renewed token, where nothing is renewed: %q", reason)
	}
}
