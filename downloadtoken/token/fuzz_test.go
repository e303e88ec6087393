package token

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func fuzzRules() Rules { return Rules{MaxTTL: time.Hour, Leeway: time.Second, OneTime: true} }

// FuzzVerify takes any query through Find, Verify and Strip. What is accepted must
// be a token as the rules describe it.
func FuzzVerify(f *testing.F) {
	good := mintClaims(f, `{`+soon+`,"iat":1800000000,"jti":"a"}`)
	for _, seed := range []string{
		"tok=" + good, "a=1&t%6fk=" + good, "tok=" + good + "&tok=x", "tok=" + good + "%0A", "tok=%zz", "tok", "tok=a.b.c",
		"tok=" + good[:len(good)-1], "tok=" + mint(f, "HS256", `{"alg":"HS256","crit":[]}`, `{`+soon+`}`),
		"tok=" + mintClaims(f, `null`), "tok=..", "tok=a;b&%", "tok=" + encode(`{"alg":"none"}`) + "." + encode(`{}`) + ".x",
	} {
		f.Add(seed)
	}
	verifier := verifierOf(f, "HS256")
	verifier.Rules = fuzzRules()
	f.Fuzz(func(t *testing.T, rawQuery string) {
		r := &http.Request{URL: &url.URL{Path: "/", RawQuery: rawQuery}, Header: http.Header{}}
		text, from, err := Find(r, allSources)
		if err != nil {
			if text != "" || (from == Source{}) != (err == ErrMissing) {
				t.Fatalf("found %q in %v with %v", text, from, err)
			}
			return
		}
		got, err := verifier.judge(text, now)
		checkVerified(t, verifier, text, got, err)
	})
}

