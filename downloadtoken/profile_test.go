package downloadtoken

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
)

// The symmetric key of RFC 9246 Appendix A, and one that signs what is renewed.
const (
	encryptionKey = "base64:4uFxxV7fhNmrtiah2d1fFg=="
	renewSecret   = "secret-of-the-renewals-0123456789-abcdefghij"
)

// signing is a staged directive with the profile.
func signing(t testing.TB, h *Handler) (*Handler, *observer.ObservedLogs) {
	t.Helper()
	if h.Profile == nil {
		h.Profile = new(Profile)
	}
	h.Profile.Name = ProfileRFC9246
	h.Profile.Decrypt = []DecryptKey{{Alg: "dir", Key: encryptionKey}}
	if err := h.provisionProfile(); err != nil {
		t.Fatal(err)
	}
	staged, logs := staged(t, h)
	key, _, err := token.ParseKey("HS256", stageSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.provisionRenewal([]*token.Key{&key}); err != nil {
		t.Fatal(err)
	}
	if err := h.provisionAnswers(); err != nil { // with the cookie as a source
		t.Fatal(err)
	}
	h.profile.chains(h.oneTime)
	h.MaxTTL = 0
	return staged, logs
}

func renewing() *Handler {
	return &Handler{Profile: &Profile{Renew: &RenewKey{CarryKey: CarryKey{Alg: "HS256", Key: renewSecret}}}}
}

// hashOf is a container for one URI.
func hashOf(uri string) string {
	sum := sha256.Sum256([]byte(uri))
	return "hash:sha-256;" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// encrypted is a JWE by the key of Appendix A.
func encrypted(t testing.TB, text string) string {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(encryptionKey, "base64:"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := e.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := sealed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// judgedURI is what becomes of a request, by the way of ServeHTTP and by that of Explain.
func judgedURI(t testing.TB, h *Handler, r *http.Request) (*visit, string) {
	t.Helper()
	explained, _, _ := h.Explain(visiting(h, httptest.NewRecorder(), r.Clone(r.Context())).r)
	v := visiting(h, httptest.NewRecorder(), r)
	err := v.receive()
	if err == nil {
		err = v.judge()
	}
	reason := ""
	if err != nil {
		reason = denialOf(err).reason
	}
	if reason != explained {
		t.Errorf("%s: Explain says %q", reason, explained)
	}
	return v, reason
}

// TestProfileJudges: each fault of a token has its reason and its code, and a token with
// several has the first in the order of the checks.
func TestProfileJudges(t *testing.T) {
	const uri = "http://cdni.example/foo/bar"
	h, _ := signing(t, &Handler{})
	type c = map[string]any
	for name, tt := range map[string]struct {
		claims c
		reason string
		code   string
	}{
		"simple":               {c{}, "", "200"},
		"an expression":        {c{"cdniuc": `regex:http://cdni\.example/foo/[a-z]+`}, "", "200"},
		"everything":           {c{"cdniv": 1, "sub": encrypted(t, "UserToken"), "cdniip": encrypted(t, "192.0.2.0/24"), "jti": "5DAafLhZAfhsbe", "cdniets": 30, "cdnistt": 1, "cdnistd": 2}, "", "200"},
		"expired":              {c{"exp": 1646867369}, "expired", "404"},
		"no exp":               {c{"exp": nil}, "claim", "500"},
		"not yet":              {c{"nbf": time.Now().Add(time.Hour).Unix()}, "not_yet_valid", "405"},
		"an issuer":            {c{"iss": "uCDN Inc"}, "issuer", "401"},
		"an empty issuer":      {c{"iss": ""}, "issuer", "401"},
		"an audience":          {c{"aud": "dCDN LLC"}, "audience", "403"},
		"version 2":            {c{"cdniv": 2}, "version", "408"},
		"critical":             {c{"cdnicrit": "new", "new": 1}, "critical", "409"},
		"a plain subject":      {c{"sub": "UserToken"}, "subject", "402"},
		"a plain address":      {c{"cdniip": "192.0.2.1"}, "client_ip", "410"},
		"another address":      {c{"cdniip": encrypted(t, "198.51.100.7")}, "client_ip", "410"},
		"only cdniets":         {c{"cdniets": 30}, "renewal", "406"},
		"only cdnistt":         {c{"cdnistt": 1}, "renewal", "406"},
		"no container":         {c{"cdniuc": nil}, "scope", "411"},
		"another URI":          {c{"cdniuc": hashOf(uri + "/")}, "scope", "411"},
		"another scheme":       {c{"cdniuc": hashOf("https://cdni.example/foo/bar")}, "scope", "411"},
		"a part":               {c{"cdniuc": `regex:http://cdni\.example/foo`}, "scope", "411"},
		"another kind":         {c{"cdniuc": "glob:*"}, "scope", "411"},
		"expired and critical": {c{"exp": 1, "cdnicrit": "a"}, "expired", "404"},
		"version and subject":  {c{"cdniv": 2, "sub": "a", "cdniuc": "x"}, "version", "408"},
		"container, address":   {c{"cdniuc": hashOf("x"), "cdniip": encrypted(t, "198.51.100.7")}, "scope", "411"},
	} {
		claims := c{"jti": nil, "cdniuc": hashOf(uri)}
		for claim, value := range tt.claims {
			claims[claim] = value
		}
		r := get(uri + "?URISigningPackage=" + signed(t, claims))
		_, reason := judgedURI(t, h, r)
		if reason != tt.reason || uriCode(reason) != tt.code {
			t.Errorf("%s: %q, code %s, want %q, %s", name, reason, uriCode(reason), tt.reason, tt.code)
		}
	}
}

// TestProfileVectors accepts the tokens of RFC 9246 Appendix A for their URIs while they
// are valid, and each for no other URI, at no other time, and for no other client.
func TestProfileVectors(t *testing.T) {
	content, err := os.ReadFile("../internal/cdni/testdata/rfc9246_appendix_a.json")
	if err != nil {
		t.Fatal(err)
	}
	type vector struct{ JWT string }
	var all struct {
		JWKS    jose.JSONWebKeySet
		Simple  vector
		Complex vector
		Renewal vector `json:"renewal_1"`
		Renewed vector `json:"renewal_2"`
	}
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	key, err := token.NewKey("ES256", all.JWKS.Keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	key.ID = all.JWKS.Keys[0].KeyID
	table, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text, path, other string
	}{
		{all.Simple.JWT, "/foo/bar", "/foo/bar/"},
		{all.Complex.JWT, "/foo/bar/001.png", "/foo/bar/0001.png"},
		{all.Renewal.JWT, "/foo/bar/001.ts", "/foo/bar/001ts"},
		{all.Renewed.JWT, "/foo/bar/999.ts", "/foo/bar/999.ts/"},
	} {
		elsewhere := ""
		if tt.text == all.Complex.JWT {
			elsewhere = "client_ip"
		}
		for _, attempt := range []struct {
			path, client string
			at           int64
			reason       string
		}{
			{tt.path, "2001:db8:ffff::1", 1646867368, ""},
			{tt.path, "2001:db8::1", 1646780969, ""},
			{tt.path, "2001:db9::1", 1646867368, elsewhere},
			{tt.other, "2001:db8::1", 1646867368, "scope"},
			{tt.path, "2001:db8::1", 1646867399, "expired"},
		} {
			h, _ := signing(t, new(Handler))
			h.verifier, h.rules.Issuers = timed{plain: &token.Verifier{Keys: table}}, nil
			h.Issuer = []string{"uCDN Inc"} // rules would ask all for it, and two have none
			if tt.text == all.Complex.JWT {
				h.rules.Audiences = []string{"dCDN LLC"}
			}
			h.now = func() time.Time { return time.Unix(attempt.at, 0) }
			v := visiting(h, httptest.NewRecorder(), get("http://cdni.example"+attempt.path+"?URISigningPackage="+tt.text))
			caddyhttp.SetVar(v.r.Context(), caddyhttp.ClientIPVarKey, attempt.client)
			err := v.receive()
			if err == nil {
				err = v.judge()
			}
			reason := ""
			if err != nil {
				reason = denialOf(err).reason
			}
			if reason != attempt.reason {
				t.Errorf("%s at %d: %q, want %q", attempt.path, attempt.at, reason, attempt.reason)
			}
		}
	}
}

// TestProfileIssuer: an iss is accepted that is configured, or bound to the key.
func TestProfileIssuer(t *testing.T) {
	const uri = "http://cdni.example/a"
	text := signed(t, map[string]any{"jti": nil, "iss": "i", "cdniuc": hashOf(uri)})
	h, _ := signing(t, new(Handler))
	h.Issuer = []string{"i"}
	if _, reason := judgedURI(t, h, get(uri+";URISigningPackage="+text)); reason != "" {
		t.Errorf("configured: %s", reason)
	}
	h, _ = signing(t, new(Handler))
	key, _, err := token.ParseKey("HS256", stageSecret)
	if err != nil {
		t.Fatal(err)
	}
	key.Issuer = "i"
	table, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	h.verifier = timed{plain: &token.Verifier{Keys: table}}
	if _, reason := judgedURI(t, h, get(uri+";URISigningPackage="+text)); reason != "" {
		t.Errorf("bound to the key: %s", reason)
	}
}

// TestProfileFinds: in the query, in the path and in the cookie, and the first that is
// there decides.
func TestProfileFinds(t *testing.T) {
	const uri = "http://cdni.example/a/b.ts"
	h, _ := signing(t, new(Handler))
	good := signed(t, map[string]any{"jti": nil, "cdniuc": `regex:http://cdni\.example/a/b\.ts(\?q=1)?`})
	bad := signed(t, map[string]any{"jti": nil, "cdniuc": hashOf("x")})
	cookie := func(values ...string) []string {
		for i := range values {
			values[i] = "URISigningPackage=" + values[i]
		}
		return []string{"Cookie", strings.Join(values, "; ")}
	}
	for name, tt := range map[string]struct {
		target string
		header []string
		reason string
		path   string
	}{
		"query":                     {uri + "?URISigningPackage=" + good, nil, "", "/a/b.ts"},
		"query with more":           {uri + "?q=1&URISigningPackage=" + good, nil, "", "/a/b.ts"},
		"query before more":         {uri + "?URISigningPackage=" + good + "&q=1", nil, "", "/a/b.ts"},
		"query with something else": {uri + "?q=2&URISigningPackage=" + good, nil, "scope", "/a/b.ts"},
		"path":                      {uri + ";URISigningPackage=" + good, nil, "", "/a/b.ts"},
		"path and a query":          {uri + ";URISigningPackage=" + good + "?q=1", nil, "", "/a/b.ts"},
		"path, in the middle":       {"http://cdni.example/a;URISigningPackage=" + good + "/b.ts", nil, "", "/a/b.ts"},
		"path that leads elsewhere": {"http://cdni.example/a/b.ts;URISigningPackage=" + good + "/../secret", nil, "bad_path", ""},
		"cookie":                    {uri, cookie(good), "", "/a/b.ts"},
		"two cookies":               {uri, cookie(good, bad), "", "/a/b.ts"},
		"two cookies, other order":  {uri, cookie(bad, good), "scope", "/a/b.ts"},
		"query before path":         {uri + ";URISigningPackage=" + bad + "?URISigningPackage=" + good, nil, "", "/a/b.ts"},
		"a bad one before good":     {uri + ";URISigningPackage=" + good + "?URISigningPackage=" + bad, cookie(good), "scope", "/a/b.ts"},
		"twice":                     {uri + "?URISigningPackage=" + good + "&URISigningPackage=" + good, nil, "ambiguous", ""},
		"none":                      {uri, nil, "missing", ""},
		"another name":              {uri + "?download_token=" + good, nil, "missing", ""},
	} {
		v, reason := judgedURI(t, h, get(tt.target, tt.header...))
		if reason != tt.reason || tt.path != "" && (v.path != tt.path || v.r.URL.Path != tt.path || strings.Contains(v.r.RequestURI, "URISigningPackage")) {
			t.Errorf("%s: %q for %s, %s", name, reason, v.path, v.r.RequestURI)
		}
	}
}

// TestProfileTarget: the container is for what the client asked for, whatever Caddy makes
// of it.
func TestProfileTarget(t *testing.T) {
	h, _ := signing(t, new(Handler))
	of := func(target string, change func(*http.Request)) cdni.Target {
		r := visiting(h, httptest.NewRecorder(), get(target)).r
		change(r)
		return targetOf(r)
	}
	trust := func(r *http.Request) { caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true) }
	for name, tt := range map[string]struct {
		target string
		change func(*http.Request)
		want   cdni.Target
	}{
		"plain":                     {"http://a.example:8080/b?c", func(*http.Request) {}, cdni.Target{Scheme: "http", Host: "a.example:8080", RequestURI: "/b?c"}},
		"rewritten":                 {"http://a.example/b%2Fc", func(r *http.Request) { r.URL.Path, r.URL.RawPath, r.RequestURI = "/x", "", "/x" }, cdni.Target{Scheme: "http", Host: "a.example", RequestURI: "/b%2Fc"}},
		"over TLS":                  {"http://a.example/b", func(r *http.Request) { r.TLS = new(tls.ConnectionState) }, cdni.Target{Scheme: "https", Host: "a.example", RequestURI: "/b"}},
		"a proxy says so":           {"http://a.example/b", func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, cdni.Target{Scheme: "http", Host: "a.example", RequestURI: "/b"}},
		"a trusted proxy says so":   {"http://a.example/b", func(r *http.Request) { trust(r); r.Header.Set("X-Forwarded-Proto", "https") }, cdni.Target{Scheme: "https", Host: "a.example", RequestURI: "/b"}},
		"a trusted proxy says http": {"http://a.example/b", func(r *http.Request) { trust(r); r.Header.Set("X-Forwarded-Proto", "http") }, cdni.Target{Scheme: "http", Host: "a.example", RequestURI: "/b"}},
	} {
		if got := of(tt.target, tt.change); got != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for absolute, want := range map[string]string{
		"http://a.example/b?c=d://e/f": "/b?c=d://e/f", "http://a.example?b=/c": "?b=/c", "/b?c=http://d/e": "/b?c=http://d/e", "http://a.example": "",
		"x:/b?c=d://e/f": "x:/b?c=d://e/f", "x:/b://c/d": "x:/b://c/d",
	} {
		r := get("http://a.example/")
		r.RequestURI = absolute // as net/http has it when it is sent to a proxy
		if got := targetOf(visiting(h, httptest.NewRecorder(), r).r).RequestURI; got != want {
			t.Errorf("%s: %s", absolute, got)
		}
	}
}

// TestProfileOtherFile: a token opens no other file, however the target is written for which
// the container is compared with its URI, and whatever a rewrite in front has made of it.
func TestProfileOtherFile(t *testing.T) {
	h, _ := signing(t, new(Handler))
	for name, tt := range map[string]struct {
		container, host, target, rewritten, reason string
	}{
		"without a rewrite":           {"/a/b/c", "cdni.example", "/a/b/c?P", "", ""},
		"rewritten":                   {"/a/b/c", "cdni.example", "/a/b/c?P", "/c", ""},
		"an empty segment that goes":  {"/a/b/c", "cdni.example", "/a/b//../c?P", "/a/c", "bad_path"},
		"with encoded dots":           {"/a/b/c", "cdni.example", "/a/b//%2e%2E/c?P", "/a/c", "bad_path"},
		"a package between the dots":  {"/a/c", "cdni.example", "/a/b/..;P/c", "/a/c", "bad_path"},
		"a package before a slash":    {"/a//c", "cdni.example", "/a/;P/c", "/a/c", "bad_path"},
		"an encoded slash":            {"/a%2Fc", "cdni.example", "/a%2Fc?P", "/a/c", "bad_path"},
		"a scheme before a path":      {"/open", "cdni.example", "x:/secret?P&a=://b/open", "", "bad_path"},
		"the host's before a path":    {"/open", "cdni.example", "http:/secret?P&a=http://cdni.example/open", "", "bad_path"},
		"the host, in absolute form":  {"/open", "cdni.example", "http://cdni.example/open?P", "", ""},
		"a host that is encoded":      {"/open", "cdni%2Eexample", "/open?P", "", "scope"},
		"a host in other letters":     {"/open", "CDNI.example:80", "/open?P", "", ""},
		"another one, with that name": {"/open", "cdni.example@b", "/open?P", "", "scope"},
	} {
		r := get("http://cdni.example/")
		r.Host = tt.host
		r.RequestURI = strings.Replace(tt.target, "P", "URISigningPackage="+signed(t, map[string]any{"jti": nil, "cdniuc": hashOf("http://cdni.example" + tt.container)}), 1)
		var err error
		if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil {
			t.Fatal(err)
		}
		v := visiting(h, httptest.NewRecorder(), r)
		if tt.rewritten != "" {
			v.r.URL.Path, v.r.URL.RawPath = tt.rewritten, ""
			if strings.Contains(tt.target, ";P") {
				_, parameter, _ := strings.Cut(r.RequestURI, ";")
				parameter, _, _ = strings.Cut(parameter, "/")
				v.r.URL.Path += ";" + parameter
			}
			v.r.RequestURI = v.r.URL.RequestURI()
		}
		if err = v.receive(); err == nil {
			err = v.judge()
		}
		reason := ""
		if err != nil {
			reason = denialOf(err).reason
		}
		if reason != tt.reason {
			t.Errorf("%s: %q, want %q", name, reason, tt.reason)
		}
	}
}

// TestProfileOnce: a token with a jti is asked for at the store by its jti and path, one
// without is not.
func TestProfileOnce(t *testing.T) {
	asked := &patient{}
	h, _ := signing(t, &Handler{store: asked})
	container := `regex:http://cdni\.example/[ab]`
	serve := func(path, text string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		v := visiting(h, w, get("http://cdni.example"+path+"?URISigningPackage="+text))
		if err := h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Etag", `"e"`)
			_, err := w.Write([]byte("x"))
			return err
		})); err != nil {
			t.Fatal(err)
		}
		return w
	}
	many := serve("/a", signed(t, map[string]any{"jti": nil, "cdniuc": container}))
	if !slices.Equal(asked.asked, []string{"revoked"}) || many.Code != 200 || !strings.HasPrefix(many.Header().Get("Cache-Control"), "private, max-age=") {
		t.Errorf("without a jti: %q, %v", asked.asked, many.Header())
	}
	once := signed(t, map[string]any{"jti": "j", "cdniuc": container})
	for _, path := range []string{"/a", "/b", "/a"} {
		if w := serve(path, once); w.Code != 200 || w.Header().Get("Cache-Control") != "private, no-store" || w.Header().Get("Accept-Ranges") != "none" {
			t.Errorf("with a jti: %v", w.Header())
		}
	}
	if len(asked.queries) != 3 || asked.queries[0].Key != asked.queries[2].Key || asked.queries[0].Key == asked.queries[1].Key {
		t.Errorf("the store was asked %+v", asked.queries)
	}
}

// TestProfilePastExp: a grant outlives its token, but a token without a jti has no grant.
func TestProfilePastExp(t *testing.T) {
	h, _ := signing(t, &Handler{OneTime: &OneTime{Resume: &Resume{Window: 3600e9, PastExp: true}}})
	const uri = "http://cdni.example/a"
	for name, tt := range map[string]struct {
		jti  any
		want error
	}{"with a jti": {"j", nil}, "without": {nil, token.ErrExpired}} {
		text := signed(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix(), "cdniuc": hashOf(uri), "jti": tt.jti})
		v := visiting(h, httptest.NewRecorder(), get(uri+"?URISigningPackage="+text))
		if err := v.receive(); err != nil {
			t.Fatal(err)
		}
		if err := v.judge(); err != tt.want || v.past != (tt.want == nil) {
			t.Errorf("%s: %v, past %v", name, err, v.past)
		}
	}
}

