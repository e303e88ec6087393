package downloadtoken

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func TestMount(t *testing.T) {
	for _, test := range []struct {
		asked, judged  string
		client, server string
		ok             bool
	}{
		{"/a/b", "/a/b", "", "", true},
		{"/", "/", "", "", true},
		{"/a/", "/a/index.html", "", "", true},
		{"/pub/a/b", "/a/b", "/pub", "", true},
		{"/pub/", "/", "/pub", "", true},
		{"/a/b", "/files/a/b", "", "/files", true},
		{"/x/a/b", "/y/z/a/b", "/x", "/y/z", true},
		{"/xa/b", "/ya/b", "/xa", "/ya", true},
		{"/x%61/%62", "/files/xa/b", "", "/files", true},
		{"/watch", "/v/index.html", "", "", false},
		{"/a%2fb", "/a/b", "", "", false},
		{"/x/../a", "/a", "", "", false},
	} {
		asked, err := url.Parse(test.asked)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := mountOf(asked, test.judged)
		if ok != test.ok || m.client != test.client || m.judged != test.server {
			t.Errorf("%s judged as %s: %+v, %v", test.asked, test.judged, m, ok)
		}
		if judged, ok := m.of(asked.Path); test.ok && (!ok || judged != test.judged && judged+"index.html" != test.judged) {
			t.Errorf("%s leads to %q, %v, want %s", test.asked, judged, ok, test.judged)
		}
	}
	m := mount{"/pub", "/files"}
	for path, want := range map[string]string{"/pub/a": "/files/a", "/pub/": "/files/", "/pub": "", "/public/a": "", "/a": ""} {
		if got, ok := m.of(path); ok != (want != "") || ok && got != want {
			t.Errorf("%s leads to %q, %v, want %q", path, got, ok, want)
		}
	}
}

const carrySecret = "secret-of-the-copies-0123456789-abcdefghij"

func withCopies(c Handler) *Handler {
	c.Carry = &Carry{Playlists: &CarryPlaylists{TTL: caddy.Duration(time.Minute), SignKey: &CarryKey{Alg: "HS256", Key: carrySecret}}}
	return &c
}

// judged is what becomes of a request with this token.
func judged(t testing.TB, h *Handler, text, path string) (*visit, error) {
	t.Helper()
	v := visiting(h, httptest.NewRecorder(), get(path+"?download_token="+text))
	if err := v.receive(); err != nil {
		t.Fatal(err)
	}
	return v, v.judge()
}

