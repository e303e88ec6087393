package token

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func require(claim string, values ...string) Rules {
	return Rules{Require: []Requirement{{claim, values}}}
}

func TestRules(t *testing.T) {
	const second = time.Second
	tests := []struct {
		name    string
		rules   Rules
		typ     string
		payload string
		err     error
	}{
		{"exp after now", Rules{}, "", `"exp":1800000001`, nil},
		{"exp a microsecond after now", Rules{}, "", `"exp":1800000000.000001`, nil},
		{"exp is now", Rules{}, "", `"exp":1800000000`, ErrExpired},
		{"exp before now", Rules{}, "", `"exp":1799999999`, ErrExpired},
		{"exp within leeway", Rules{Leeway: 2 * second}, "", `"exp":1799999999`, nil},
		{"exp at the end of leeway", Rules{Leeway: 2 * second}, "", `"exp":1799999998`, ErrExpired},

		{"nbf is now", Rules{}, "", soon + `,"nbf":1800000000`, nil},
		{"nbf after now", Rules{}, "", soon + `,"nbf":1800000000.000001`, ErrNotYetValid},
		{"nbf within leeway", Rules{Leeway: 2 * second}, "", soon + `,"nbf":1800000002`, nil},
		{"nbf beyond leeway", Rules{Leeway: 2 * second}, "", soon + `,"nbf":1800000003`, ErrNotYetValid},

		{"iat in the future", Rules{}, "", soon + `,"iat":1800000030`, nil},
		{"iat in the future, one time", Rules{OneTime: true}, "", soon + `,"iat":1800000000.001`, ErrNotYetValid},
		{"iat is now, one time", Rules{OneTime: true}, "", soon + `,"iat":1800000000`, nil},
		{"iat within leeway, one time", Rules{OneTime: true, Leeway: second}, "", soon + `,"iat":1800000001`, ErrNotYetValid},
		{"no iat, one time", Rules{OneTime: true}, "", soon, nil},

		{"any iss", Rules{}, "", soon + `,"iss":"x"`, nil},
		{"iss among issuers", Rules{Issuers: []string{"a", "b"}}, "", soon + `,"iss":"b"`, nil},
		{"iss not among issuers", Rules{Issuers: []string{"a", "b"}}, "", soon + `,"iss":"c"`, ErrIssuer},
		{"iss in other case", Rules{Issuers: []string{"a"}}, "", soon + `,"iss":"A"`, ErrIssuer},
		{"no iss", Rules{Issuers: []string{"a"}}, "", soon, ErrIssuer},
		{"empty iss is none", Rules{Issuers: []string{""}}, "", soon + `,"iss":""`, ErrIssuer},

		{"aud among audiences", Rules{Audiences: []string{"a", "b"}}, "", soon + `,"aud":["x","b"]`, nil},
		{"aud as one string", Rules{Audiences: []string{"a", "b"}}, "", soon + `,"aud":"a"`, nil},
		{"aud not among audiences", Rules{Audiences: []string{"a"}}, "", soon + `,"aud":["x"]`, ErrAudience},
		{"no aud", Rules{Audiences: []string{"a"}}, "", soon, ErrAudience},
		{"empty aud list", Rules{Audiences: []string{"a"}}, "", soon + `,"aud":[]`, ErrAudience},
		{"empty aud", Rules{Audiences: []string{"a"}}, "", soon + `,"aud":""`, ErrAudience},
		{"aud though there are no audiences", Rules{}, "", soon + `,"aud":"a"`, ErrAudience},
		{"empty aud list though there are no audiences", Rules{}, "", soon + `,"aud":[]`, ErrAudience},
		{"empty aud though there are no audiences", Rules{}, "", soon + `,"aud":""`, ErrAudience},

		{"any typ", Rules{}, "at+jwt", soon, nil},
		{"typ", Rules{HeaderTyps: []string{"x", "dl+jwt"}}, "dl+jwt", soon, nil},
		{"typ in other case", Rules{HeaderTyps: []string{"dl+jwt"}}, "DL+JWT", soon, nil},
		{"typ with application", Rules{HeaderTyps: []string{"dl+jwt"}}, "Application/dl+jwt", soon, nil},
		{"typ without application", Rules{HeaderTyps: []string{"application/dl+jwt"}}, "dl+jwt", soon, nil},
		{"typ of another tree", Rules{HeaderTyps: []string{"dl+jwt"}}, "text/dl+jwt", soon, ErrHeaderTyp},
		{"other typ", Rules{HeaderTyps: []string{"dl+jwt"}}, "JWT", soon, ErrHeaderTyp},
		{"no typ", Rules{HeaderTyps: []string{"dl+jwt"}}, "", soon, ErrHeaderTyp},
		{"no typ, though none is asked for", Rules{HeaderTyps: []string{""}}, "", soon, ErrHeaderTyp},
		{"application and nothing", Rules{HeaderTyps: []string{""}}, "application/", soon, ErrHeaderTyp},

		{"lives as long as it may", Rules{MaxTTL: 60 * second}, "", soon + `,"iat":1800000000`, nil},
		{"lived too long from the start", Rules{MaxTTL: 60 * second}, "", soon + `,"iat":1799999999`, ErrTooLongLived},
		{"leeway does not lengthen its life", Rules{MaxTTL: 60 * second, Leeway: 10 * second}, "", soon + `,"iat":1799999999`, ErrTooLongLived},
		{"iat in the future stretches its life", Rules{MaxTTL: 59 * second}, "", soon + `,"iat":1800000030`, ErrTooLongLived},
		{"iat after exp", Rules{MaxTTL: 59 * second}, "", soon + `,"iat":1900000000`, ErrTooLongLived},
		{"iat a little in the future", Rules{MaxTTL: 59 * second, Leeway: second}, "", soon + `,"iat":1800000001`, nil},
		{"without iat, as long as it may", Rules{MaxTTL: 60 * second}, "", soon, nil},
		{"without iat, too long", Rules{MaxTTL: 59 * second}, "", soon, ErrTooLongLived},
		{"without iat, leeway does not lengthen it", Rules{MaxTTL: 59 * second, Leeway: second}, "", soon, ErrTooLongLived},
		{"iat rounded down", Rules{MaxTTL: 60 * second}, "", `"exp":1800000059.5,"iat":1799999999`, nil},
		{"iat rounded down by all but a microsecond", Rules{MaxTTL: 60 * second}, "", soon + `,"iat":1799999999.000001`, nil},
		{"exp rounded up", Rules{MaxTTL: 60 * second}, "", `"exp":1800000060,"iat":1799999999.001`, nil},
		{"without iat, exp rounded up", Rules{MaxTTL: 60 * second}, "", `"exp":1800000060.999999`, nil},
		{"exp in another century", Rules{MaxTTL: time.Hour}, "", `"exp":8589934591`, ErrTooLongLived},

		{"required", require("typ"), "", soon + `,"typ":"download"`, nil},
		{"required, false is present", require("x"), "", soon + `,"x":false`, nil},
		{"required, empty is present", require("x"), "", soon + `,"x":""`, nil},
		{"required and missing", require("typ"), "", soon, ErrClaim},
		{"required and null", require("typ"), "", soon + `,"typ":null`, ErrClaim},
		{"required and in other case", require("typ"), "", soon + `,"Typ":"download"`, ErrClaim},
		{"required registered claim", require("sub"), "", soon + `,"sub":"s"`, nil},
		{"value", require("typ", "a", "download"), "", soon + `,"typ":"download"`, nil},
		{"value by escape", require("typ", "download"), "", soon + `,"typ":"\u0064ownload"`, nil},
		{"other value", require("typ", "download"), "", soon + `,"typ":"session"`, ErrClaim},
		{"value in other case", require("typ", "download"), "", soon + `,"typ":"Download"`, ErrClaim},
		{"value and missing", require("typ", "download"), "", soon, ErrClaim},
		{"value null", require("typ", "null"), "", soon + `,"typ":null`, ErrClaim},
		{"number", require("tid", "7"), "", soon + `,"tid":7`, nil},
		{"number as a string", require("tid", "7"), "", soon + `,"tid":"7"`, nil},
		{"number spelled otherwise", require("tid", "7"), "", soon + `,"tid":7.0`, ErrClaim},
		{"boolean", require("ok", "true"), "", soon + `,"ok":true`, nil},
		{"other boolean", require("ok", "true"), "", soon + `,"ok":false`, ErrClaim},
		{"list holds it", require("roles", "b"), "", soon + `,"roles":["a","b"]`, nil},
		{"list holds the number", require("roles", "2"), "", soon + `,"roles":[1,2]`, nil},
		{"list does not hold it", require("roles", "c"), "", soon + `,"roles":["a","b"]`, ErrClaim},
		{"empty list", require("roles", "c"), "", soon + `,"roles":[]`, ErrClaim},
		{"list of lists", require("roles", "a"), "", soon + `,"roles":[["a"]]`, ErrClaim},
		{"list with null", require("roles", "null"), "", soon + `,"roles":[null]`, ErrClaim},
		{"object", require("o", "{}", ""), "", soon + `,"o":{}`, ErrClaim},
		{"each must hold", Rules{Require: []Requirement{{"a", nil}, {"b", nil}}}, "", soon + `,"a":1`, ErrClaim},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verifier := verifierOf(t, "HS256")
			verifier.Rules = test.rules
			header := `{"alg":"HS256"}`
			if test.typ != "" {
				header = `{"alg":"HS256","typ":"` + test.typ + `"}`
			}
			_, err := verifier.judge(mint(t, "HS256", header, `{`+test.payload+`}`), now)
			wantErr(t, err, test.err)
		})
	}
}

