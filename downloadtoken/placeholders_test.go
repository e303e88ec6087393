package downloadtoken

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// accepted is a visit whose token was accepted.
func accepted(t *testing.T, claims map[string]any) *visit {
	t.Helper()
	h, _ := staged(t, new(Handler))
	v := visiting(h, httptest.NewRecorder(), get("/a?download_token="+signed(t, claims)))
	if err := v.receive(); err != nil {
		t.Fatal(err)
	}
	if err := v.judge(); err != nil {
		t.Fatal(err)
	}
	return v
}

// wantPlaceholders compares placeholders of a request.
func wantPlaceholders(t *testing.T, what string, v *visit, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := v.placeholder(name); got != value {
			t.Errorf("%s: {%s} is %q, want %q", what, name, got, value)
		}
	}
}

func TestPlaceholdersOfAnAcceptedToken(t *testing.T) {
	exp := time.Now().Add(time.Minute).Truncate(time.Second)
	v := accepted(t, jwt.MapClaims{"sub": "s {env.PATH}", "scope": "c", "iss": "i", "exp": exp.Unix(), "user": "u"})
	v.nonce = "n"
	v.publish()
	wantPlaceholders(t, "accepted", v, map[string]string{
		"http.download_token.sub": "s {env.PATH}", "http.download_token.nonce": "n", "http.download_token.scope": "c", "http.download_token.issuer": "i",
		"http.download_token.expires": exp.UTC().Format(time.RFC3339), "http.download_token.reason": "", "http.download_token.fingerprint": v.fingerprint.String(),
		"http.auth.user.id": "s {env.PATH}", "http.download_token.user": "", "http.download_token.": "", "http.download_token": "",
	})
	if got := replacerOf(v).ReplaceAll("{http.download_token.sub}|{http.download_token.planted}", "none"); got != "s {env.PATH}|none" {
		t.Errorf("%q", got) // what a claim holds is not replaced once more
	}
	v = accepted(t, jwt.MapClaims{"s": "s {env.PATH}", "n": 7.5, "b": false, "o": map[string]any{}, "a": []string{"x"}, "z": nil})
	v.publish()
	wantPlaceholders(t, "any claim", v, map[string]string{
		"http.download_token.claim.s": "s {env.PATH}", "http.download_token.claim.n": "7.5", "http.download_token.claim.b": "false",
		"http.download_token.claim.o": "", "http.download_token.claim.a": "", "http.download_token.claim.z": "", "http.download_token.claim.none": "",
	})
	v = accepted(t, jwt.MapClaims{"scope": 7})
	v.publish()
	wantPlaceholders(t, "without claims", v, map[string]string{
		"http.download_token.sub": "", "http.download_token.scope": "", "http.download_token.issuer": "", "http.auth.user.id": "",
	})
}

// TestUserID is sub, else user, and never overwrites what a handler that authenticates
// has set, or sets later.
func TestUserID(t *testing.T) {
	for name, tt := range map[string]struct {
		claims map[string]any
		set    string // by another handler
		want   string
	}{
		"sub":                     {map[string]any{"sub": "s", "user": "u"}, "", "s"},
		"user":                    {map[string]any{"user": "u"}, "", "u"},
		"an empty sub":            {map[string]any{"sub": "", "user": "u"}, "", "u"},
		"a user that is no text":  {map[string]any{"user": 7}, "", ""},
		"neither":                 {nil, "", ""},
		"one that is there":       {map[string]any{"sub": "s"}, "other", "other"},
		"one that is there alone": {nil, "other", "other"},
	} {
		for _, before := range []bool{true, false} {
			v := accepted(t, tt.claims)
			if before && tt.set != "" {
				replacerOf(v).Set("http.auth.user.id", tt.set)
			}
			v.publish()
			if !before && tt.set != "" {
				replacerOf(v).Set("http.auth.user.id", tt.set)
			}
			if got := v.placeholder("http.auth.user.id"); got != tt.want {
				t.Errorf("%s, set before %v: %q, want %q", name, before, got, tt.want)
			}
		}
	}
	v := accepted(t, nil)
	v.publish()
	if _, ok := replacerOf(v).Get("http.auth.user.id"); ok {
		t.Error("a user without a name is one: it would hide what another handler sets")
	}
}

// TestPlaceholdersOfTwoDirectives: one request may come past several; the last one counts,
// and only the user of an earlier one stays.
func TestPlaceholdersOfTwoDirectives(t *testing.T) {
	first := accepted(t, jwt.MapClaims{"sub": "one", "scope": "one"})
	first.nonce = "one"
	first.publish()
	second := accepted(t, jwt.MapClaims{"iss": "two", "sub": "two"})
	second.r = first.r
	second.publish()
	wantPlaceholders(t, "two accepted", first, map[string]string{
		"http.download_token.sub": "two", "http.download_token.scope": "", "http.download_token.nonce": "", "http.download_token.issuer": "two",
		"http.download_token.fingerprint": second.fingerprint.String(), "http.download_token.reason": "", "http.auth.user.id": "one",
	})

	first = accepted(t, jwt.MapClaims{"sub": "one"})
	first.publish()
	second = accepted(t, nil)
	second.r = first.r
	if err := second.deny(errScope); err != nil {
		t.Fatal(err)
	}
	wantPlaceholders(t, "accepted, then refused", first, map[string]string{
		"http.download_token.reason": "scope", "http.download_token.fingerprint": second.fingerprint.String(), "http.auth.user.id": "one",
	})

	first = accepted(t, nil)
	if err := first.deny(errScope); err != nil {
		t.Fatal(err)
	}
	second = accepted(t, jwt.MapClaims{"sub": "two"})
	second.r = first.r
	second.publish()
	wantPlaceholders(t, "refused, then accepted", first, map[string]string{
		"http.download_token.reason": "", "http.download_token.sub": "two", "http.download_token.fingerprint": second.fingerprint.String(), "http.auth.user.id": "two",
	})
}