// FuzzSigned signs any header and payload with the right key, so that what lies
// behind the signature is reached.
func FuzzSigned(f *testing.F) {
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"HS256","kid":"","typ":"JWT"}`, `{"alg":"HS256","alg":"HS256"}`, `{"alg":"HS256","crit":null}`} {
		for _, payload := range []string{
			`{` + soon + `}`, `{` + soon + `,"iat":1800000000.5,"nbf":1,"iss":"i","sub":"s","aud":["a"],"jti":"\ud83d\ude00"}`,
			`{"exp":1.80000006e9,"EXP":1,"x":{"a":[1,{"b":null}]}}`, `{"exp":1,"exp":1800000060}`, `null`, `{"exp":0}`, ` {"exp":1800000001} `,
			`{` + soon + `,"x":"\ud800"}`, `{` + soon + `}x`,
		} {
			f.Add([]byte(header), []byte(payload))
		}
	}
	verifier := verifierOf(f, "HS256")
	verifier.Rules = fuzzRules()
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		signed := base64url.EncodeToString(header) + "." + base64url.EncodeToString(payload)
		text := signed + "." + hmacOf(t, signed)
		got, err := verifier.judge(text, now)
		checkVerified(t, verifier, text, got, err)
		if err != nil {
			return
		}
		for _, part := range [][]byte{header, payload} {
			if names := duplicateNames(part); names != nil {
				t.Fatalf("accepted duplicates of %q", names)
			}
		}
		members := map[string]stdjson.RawMessage{}
		if stdjson.Unmarshal(payload, &members) != nil || members["exp"] == nil {
			t.Fatal("accepted a payload without exp in its own case")
		}
		for name, value := range members {
			if raw, ok := got.Claims.Raw(name); !ok || !bytes.Equal(raw, bytes.TrimSpace(value)) {
				t.Fatalf("claim %q is %q, not %q", name, raw, value)
			}
		}
		var seconds float64
		if stdjson.Unmarshal(members["exp"], &seconds) != nil || seconds < 1 || seconds >= 1<<33 {
			t.Fatalf("accepted exp %s", members["exp"])
		}
	})
}

// checkVerified holds what must be true of any answer of Verify.
func checkVerified(t *testing.T, v *judge, text string, got *Token, err error) {
	t.Helper()
	if err != nil {
		known := slices.ContainsFunc(sentinels, func(s error) bool {
			return errors.Is(err, s) && (err.Error() == s.Error() || strings.HasPrefix(err.Error(), s.Error()+": "))
		})
		if got != nil || !known {
			t.Fatalf("token %v with error %v", got, err)
		}
		return
	}
	for i := 0; i < len(text); i++ {
		if digits[text[i]] == noDigit && text[i] != '.' {
			t.Fatalf("accepted byte %q", text[i])
		}
	}
	c := &got.Claims
	switch latest := now.Add(v.Rules.MaxTTL + v.Rules.Leeway + MaxTTLSlack); {
	case len(text) > MaxLength, strings.Count(text, ".") != 2:
		t.Fatal("accepted a shape that is no token's")
	case got.Alg != "HS256" || got.KeyID != "" || !got.Key.signs("HS256"):
		t.Fatalf("accepted with %v", got.Key)
	case !c.ExpiresAt.After(now.Add(-v.Rules.Leeway)) || c.ExpiresAt.After(latest):
		t.Fatalf("accepted exp %v", c.ExpiresAt)
	case c.NotBefore.After(now.Add(v.Rules.Leeway)), c.IssuedAt.After(now.Add(v.Rules.Leeway)):
		t.Fatalf("accepted nbf %v, iat %v", c.NotBefore, c.IssuedAt)
	case c.Has("aud"), !c.Has("exp"), !c.Has("iss") && c.Issuer != "":
		t.Fatal("accepted claims that the rules refuse")
	case got.Fingerprint != FingerprintOf(text) || got.Fingerprint == Fingerprint{}:
		t.Fatal("another fingerprint")
	}
}

// duplicateNames reads with encoding/json, which is not what the package uses.
func duplicateNames(data []byte) []string {
	type object struct {
		names map[string]bool // nil in a list
		value bool            // the next token is a value
	}
	decoder := stdjson.NewDecoder(bytes.NewReader(data))
	var open []object
	var duplicates []string
	for {
		tok, err := decoder.Token()
		if err != nil {
			return duplicates
		}
		if delim, ok := tok.(stdjson.Delim); ok && (delim == '}' || delim == ']') {
			open = open[:len(open)-1]
			continue
		}
		if n := len(open); n > 0 && open[n-1].names != nil {
			top := &open[n-1]
			if !top.value {
				name := tok.(string)
				if top.names[name] {
					duplicates = append(duplicates, name)
				}
				top.names[name], top.value = true, true
				continue
			}
			top.value = false
		}
		switch tok {
		case stdjson.Delim('{'):
			open = append(open, object{names: map[string]bool{}})
		case stdjson.Delim('['):
			open = append(open, object{})
		}
	}
}

// FuzzStrip takes any query, cookies and Authorization.
func FuzzStrip(f *testing.F) {
	f.Add("tok=x&a=1&t%6Fk", "tok=x; a=1", "Bearer x")
	f.Add("a=%zz&&tok;b=2&TOK=x", `a="1";tok="x;y";tok`, "Basic x")
	f.Add("&tok=&", " ; tok =x;; ", "bearer\tx")
	f.Add("tok+=x&+tok=x&tok%20", "tok\t=x", "")
	f.Fuzz(func(t *testing.T, rawQuery, cookie, authorization string) {
		r := &http.Request{
			URL:        &url.URL{Path: "/", RawQuery: rawQuery},
			RequestURI: "/?" + rawQuery,
			Header:     http.Header{"Cookie": {cookie}, "Authorization": {authorization}, "Authorization-Token": {"x"}},
		}
		Strip(r, allSources)
		if _, from, err := Find(r, allSources); err != ErrMissing {
			t.Fatalf("still found in %v: %v", from, err)
		}
		isTok := func(piece string) bool {
			name, _, _ := strings.Cut(piece, "=")
			decoded, err := url.QueryUnescape(name)
			return err == nil && decoded == "tok"
		}
		want := strings.Join(slices.DeleteFunc(strings.Split(rawQuery, "&"), isTok), "&")
		target := "/?" + want
		if want == "" && rawQuery != "" {
			target = "/"
		}
		if r.URL.RawQuery != want || r.RequestURI != target {
			t.Fatalf("%q became %q and %q, want %q", rawQuery, r.URL.RawQuery, r.RequestURI, want)
		}
		if kept := r.Header.Get("Cookie"); !isSubsequence(strings.Split(kept, ";"), strings.Split(cookie, ";")) {
			t.Fatalf("cookies %q became %q", cookie, kept)
		}
		others := func(cookies []*http.Cookie) (kept []string) {
			for _, c := range cookies {
				if c.Name != "tok" {
					kept = append(kept, c.Raw+c.Name+"="+c.Value)
				}
			}
			return kept
		}
		before := &http.Request{Header: http.Header{"Cookie": {cookie}}}
		if !slices.Equal(others(before.Cookies()), others(r.Cookies())) {
			t.Fatalf("cookies %q became %q", cookie, r.Header["Cookie"])
		}
		if isBearer(authorization) == (r.Header["Authorization"] != nil) {
			t.Fatalf("authorization %q became %q", authorization, r.Header["Authorization"])
		}
	})
}

// isSubsequence compares pieces without the white space around them, which the
// first may lose.
func isSubsequence(part, whole []string) bool {
	for _, piece := range part {
		i := slices.IndexFunc(whole, func(w string) bool { return trim(w) == trim(piece) })
		if i < 0 {
			return len(part) == 1 && trim(piece) == ""
		}
		whole = whole[i+1:]
	}
	return true
}

// FuzzParseKey: no material panics, and none is repeated.
func FuzzParseKey(f *testing.F) {
	f.Add("HS256", secret)
	f.Add("HS512", "base64:"+base64url.EncodeToString([]byte(secret)))
	f.Add("RS256", publicPEM(f, rsaSigner().Public()))
	f.Add("ES256", certificatePEM(f, ecdsaSigner(), now))
	f.Add("EdDSA", publicPEM(f, public(signers()["EdDSA"])))
	f.Fuzz(func(t *testing.T, alg, material string) {
		key, warnings, err := ParseKey(alg, material)
		if (err == nil) != key.signs(alg) || err != nil && warnings != nil {
			t.Fatalf("key %v, warnings %q, error %v", key, warnings, err)
		}
	})
}