// TestProfileStatus: every 401 is a 403, unless another one is configured.
func TestProfileStatus(t *testing.T) {
	h, _ := signing(t, &Handler{Status: []Status{{Code: 410, Reason: []string{"expired"}}}})
	for _, d := range denials {
		want := d.status
		switch {
		case d.reason == "expired":
			want = 410
		case want == 401:
			want = 403
		}
		if got := h.refusals[d].status; got != want {
			t.Errorf("%s: %d, want %d", d.reason, got, want)
		}
	}
	h, _ = signing(t, &Handler{Status: []Status{{Code: 404}}})
	if got := h.refusals[denialOf(errScope)].status; got != 404 {
		t.Errorf("status 404 makes it %d", got)
	}
}

// TestProfileSays: who the token is for is known to placeholders and revocations, and the
// code to the log. (That of requests is looked at in e2e.)
func TestProfileSays(t *testing.T) {
	h, logs := signing(t, new(Handler))
	const uri = "http://cdni.example/a"
	text := signed(t, map[string]any{"jti": nil, "sub": encrypted(t, "UserToken"), "cdniuc": hashOf(uri)})
	for target, want := range map[string][2]string{uri: {"200", ""}, uri + "b": {"411", "scope"}} {
		v := visiting(h, httptest.NewRecorder(), get(target+"?URISigningPackage="+text))
		if err := h.ServeHTTP(v.w, v.r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write([]byte("x"))
			return err
		})); err != nil {
			t.Fatal(err)
		}
		sub := "UserToken"
		if want[1] != "" {
			sub = ""
		}
		if got := v.placeholder("http.download_token.sub"); got != sub || v.placeholder(userID) != sub {
			t.Errorf("sub is %q", got)
		}
	}
	refusals := logs.FilterMessage("request refused").All()
	if len(refusals) != 1 || refusals[0].ContextMap()["s-uri-signing"] != "411" || refusals[0].ContextMap()["s-uri-signing-deny-reason"] != "scope" {
		t.Errorf("%+v", refusals)
	}
	v, _ := judgedURI(t, h, get(uri+"?URISigningPackage="+text))
	if r := v.revocable(); !slices.Equal(r.Subjects, []string{"UserToken"}) {
		t.Errorf("can be revoked for %q", r.Subjects)
	}
}

