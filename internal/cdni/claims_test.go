package cdni

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// vector is one of Appendix A.
type vector struct {
	Claims map[string]any `json:"claims"`
	JWT    string         `json:"jwt"`
}

// appendix is Appendix A of RFC 9246.
type appendix struct {
	JWKS         jose.JSONWebKeySet `json:"jwks"`
	URISegmentOf struct {
		URI     string `json:"uri"`
		Segment string `json:"segment"`
	} `json:"uri_segment_of"`
	Simple  vector `json:"simple"`
	Complex struct {
		vector
		ClientIP string `json:"cdniip_plain"`
		Subject  string `json:"sub_plain"`
	} `json:"complex"`
	First   vector `json:"renewal_1"`
	Renewed vector `json:"renewal_2"`
}

// stage has what a CDN of Appendix A is configured with.
type stage struct {
	appendix
	verifier token.Verifier
	keys     *Keys
	private  any
	kid      string
}

// then is a time at which the tokens of Appendix A are valid.
var then = time.Unix(1646800000, 0)

func newStage(t testing.TB) *stage {
	t.Helper()
	data, err := os.ReadFile("testdata/rfc9246_appendix_a.json")
	if err != nil {
		t.Fatal(err)
	}
	s := new(stage)
	if err := json.Unmarshal(data, &s.appendix); err != nil {
		t.Fatal(err)
	}
	jwks := s.JWKS.Keys // public, private, secret
	if len(jwks) != 3 {
		t.Fatal(len(jwks))
	}
	key, err := token.NewKey("ES256", jwks[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	key.ID, s.private, s.kid = jwks[0].KeyID, jwks[1].Key, jwks[0].KeyID
	table, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	s.verifier.Keys = table
	secret, err := jwks[2].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	s.keys = newKeys(t, Key{Alg: "dir", Secret: string(secret)})
	return s
}

// sign makes a token of claims.
func (s *stage) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	made := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	made.Header["kid"] = s.kid
	text, err := made.SignedString(s.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// judge does with a token what the handler does, as far as a request is concerned that
// comes from an address for a URI. The code is that of what it ends with.
func (s *stage) judge(text, address, uri string, now time.Time) (claims *Claims, code int) {
	rules := token.Rules{Issuers: []string{"uCDN Inc"}, Audiences: []string{"dCDN LLC"}}
	verified, err := s.verifier.Verify(context.Background(), text)
	if err == nil {
		if verified.Claims.Issuer == "" {
			rules.Issuers = nil
		}
		if !verified.Claims.Has("aud") {
			rules.Audiences = nil
		}
		err = rules.Accept(verified, now)
	}
	if err == nil {
		claims, err = Read(&verified.Claims, s.keys)
	}
	switch {
	case err != nil:
	case claims.Bound && !claims.Client.Contains(netip.MustParseAddr(address)):
		err = ErrClientIP
	case !claims.Container.Matches(uri):
		err = ErrContainer
	}
	for _, row := range []struct {
		err    error
		reason string
	}{
		{token.ErrMalformed, "malformed"}, {token.ErrUnknownKey, "unknown_key"}, {token.ErrAlgorithm, "algorithm"},
		{token.ErrSignature, "signature"}, {token.ErrCritical, "critical"}, {token.ErrClaim, "claim"}, {token.ErrExpired, "expired"},
		{token.ErrNotYetValid, "not_yet_valid"}, {token.ErrIssuer, "issuer"}, {token.ErrAudience, "audience"},
		{ErrVersion, "version"}, {ErrCritical, "critical"}, {ErrSubject, "subject"}, {ErrClientIP, "client_ip"},
		{ErrRenewal, "renewal"}, {ErrContainer, "scope"},
	} {
		if errors.Is(err, row.err) {
			return claims, Code(row.reason)
		}
	}
	if err != nil {
		return claims, -1
	}
	return claims, Code("")
}

const (
	simpleURI  = "http://cdni.example/foo/bar"
	complexURI = "http://cdni.example/foo/bar/123.png"
	renewalURI = "http://cdni.example/foo/bar/001.ts"
	client     = "2001:db8::7"
)

// TestAppendixA: the published tokens are genuine, say what is printed, and open what
// they are for and nothing else.
func TestAppendixA(t *testing.T) {
	s := newStage(t)
	for name, tt := range map[string]struct {
		vector
		uri    string
		others []string
	}{
		"simple": {s.Simple, simpleURI, []string{"http://cdni.example/foo/bar/", "http://cdni.example/foo", "https://cdni.example/foo/bar", "http://cdni.example/foo/bar?x=1"}},
		"complex": {s.Complex.vector, complexURI, []string{"http://cdni.example/foo/bar/1234.png", "http://cdni.example/foo/bar/12.png", "http://cdni.example/foo/bar/abc.png",
			"http://cdni.example/foo/bar/123.pngx", "http://cdni.example/foo/bar/123.png?x", "http://cdnixexample/foo/bar/123.png", "http://evil.example/http://cdni.example/foo/bar/123.png"}},
		"renewal, first":   {s.First, renewalURI, []string{"http://cdni.example/foo/bar/001.tsx", "http://cdni.example/foo/bar/001_ts"}},
		"renewal, renewed": {s.Renewed, renewalURI, []string{"http://cdni.example/foo/bar/0001.ts"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, printed, err := token.Decode(tt.JWT)
			if err != nil {
				t.Fatal(err)
			}
			if want, got := inOrder(t, tt.Claims), inOrder(t, printed); want != got {
				t.Errorf("claims %s, want %s", got, want)
			}
			if _, code := s.judge(tt.JWT, client, tt.uri, then); code != CodeOK {
				t.Errorf("code %d", code)
			}
			for _, uri := range tt.others {
				if _, code := s.judge(tt.JWT, client, uri, then); code != CodeContainer {
					t.Errorf("%s: code %d", uri, code)
				}
			}
			exp := int64(tt.Claims["exp"].(float64))
			if _, code := s.judge(tt.JWT, client, tt.uri, time.Unix(exp, -1)); code != CodeOK {
				t.Errorf("a moment before exp: code %d", code)
			}
			if _, code := s.judge(tt.JWT, client, tt.uri, time.Unix(exp, 0)); code != CodeExpired {
				t.Errorf("at exp: code %d", code)
			}
			if _, code := s.judge(tt.JWT[:len(tt.JWT)-4]+"AAAA", client, tt.uri, then); code != CodeSignature {
				t.Errorf("forged: code %d", code)
			}
		})
	}
	segment := "hash:" + s.URISegmentOf.Segment
	if c, err := ParseContainer(segment); err != nil || segment != s.Simple.Claims["cdniuc"] || !c.Matches(s.URISegmentOf.URI) {
		t.Errorf("%s, %v", segment, err)
	}
	claims, _ := s.judge(s.Complex.JWT, client, complexURI, then)
	if claims.Subject != s.Complex.Subject || claims.Client != netip.MustParsePrefix("2001:db8::/32") || s.Complex.ClientIP != "[2001:db8::1/32]" {
		t.Errorf("subject %q, client %v", claims.Subject, claims.Client)
	}
	claims, _ = s.judge(s.First.JWT, client, renewalURI, then)
	if want := (Renewal{30 * time.Second, InCookie, 2}); claims.Renewal == nil || *claims.Renewal != want {
		t.Errorf("renewal %v", claims.Renewal)
	}
}

// inOrder is JSON with the names in order.
func inOrder(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		var members map[string]any
		if err = json.Unmarshal(data, &members); err == nil {
			data, err = json.Marshal(members)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDerived: the tokens of Appendix A with one claim more, less or changed get the
// code of RFC 9246 section 6.4.
func TestDerived(t *testing.T) {
	s := newStage(t)
	secret := s.JWKS.Keys[2].Key
	sealed := func(text string) string { return encrypt(t, jose.DIRECT, jose.A128GCM, secret, "", text, "") }
	type set = map[string]any
	for _, tt := range []struct {
		name   string
		claims set // over those of A.2; nil: without it
		code   int
	}{
		{"as it is", nil, CodeOK},
		{"nothing but what has to be", set{"aud": nil, "sub": nil, "cdniip": nil, "cdniv": nil, "iat": nil, "iss": nil, "jti": nil, "nbf": nil}, CodeOK},

		{"another issuer", set{"iss": "Evil Inc"}, CodeIssuer},
		{"another audience", set{"aud": "xCDN LLC"}, CodeAudience},
		{"several audiences", set{"aud": []string{"xCDN LLC", "dCDN LLC"}}, CodeOK},
		{"expired", set{"exp": then.Unix()}, CodeExpired},
		{"not valid yet", set{"nbf": then.Unix() + 1}, CodeNotBefore},
		{"just valid", set{"nbf": then.Unix()}, CodeOK},

		{"version 2", set{"cdniv": 2}, CodeVersion},
		{"version 0", set{"cdniv": 0}, CodeVersion},
		{"version 1.5", set{"cdniv": 1.5}, CodeVersion},
		{"version as text", set{"cdniv": "1"}, CodeVersion},
		{"version null", set{"cdniv": json.RawMessage("null")}, CodeVersion},

		{"an extension", set{"cdnicrit": "x", "x": 1}, CodeCritical},
		{"an extension that is not there", set{"cdnicrit": "x"}, CodeCritical},
		{"an extension twice", set{"cdnicrit": "x,x", "x": 1}, CodeCritical},
		{"a claim of the RFC as an extension", set{"cdnicrit": "exp"}, CodeCritical},
		{"no extensions", set{"cdnicrit": ""}, CodeCritical},
		{"extensions as a list", set{"cdnicrit": []string{}}, CodeCritical},

		{"a subject in the clear", set{"sub": "UserToken"}, CodeSubject},
		{"an empty subject", set{"sub": ""}, CodeSubject},
		{"a subject for another key", set{"sub": encrypt(t, jose.DIRECT, jose.A128GCM, secret16, "", "UserToken", "")}, CodeSubject},
		{"a subject that is signed", set{"sub": s.Simple.JWT}, CodeSubject},
		{"an empty subject that is encrypted", set{"sub": sealed("")}, CodeOK},

		{"a client in the clear", set{"cdniip": "2001:db8::7"}, CodeClientIP},
		{"a client that is no text", set{"cdniip": 7}, CodeClientIP},
		{"a client for another key", set{"cdniip": encrypt(t, jose.DIRECT, jose.A128GCM, secret16, "", client, "")}, CodeClientIP},
		{"a client that is none", set{"cdniip": sealed("example.com")}, CodeClientIP},
		{"another client", set{"cdniip": sealed("2001:db8::8")}, CodeClientIP},
		{"another range", set{"cdniip": sealed("2001:db9::/32")}, CodeClientIP},
		{"another family", set{"cdniip": sealed("0.0.0.0/0")}, CodeClientIP},
		{"the client", set{"cdniip": sealed(client)}, CodeOK},
		{"the client's range", set{"cdniip": sealed("2001:db8::/48")}, CodeOK},

		{"cdniets alone", set{"cdniets": 30}, CodeRenewal},
		{"cdnistt alone", set{"cdnistt": 1}, CodeRenewal},
		{"cdnistt 0 alone", set{"cdnistt": 0}, CodeRenewal},
		{"no renewal, with an extension", set{"cdnistt": 0, "cdniets": 30}, CodeOK},
		{"no renewal, with no number", set{"cdnistt": 0, "cdniets": "30"}, CodeRenewal},
		{"in a cookie", set{"cdnistt": 1, "cdniets": 30}, CodeOK},
		{"in the query", set{"cdnistt": 2, "cdniets": 0.5}, CodeOK},
		{"in a way that is not known", set{"cdnistt": 3, "cdniets": 30}, CodeRenewal},
		{"in a negative way", set{"cdnistt": -1, "cdniets": 30}, CodeRenewal},
		{"in a way that is text", set{"cdnistt": "1", "cdniets": 30}, CodeRenewal},
		{"an extension of nothing", set{"cdnistt": 1, "cdniets": 0}, CodeRenewal},
		{"a negative extension", set{"cdnistt": 1, "cdniets": -30}, CodeRenewal},
		{"a negative extension, and no renewal", set{"cdnistt": 0, "cdniets": -30}, CodeRenewal},
		{"an extension of centuries", set{"cdnistt": 1, "cdniets": maxExtension}, CodeRenewal},
		{"an extension without end", set{"cdnistt": 1, "cdniets": 1e300}, CodeRenewal},
		{"a depth", set{"cdnistt": 1, "cdniets": 30, "cdnistd": 2}, CodeOK},
		{"a depth alone", set{"cdnistd": 2}, CodeOK},
		{"a negative depth", set{"cdnistt": 1, "cdniets": 30, "cdnistd": -1}, CodeRenewal},
		{"half a depth", set{"cdnistt": 1, "cdniets": 30, "cdnistd": 0.5}, CodeRenewal},
		{"a depth as text", set{"cdnistt": 1, "cdniets": 30, "cdnistd": "2"}, CodeRenewal},

		{"no container", set{"cdniuc": nil}, CodeContainer},
		{"a container that is no text", set{"cdniuc": 1}, CodeContainer},
		{"an empty container", set{"cdniuc": ""}, CodeContainer},
		{"a hash of something else", set{"cdniuc": s.Simple.Claims["cdniuc"]}, CodeContainer},
		{"no expression", set{"cdniuc": "regex:["}, CodeContainer},

		// Of several faults the first counts.
		{"expired, and of another version", set{"exp": 1, "cdniv": 2}, CodeExpired},
		{"another version, and critical", set{"cdniv": 2, "cdnicrit": "x"}, CodeVersion},
		{"critical, and the subject", set{"cdnicrit": "x", "sub": "x"}, CodeCritical},
		{"the subject, and the client", set{"sub": "x", "cdniip": "x"}, CodeSubject},
		{"the client's text, and renewal", set{"cdniip": "x", "cdnistt": 1}, CodeClientIP},
		{"renewal, and no container", set{"cdnistt": 1, "cdniuc": nil}, CodeRenewal},
		{"renewal, and another client", set{"cdnistt": 1, "cdniip": sealed("192.0.2.1")}, CodeRenewal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claims := maps.Clone(s.Complex.Claims)
			maps.Copy(claims, tt.claims)
			maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
			if _, code := s.judge(s.sign(t, claims), client, complexURI, then); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
		})
	}
}

// TestClientIP: which spellings of addresses and ranges there are.
func TestClientIP(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1/32",
		"192.0.2.1/24":         "192.0.2.0/24",
		"0.0.0.0/0":            "0.0.0.0/0",
		"[192.0.2.1]":          "192.0.2.1/32",
		"2001:db8::1":          "2001:db8::1/128",
		"2001:DB8::1/32":       "2001:db8::/32",
		"[2001:db8::1]":        "2001:db8::1/128",
		"[2001:db8::1/32]":     "2001:db8::/32",
		"[2001:db8::1]/32":     "2001:db8::/32",
		"::ffff:192.0.2.1":     "192.0.2.1/32",
		"":                     "",
		"[]":                   "",
		"[2001:db8::1":         "",
		"2001:db8::1]":         "",
		"[2001:db8::1/32]/16":  "",
		"[2001:db8::1]:80":     "",
		"[[2001:db8::1]]":      "",
		"192.0.2.1/33":         "",
		"192.0.2.1/":           "",
		"192.0.2.1/024":        "",
		"192.0.2":              "",
		"192.0.2.01":           "",
		" 192.0.2.1":           "",
		"192.0.2.1:80":         "",
		"fe80::1%eth0":         "",
		"fe80::1%eth0/64":      "",
		"192.0.2.1-192.0.2.9":  "",
		"192.0.2.1,192.0.2.2":  "",
		"::ffff:192.0.2.0/120": "",
		"/32":                  "",
	} {
		prefix, ok := prefixOf(text)
		if ok != (want != "") || ok && prefix.String() != want {
			t.Errorf("%q: %v, %v, want %q", text, prefix, ok, want)
		}
	}
}

func TestCookiePath(t *testing.T) {
	for _, tt := range []struct {
		depth      int
		path, want string // "": none
	}{
		{0, "/foo/bar/001.ts", "/"},
		{0, "/a;b/", "/"},
		{1, "/foo/bar/001.ts", "/foo"},
		{2, "/foo/bar/001.ts", "/foo/bar"},
		{3, "/foo/bar/001.ts", "/foo/bar/001.ts"},
		{4, "/foo/bar/001.ts", ""},
		{1 << 30, "/foo", ""},
		{1, "/", "/"},
		{2, "/", ""},
		{2, "/foo/", "/foo/"},
		{3, "/foo/", ""},
		{1, "/%C3%BC%2F/x", "/%C3%BC%2F"},
		{1, "/a;v=1/x", ""},
		{1, "/a/x;v=1", "/a"},
		{1, "/ü/x", ""},
		{1, "/a b/x", ""},
		{1, "", ""},
		{1, "foo/bar", ""},
	} {
		r := &Renewal{Depth: tt.depth}
		if path, ok := r.CookiePath(tt.path); ok != (tt.want != "") || ok && path != tt.want {
			t.Errorf("%d of %q: %q, %v, want %q", tt.depth, tt.path, path, ok, tt.want)
		}
	}
}

// TestErrorsTellNothing: no value of a claim gets into an error.
func TestErrorsTellNothing(t *testing.T) {
	s := newStage(t)
	for _, claims := range []map[string]any{
		{"cdniv": "planted"}, {"cdnicrit": "planted"}, {"sub": "planted"}, {"cdniip": "planted"},
		{"cdnistt": "planted", "cdniets": 1}, {"cdniets": "planted", "cdnistt": 1}, {"cdnistd": "planted"},
		{"cdniuc": "planted:"}, {"cdniuc": "regex:planted["}, {"cdniuc": "hash:planted;planted"}, {"cdniuc": "regex:planted(?:x)"},
	} {
		claims["exp"] = s.Simple.Claims["exp"]
		verified, err := s.verifier.Verify(context.Background(), s.sign(t, claims))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Read(&verified.Claims, s.keys)
		if err == nil {
			t.Errorf("%v is accepted", claims)
		} else if strings.Contains(err.Error(), "planted") {
			t.Error(err)
		}
	}
}

// TestWithoutKeys: what is encrypted is refused if nothing can decrypt it.
func TestWithoutKeys(t *testing.T) {
	s := newStage(t)
	s.keys = nil
	if _, code := s.judge(s.Complex.JWT, client, complexURI, then); code != CodeSubject {
		t.Errorf("code %d", code)
	}
	if _, code := s.judge(s.Simple.JWT, client, simpleURI, then); code != CodeOK {
		t.Errorf("code %d", code)
	}
}

func BenchmarkRead(b *testing.B) {
	s := newStage(b)
	for name, text := range map[string]string{"hash": s.Simple.JWT, "regex": s.First.JWT, "encrypted": s.Complex.JWT} {
		verified, err := s.verifier.Verify(context.Background(), text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(&verified.Claims, s.keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("signature", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.verifier.Verify(context.Background(), s.First.JWT); err != nil {
				b.Fatal(err)
			}
		}
	})
}
