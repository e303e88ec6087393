package token

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseClaims(t *testing.T) {
	at := func(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
	exp := Claims{ExpiresAt: at(1800000060_000000)}
	with := func(change func(*Claims)) Claims {
		c := exp
		change(&c)
		return c
	}
	tests := []struct {
		name, payload string
		want          Claims
		err           error
	}{
		{"exp only", `{` + soon + `}`, exp, nil},
		{"all", `{"iss":"i","sub":"s","aud":["a","b"],"nbf":1.5,"iat":2,` + soon + `,"x":null}`, Claims{
			Issuer: "i", Subject: "s", Audience: []string{"a", "b"},
			ExpiresAt: exp.ExpiresAt, NotBefore: at(1_500000), IssuedAt: at(2_000000),
		}, nil},
		{"escapes", `{"\u0065xp":1800000060,"sub":"\u00e9\ud83d\ude00"}`, with(func(c *Claims) { c.Subject = "é😀" }), nil},
		{"aud as one string", `{` + soon + `,"aud":"a"}`, with(func(c *Claims) { c.Audience = []string{"a"} }), nil},
		{"aud as no strings", `{` + soon + `,"aud":[]}`, exp, nil},
		{"case variants are other members", `{` + soon + `,"EXP":1,"Exp":"x","ISS":1,"Aud":1}`, exp, nil},

		{"exp with a fraction", `{"exp":1800000060.123456}`, Claims{ExpiresAt: at(1800000060_123456)}, nil},
		{"exp rounded down", `{"exp":1800000060.1234561}`, Claims{ExpiresAt: at(1800000060_123456)}, nil},
		{"exp rounded up to the second", `{"exp":1800000059.9999999}`, exp, nil},
		{"exp with an exponent", `{"exp":1.80000006e9}`, exp, nil},
		{"exp of long digits", `{"exp":1800000060.` + repeat("0", 500) + `}`, exp, nil},
		{"exp least", `{"exp":1}`, Claims{ExpiresAt: at(1_000000)}, nil},
		{"exp greatest", `{"exp":8589934591}`, Claims{ExpiresAt: at(8589934591_000000)}, nil},

		{"exp missing", `{"iat":1}`, Claims{}, ErrClaim},
		{"exp in other case", `{"EXP":1800000060}`, Claims{}, ErrClaim},
		{"exp 0", `{"exp":0}`, Claims{}, ErrClaim},
		{"exp -0", `{"exp":-0}`, Claims{}, ErrClaim},
		{"exp below 1", `{"exp":0.999}`, Claims{}, ErrClaim},
		{"exp negative", `{"exp":-1800000060}`, Claims{}, ErrClaim},
		{"exp null", `{"exp":null}`, Claims{}, ErrClaim},
		{"exp string", `{"exp":"1800000060"}`, Claims{}, ErrClaim},
		{"exp true", `{"exp":true}`, Claims{}, ErrClaim},
		{"exp list", `{"exp":[1800000060]}`, Claims{}, ErrClaim},
		{"exp 2^33", `{"exp":8589934592}`, Claims{}, ErrClaim},
		{"exp in milliseconds", `{"exp":1800000060000}`, Claims{}, ErrClaim},
		{"exp 1e18", `{"exp":1e18}`, Claims{}, ErrClaim},
		{"exp 1e999", `{"exp":1e999}`, Claims{}, ErrClaim},
		{"nbf 0", `{` + soon + `,"nbf":0}`, Claims{}, ErrClaim},
		{"nbf null", `{` + soon + `,"nbf":null}`, Claims{}, ErrClaim},
		{"nbf string", `{` + soon + `,"nbf":"1"}`, Claims{}, ErrClaim},
		{"iat 0", `{` + soon + `,"iat":0}`, Claims{}, ErrClaim},
		{"iat null", `{` + soon + `,"iat":null}`, Claims{}, ErrClaim},
		{"iat string", `{` + soon + `,"iat":"1"}`, Claims{}, ErrClaim},
		{"iss null", `{` + soon + `,"iss":null}`, Claims{}, ErrClaim},
		{"iss number", `{` + soon + `,"iss":1}`, Claims{}, ErrClaim},
		{"iss list", `{` + soon + `,"iss":["i"]}`, Claims{}, ErrClaim},
		{"sub null", `{` + soon + `,"sub":null}`, Claims{}, ErrClaim},
		{"sub number", `{` + soon + `,"sub":1}`, Claims{}, ErrClaim},
		{"aud null", `{` + soon + `,"aud":null}`, Claims{}, ErrClaim},
		{"aud number", `{` + soon + `,"aud":1}`, Claims{}, ErrClaim},
		{"aud list with a number", `{` + soon + `,"aud":["a",1]}`, Claims{}, ErrClaim},
		{"aud list with null", `{` + soon + `,"aud":[null]}`, Claims{}, ErrClaim},
		{"aud object", `{` + soon + `,"aud":{"a":1}}`, Claims{}, ErrClaim},

		{"duplicate exp", `{` + soon + `,` + soon + `}`, Claims{}, ErrMalformed},
		{"duplicate by escape", `{` + soon + `,"e\u0078p":9}`, Claims{}, ErrMalformed},
		{"duplicate jti", `{` + soon + `,"jti":"a","jti":"b"}`, Claims{}, ErrMalformed},
		{"duplicate inside", `{` + soon + `,"access":{"a":1,"a":2}}`, Claims{}, ErrMalformed},
		{"duplicate in a list", `{` + soon + `,"access":[{"a":1,"a":2}]}`, Claims{}, ErrMalformed},
		{"lone high surrogate", `{` + soon + `,"jti":"\ud800"}`, Claims{}, ErrMalformed},
		{"lone low surrogate", `{` + soon + `,"x":{"y":["\udc00"]}}`, Claims{}, ErrMalformed},
		{"lone surrogate in a name", `{` + soon + `,"\ud800":1}`, Claims{}, ErrMalformed},
		{"not UTF-8", `{` + soon + ",\"x\":\"\xc0\xaf\"}", Claims{}, ErrMalformed},
		{"control byte", `{` + soon + ",\"x\":\"\n\"}", Claims{}, ErrMalformed},
		{"garbage after", `{` + soon + `}{"exp":1}`, Claims{}, ErrMalformed},
		{"bracket after", `{` + soon + `}}`, Claims{}, ErrMalformed},
		{"comma after", `{` + soon + `,}`, Claims{}, ErrMalformed},
		{"leading zero", `{"exp":01800000060}`, Claims{}, ErrMalformed},
		{"NaN", `{"exp":NaN}`, Claims{}, ErrMalformed},
		{"comment", `{` + soon + `/**/}`, Claims{}, ErrMalformed},
		{"byte order mark", "\ufeff{" + soon + `}`, Claims{}, ErrMalformed},
		{"null", `null`, Claims{}, ErrMalformed},
		{"null and space", ` null `, Claims{}, ErrMalformed},
		{"list", `[` + `]`, Claims{}, ErrMalformed},
		{"string", `"exp"`, Claims{}, ErrMalformed},
		{"number", `1800000060`, Claims{}, ErrMalformed},
		{"nothing", ``, Claims{}, ErrMalformed},
		{"not JSON", `exp=1800000060`, Claims{}, ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseClaims(encode(test.payload))
			wantErr(t, err, test.err)
			if got.Issuer != test.want.Issuer || got.Subject != test.want.Subject || !slices.Equal(got.Audience, test.want.Audience) ||
				got.ExpiresAt != test.want.ExpiresAt || got.NotBefore != test.want.NotBefore || got.IssuedAt != test.want.IssuedAt {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestRefusedClaimsAreNamedAndNotQuoted(t *testing.T) {
	for payload, want := range map[string]string{
		`{"iat":1}`:                             "exp is missing",
		`{"exp":"verysecret"}`:                  "exp is not a time in seconds: it is text",
		`{"exp":"1800000060"}`:                  "exp is not a time in seconds: it is text",
		`{"exp":1800000060000}`:                 "exp is not a time in seconds: it looks like milliseconds",
		`{"exp":1800000060000000}`:              "exp is not a time in seconds: it is out of range",
		`{"exp":0}`:                             "exp is not a time in seconds: it is out of range",
		`{"exp":null}`:                          "exp is not a time in seconds: it is not a number",
		`{` + soon + `,"nbf":"verysecret"}`:     "nbf is not a time in seconds: it is text",
		`{` + soon + `,"iat":[1]}`:              "iat is not a time in seconds: it is not a number",
		`{` + soon + `,"iss":["verysecret"]}`:   "iss is not a string",
		`{` + soon + `,"sub":["verysecret"]}`:   "sub is not a string",
		`{` + soon + `,"aud":[["verysecret"]]}`: "aud is neither a string nor a list of strings",
	} {
		_, err := parseClaims(encode(payload))
		if err == nil || err.Error() != "token claim is not accepted: "+want {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestTimeOfIsExactToTheMicrosecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(1_000000, 1<<33*1_000000-1).Draw(t, "micros")
		text := fmt.Sprintf("%d.%06d", micros/1_000000, micros%1_000000)
		got, ok := NumericDate([]byte(text))
		if !ok || got.UnixMicro() != micros {
			t.Fatalf("%s became %v", text, got)
		}
	})
}

func claimsOf(t testing.TB, members string) *Claims {
	t.Helper()
	c, err := parseClaims(encode(`{` + soon + `,` + members + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestClaimsNames(t *testing.T) {
	names := claimsOf(t, `"b":1,"\u0061":{"k":1},"":2`).Names()
	if want := []string{"exp", "b", "a", ""}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestClaimsAccessors(t *testing.T) {
	c := claimsOf(t, `"s":"a\"\u00e9","n":1.50,"b":true,"z":null,"l":["a","b"],"m":["a",1],"e":[],"o":{"k":1}`)
	tests := []struct {
		name    string
		has     bool
		raw     string
		text    string
		isText  bool
		texts   []string
		isTexts bool
	}{
		{"s", true, `"a\"\u00e9"`, `a"é`, true, []string{`a"é`}, true},
		{"n", true, `1.50`, "", false, nil, false},
		{"b", true, `true`, "", false, nil, false},
		{"z", true, `null`, "", false, nil, false},
		{"l", true, `["a","b"]`, "", false, []string{"a", "b"}, true},
		{"m", true, `["a",1]`, "", false, nil, false},
		{"e", true, `[]`, "", false, nil, true},
		{"o", true, `{"k":1}`, "", false, nil, false},
		{"exp", true, `1800000060`, "", false, nil, false},
		{"S", false, "", "", false, nil, false},
		{"", false, "", "", false, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw, present := c.Raw(test.name)
			text, isText := c.String(test.name)
			texts, isTexts := c.Strings(test.name)
			if c.Has(test.name) != test.has || present != test.has || string(raw) != test.raw {
				t.Errorf("Raw is %q, %v", raw, present)
			}
			if text != test.text || isText != test.isText {
				t.Errorf("String is %q, %v", text, isText)
			}
			if !slices.Equal(texts, test.texts) || isTexts != test.isTexts {
				t.Errorf("Strings is %q, %v", texts, isTexts)
			}
		})
	}
	var zero Claims
	if zero.Has("s") {
		t.Error("zero claims have a member")
	}
}

func TestNonce(t *testing.T) {
	tests := []struct {
		name, members string
		names         []string
		want          string
		err           error
	}{
		{"first name", `"jti":"a","nonce":"b"`, []string{"jti", "nonce"}, "a", nil},
		{"second name", `"nonce":"b"`, []string{"jti", "nonce"}, "b", nil},
		{"order of names", `"jti":"a","nonce":"b"`, []string{"nonce", "jti"}, "b", nil},
		{"longest", `"jti":"` + repeat("a", 256) + `"`, []string{"jti"}, repeat("a", 256), nil},
		{"escapes count as what they mean", `"jti":"` + repeat(`\u0061`, 256) + `"`, []string{"jti"}, repeat("a", 256), nil},
		{"too long", `"jti":"` + repeat("a", 257) + `"`, []string{"jti"}, "", ErrClaim},
		{"too long in bytes", `"jti":"` + repeat("é", 129) + `"`, []string{"jti"}, "", ErrClaim},
		{"empty", `"jti":""`, []string{"jti"}, "", ErrClaim},
		{"number", `"jti":1`, []string{"jti"}, "", ErrClaim},
		{"list", `"jti":["a"]`, []string{"jti"}, "", ErrClaim},
		{"null decides", `"jti":null,"nonce":"b"`, []string{"jti", "nonce"}, "", ErrClaim},
		{"empty decides", `"jti":"","nonce":"b"`, []string{"jti", "nonce"}, "", ErrClaim},
		{"other case", `"JTI":"a","Nonce":"b"`, []string{"jti", "nonce"}, "", ErrClaim},
		{"none", `"x":1`, []string{"jti", "nonce"}, "", ErrClaim},
		{"no names", `"jti":"a"`, nil, "", ErrClaim},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := claimsOf(t, test.members).Nonce(test.names...)
			wantErr(t, err, test.err)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "aaa") {
				t.Errorf("%v quotes the claim", err)
			}
		})
	}
}

// Decode shows what it can, and nothing that is not strictly there.
func TestDecode(t *testing.T) {
	good := encode(`{"alg":"none"}`) + "." + encode(`{"a":[1],"exp":0}`)
	for name, tt := range map[string]struct {
		text           string
		header, claims bool
	}{
		"signed by nobody":   {good + ".", true, true},
		"signed by anything": {good + ".%%%", true, true},
		"longer than any":    {encode(`{}`) + "." + encode(`{"a":"`+repeat("x", 2*MaxLength)+`"}`) + ".AA", true, true},
		"no claims":          {encode(`{}`) + ".AA.AA", true, false},
		"claims twice":       {encode(`{}`) + "." + encode(`{"a":1,"a":2}`) + ".AA", true, false},
		"claims null":        {encode(`{}`) + "." + encode(`null`) + ".AA", true, false},
		"header an array":    {encode(`[]`) + "." + encode(`{}`) + ".AA", false, false},
		"two parts":          {good, false, false},
		"four parts":         {good + "..", false, false},
		"a line break":       {good[:4] + "\n" + good[4:] + ".", false, false},
		"padding":            {good + "=.", true, false},
		"nothing":            {"", false, false},
	} {
		header, claims, err := Decode(tt.text)
		if (header != nil) != tt.header || (claims != nil) != tt.claims || (err == nil) != tt.claims {
			t.Errorf("%s: %v, %v, %v", name, header, claims, err)
		}
		if err != nil {
			wantErr(t, err, ErrMalformed)
		}
	}
}