// Each payload breaks the rule of its line and all rules after it.
func TestRulesAreCheckedInOrder(t *testing.T) {
	rules := Rules{
		Issuers: []string{"i"}, Audiences: []string{"a"}, HeaderTyps: []string{"dl+jwt"},
		MaxTTL: time.Second, OneTime: true, Require: []Requirement{{"typ", []string{"download"}}},
	}
	tests := []struct {
		header, payload string
		err             error
	}{
		{`{"alg":"HS256"}`, `{"exp":1,"nbf":1900000000,"iat":"x"}`, ErrClaim},
		{`{"alg":"HS256"}`, `{"exp":1,"nbf":1900000000,"iat":1900000000}`, ErrExpired},
		{`{"alg":"HS256"}`, `{"exp":1800000060,"nbf":1900000000}`, ErrNotYetValid},
		{`{"alg":"HS256"}`, `{"exp":1800000060,"iat":1900000000}`, ErrNotYetValid},
		{`{"alg":"HS256"}`, `{"exp":1800000060}`, ErrIssuer},
		{`{"alg":"HS256"}`, `{"exp":1800000060,"iss":"i"}`, ErrAudience},
		{`{"alg":"HS256"}`, `{"exp":1800000060,"iss":"i","aud":"a"}`, ErrHeaderTyp},
		{`{"alg":"HS256","typ":"dl+jwt"}`, `{"exp":1800000060,"iss":"i","aud":"a"}`, ErrTooLongLived},
		{`{"alg":"HS256","typ":"dl+jwt"}`, `{"exp":1800000001,"iss":"i","aud":"a"}`, ErrClaim},
		{`{"alg":"HS256","typ":"dl+jwt"}`, `{"exp":1800000001,"iss":"i","aud":"a","typ":"download"}`, nil},
	}
	verifier := verifierOf(t, "HS256")
	verifier.Rules = rules
	for _, test := range tests {
		_, err := verifier.judge(mint(t, "HS256", test.header, test.payload), now)
		wantErr(t, err, test.err)
	}
}