func TestCopyIsItsParent(t *testing.T) {
	h, _ := staged(t, withCopies(Handler{}))
	now := time.Now()
	h.now = func() time.Time { return now }
	h.rules = token.Rules{Issuers: []string{"i"}, HeaderTyps: []string{"dl+jwt"}, Require: []token.Requirement{{Claim: "n", Values: []string{"1"}}}, MaxTTL: time.Hour}
	made := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "i", "n": 1, "jti": "j", "sub": "u", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "x": map[string]any{"a": []any{nil, 1.5}},
		childClaim: "of somebody else", "typ": "a",
	})
	made.Header["typ"] = "dl+jwt"
	text, err := made.SignedString([]byte(stageSecret))
	if err != nil {
		t.Fatal(err)
	}
	parent, err := judged(t, h, text, "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	if parent.within != "" {
		t.Errorf("the claim means something in a token by another key: %q", parent.within)
	}
	child, err := judged(t, h, parent.copyFor("/a/"), "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	if child.fingerprint != parent.fingerprint || child.token.Key != parent.token.Key || child.token.KeyID != parent.token.KeyID || child.within != "/a/" {
		t.Errorf("the copy is %+v, the parent %+v", child.token, parent.token)
	}
	for _, name := range parent.token.Claims.Names() {
		want, _ := parent.token.Claims.Raw(name)
		if got, _ := child.token.Claims.Raw(name); name != "exp" && name != childClaim && string(got) != string(want) {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if exp := child.token.Claims.ExpiresAt; exp.After(now.Add(time.Minute)) || exp.Before(now.Add(time.Minute-2*time.Millisecond)) {
		t.Errorf("it expires in %v", exp.Sub(now))
	}
	if again, err := judged(t, h, child.copyFor("/a/c/"), "/a/c/d"); err != nil || again.token.Claims.ExpiresAt.After(child.token.Claims.ExpiresAt) {
		t.Errorf("a copy of a copy: %v", err)
	}
	for path, want := range map[string]error{"/a/c/d": nil, "/a/": nil, "/a": errScope, "/ab": errScope, "/": errScope, "/b/a/b": errScope} {
		if _, err := judged(t, h, parent.copyFor("/a/"), path); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if child.cookie() != "" || parent.cookie() != "" {
		t.Error("a cookie that is not configured")
	}

	// Never past the exp of the parent.
	now = now.Add(59*time.Minute + 30*time.Second)
	if parent, err = judged(t, h, text, "/a/b"); err != nil {
		t.Fatal(err)
	}
	late, err := judged(t, h, parent.copyFor("/a/"), "/a/b")
	if err != nil || !late.token.Claims.ExpiresAt.Equal(parent.token.Claims.ExpiresAt) {
		t.Errorf("%v", err)
	}
}

// TestCopyNeedsItsParent: the key that signs copies opens nothing by itself.
func TestCopyNeedsItsParent(t *testing.T) {
	h, _ := staged(t, withCopies(Handler{}))
	parent, err := judged(t, h, signed(t, nil), "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	c := h.carrier.children
	tag := c.tag(parent.token.Key)
	f := parent.fingerprint.String()
	say := func(change func(jwt.MapClaims, map[string]any)) string {
		claims := jwt.MapClaims{"exp": time.Now().Add(time.Minute).Unix()}
		from := map[string]any{"folder": "/a/", "alg": "HS256", "signer": tag, "fingerprint": f}
		claims[childClaim] = from
		change(claims, from)
		made := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
		header, _, _ := strings.Cut(c.header, ".")
		rest, err := made.SigningString()
		if err != nil {
			t.Fatal(err)
		}
		_, payload, _ := strings.Cut(rest, ".")
		signature, err := jwt.SigningMethodHS256.Sign(header+"."+payload, []byte(carrySecret))
		if err != nil {
			t.Fatal(err)
		}
		return header + "." + payload + "." + made.EncodeSegment(signature)
	}
	set := func(name string, value any) func(jwt.MapClaims, map[string]any) {
		return func(_ jwt.MapClaims, from map[string]any) {
			from[name] = value
			if value == nil {
				delete(from, name)
			}
		}
	}
	for name, test := range map[string]struct {
		change func(jwt.MapClaims, map[string]any)
		want   error
	}{
		"as it is":                {func(jwt.MapClaims, map[string]any) {}, nil},
		"without the claim":       {func(c jwt.MapClaims, _ map[string]any) { delete(c, childClaim) }, token.ErrClaim},
		"null":                    {func(c jwt.MapClaims, _ map[string]any) { c[childClaim] = nil }, token.ErrClaim},
		"a string":                {func(c jwt.MapClaims, _ map[string]any) { c[childClaim] = "/a/" }, token.ErrClaim},
		"without a folder":        {set("folder", nil), token.ErrClaim},
		"a folder without a root": {set("folder", "a/"), token.ErrClaim},
		"a folder without an end": {set("folder", "/a"), token.ErrClaim},
		"another folder":          {set("folder", "/b/"), errScope},
		"no fingerprint":          {set("fingerprint", nil), token.ErrClaim},
		"a short fingerprint":     {set("fingerprint", "00"), token.ErrClaim},
		"no hex":                  {set("fingerprint", "zzzzzzzzzzzzzzzz"), token.ErrClaim},
		"another signer":          {set("signer", strings.Repeat("0", len(tag))), token.ErrUnknownKey},
		"no signer":               {set("signer", nil), token.ErrUnknownKey},
		"another kid":             {set("kid", "k"), token.ErrUnknownKey},
		"another algorithm":       {set("alg", "HS512"), token.ErrAlgorithm},
		"expired":                 {func(c jwt.MapClaims, _ map[string]any) { c["exp"] = time.Now().Unix() }, token.ErrExpired},
		"without exp":             {func(c jwt.MapClaims, _ map[string]any) { delete(c, "exp") }, token.ErrClaim},
	} {
		if _, err := judged(t, h, say(test.change), "/a/b"); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	// A longer fingerprint must not write beyond its room.
	if _, err := judged(t, h, say(set("fingerprint", strings.Repeat("0", 64))), "/a/b"); !errors.Is(err, token.ErrClaim) {
		t.Errorf("a long fingerprint: %v", err)
	}

	copied := parent.copyFor("/a/")
	if _, err := judged(t, h, copied[:len(copied)-2], "/a/b"); err == nil {
		t.Error("a copy without all of its signature is accepted")
	}
	// Another directive with the same sign_key does not trust the parent's key.
	other, _ := staged(t, withCopies(Handler{}))
	key, _, err := token.ParseKey("HS256", "another-secret-0123456789-abcdefghijklmno")
	if err != nil {
		t.Fatal(err)
	}
	table, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	other.verifier = timed{plain: &token.Verifier{Keys: table}}
	if _, err := judged(t, other, copied, "/a/b"); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("where the key is not trusted: %v", err)
	}
	// The key may not speak for another issuer there.
	key, _, err = token.ParseKey("HS256", stageSecret)
	if err != nil {
		t.Fatal(err)
	}
	key.Issuer = "somebody"
	if table, err = token.NewTable(key); err != nil {
		t.Fatal(err)
	}
	other.verifier = timed{plain: &token.Verifier{Keys: table}}
	if _, err := judged(t, other, copied, "/a/b"); !errors.Is(err, token.ErrIssuer) {
		t.Errorf("where the key is bound to another issuer: %v", err)
	}
	// Without copies, it is a token by an unknown key.
	plain, _ := staged(t, new(Handler))
	if _, err := judged(t, plain, copied, "/a/b"); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("where nothing is carried: %v", err)
	}
}

func TestCopyThatIsTooLong(t *testing.T) {
	h, logs := staged(t, withCopies(Handler{}))
	parent, err := judged(t, h, signed(t, map[string]any{"x": strings.Repeat("x", 5900)}), "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	if parent.copyFor("/a/") != "" || parent.copyFor("/b/") != "" || logs.FilterMessageSnippet("short-lived").Len() != 1 {
		t.Errorf("%d lines", logs.FilterMessageSnippet("short-lived").Len())
	}
	links, ok := parent.links()
	if !ok || links.Sign(links.Page, "seg.ts", false) != "seg.ts" || links.Sign(links.Page, "i.m3u8", true) == "i.m3u8" {
		t.Error("a segment has a token that there is not")
	}
}

func TestCopiesAreCounted(t *testing.T) {
	h, _ := staged(t, withCopies(Handler{}))
	v, err := judged(t, h, signed(t, nil), "/a/i.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	links, _ := v.links()
	all := make(map[string]bool)
	for i := range maxCopied + 10 {
		ref := strings.Repeat("x", i+1) + "/seg.ts"
		if signed := links.Sign(links.Page, ref, false); signed != ref {
			all[signed[len(ref):]] = true
		}
		if links.Sign(links.Page, "x/other.ts", false) == "x/other.ts" {
			t.Fatal("a folder that has a copy")
		}
	}
	if len(all) != maxCopied {
		t.Errorf("%d copies", len(all))
	}
}

// based is a scope that knows where its things are, and one that does not.
type based struct {
	opening
	base string
}

func (b based) Base(scopes.Query) string { return b.base }

func TestCookiePath(t *testing.T) {
	open, listing := opening(scopes.Open), opening(scopes.ListingOnly)
	for name, test := range map[string]struct {
		scopes []scopes.Scope
		path   string
		want   string
	}{
		"of a scope of one's own":      {[]scopes.Scope{open}, "/a/b/c", "/"},
		"of the one that has opened":   {[]scopes.Scope{opening(scopes.Closed), based{listing, "/a"}, based{open, "/a/b"}}, "/a/b/c", "/a/b"},
		"not of a later one":           {[]scopes.Scope{open, based{open, "/a/b"}}, "/a/b/c", "/"},
		"a semicolon":                  {[]scopes.Scope{based{open, "/a/b;x"}}, "/a/b;x/c", "/a"},
		"a semicolon at the beginning": {[]scopes.Scope{based{open, "/;a/b"}}, "/;a/b/c", "/"},
		"escapes":                      {[]scopes.Scope{based{open, "/a b/c"}}, "/a%20b/%63/d", "/a%20b/%63"},
	} {
		h, _ := staged(t, &Handler{Carry: &Carry{Cookie: new(CarryCookie)}, scopes: test.scopes})
		v, err := judged(t, h, signed(t, nil), test.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.cookiePath(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