// TestProfileOpensTheRequestOnly: a container says nothing of other paths than that of the
// request, and an address is the same in IPv6.
func TestProfileOpensTheRequestOnly(t *testing.T) {
	h, _ := signing(t, new(Handler))
	v, reason := judgedURI(t, h, get("http://cdni.example/a/?URISigningPackage="+signed(t, map[string]any{
		"jti": nil, "cdniuc": `regex:http://cdni\.example/.*`, "cdniip": encrypted(t, "192.0.2.1"),
	})))
	if reason != "" { // 192.0.2.1 is the client of httptest
		t.Fatal(reason)
	}
	for client, bound := range map[string]bool{"192.0.2.1": false, "::ffff:192.0.2.1": false, "192.0.2.2": true, "": true} {
		caddyhttp.SetVar(v.r.Context(), caddyhttp.ClientIPVarKey, client)
		if v.bound() != bound {
			t.Errorf("for %q: %v", client, !bound)
		}
	}
	for path, want := range map[string]scopes.Opening{"/a/": scopes.Open, "/a": scopes.Closed, "/b": scopes.Closed, "/a/b": scopes.Closed} {
		if got := v.contains(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	v.uri.claims.Renewal = &cdni.Renewal{Extension: time.Minute, Transport: cdni.InCookie}
	h.profile.renewals = new(children)
	for _, past := range []bool{false, true} { // past its exp, a token only joins its grant
		if v.past = past; (v.renewal() != nil) == past {
			t.Errorf("past %v: it is renewed: %v", past, past)
		}
	}
}