func TestRefusedRequirementNamesTheClaimOnly(t *testing.T) {
	verifier := verifierOf(t, "HS256")
	verifier.Rules = require("typ", "wantedvalue")
	for claim, want := range map[string]string{
		`,"typ":"givenvalue"`: "token claim is not accepted: typ has another value than required",
		`,"typ":null`:         "token claim is not accepted: typ is missing",
		``:                    "token claim is not accepted: typ is missing",
	} {
		if _, err := verifier.judge(mintClaims(t, `{`+soon+claim+`}`), now); err == nil || err.Error() != want {
			t.Errorf("%s: error is %v, want %q", claim, err, want)
		}
	}
}

// TestDetail: where a sentinel has several causes, the text says which it was.
func TestDetail(t *testing.T) {
	for _, test := range []struct {
		rules                 Rules
		header, payload, want string
	}{
		{Rules{}, `{"alg":"none"}`, `{}`, "no key can have the alg of the header"},
		{Rules{}, `{"alg":"HS256","alg":"HS256"}`, `{}`, "the header is not a strict JSON object in base64url"},
		{Rules{}, `{"alg":"HS256","kid":1}`, `{}`, "alg, kid or typ in the header is not a string, or alg is missing"},
		{Rules{}, `{"alg":"HS256"}`, `{"exp":1,"exp":2}`, "the payload is not a strict JSON object in base64url"},
		{Rules{}, `{"alg":"HS256"}`, `{` + soon + `,"nbf":1900000000}`, "nbf lies in the future"},
		{Rules{OneTime: true}, `{"alg":"HS256"}`, `{` + soon + `,"iat":1900000000}`, "iat lies in the future"},
		{Rules{}, `{"alg":"HS256"}`, `{` + soon + `,"aud":"x"}`, "it has an aud, and no audience is configured"},
		{Rules{MaxTTL: time.Second}, `{"alg":"HS256"}`, `{` + soon + `,"iat":1}`, "exp is further from iat than max_ttl"},
		{Rules{MaxTTL: time.Second}, `{"alg":"HS256"}`, `{` + soon + `}`, "exp is further ahead than max_ttl"},
	} {
		verifier := verifierOf(t, "HS256")
		verifier.Rules = test.rules
		if _, err := verifier.judge(mint(t, "HS256", test.header, test.payload), now); err == nil || !strings.HasSuffix(err.Error(), ": "+test.want) {
			t.Errorf("%s.%s: error is %v, want %q", test.header, test.payload, err, test.want)
		}
	}
}

// TestValidFrom: an error says from when on it is not returned any more.
func TestValidFrom(t *testing.T) {
	at := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	for _, tt := range []struct {
		name, claims string
		rules        Rules
		want         time.Time
	}{
		{"nbf", `,"nbf":1800000010`, Rules{}, at(10)},
		{"nbf with leeway", `,"nbf":1800000010`, Rules{Leeway: 2 * time.Second}, at(8)},
		{"iat", `,"iat":1800000000.5`, Rules{OneTime: true}, at(0.5)},
		{"iat has no leeway", `,"iat":1800000003,"nbf":1800000004`, Rules{OneTime: true, Leeway: 2 * time.Second}, at(3)},
		{"the later one", `,"iat":1800000003,"nbf":1800000004`, Rules{OneTime: true}, at(4)},
	} {
		v := verifierOf(t, "HS256")
		v.Rules = tt.rules
		signed := base64url.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64url.EncodeToString([]byte("{"+soon+tt.claims+"}"))
		text := signed + "." + hmacOf(t, signed)
		_, err := v.judge(text, now)
		if got, ok := ValidFrom(err); !ok || !got.Equal(tt.want) {
			t.Errorf("%s: %v (%v), want %v", tt.name, got, ok, tt.want)
		}
		if _, err := v.judge(text, tt.want.Add(-time.Microsecond)); !errors.Is(err, ErrNotYetValid) {
			t.Errorf("%s, just before: %v", tt.name, err)
		}
		if _, err := v.judge(text, tt.want); err != nil {
			t.Errorf("%s, then: %v", tt.name, err)
		}
	}
	if _, ok := ValidFrom(ErrExpired); ok {
		t.Error("an expired token will be valid")
	}
}
