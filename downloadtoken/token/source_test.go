package token

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// request has the given query and header lines ("Name: value").
func request(rawQuery string, lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/file.zip", nil)
	r.URL.RawQuery = rawQuery
	r.RequestURI = "/file.zip"
	if rawQuery != "" {
		r.RequestURI += "?" + rawQuery
	}
	for _, line := range lines {
		for i := range line {
			if line[i] == ':' {
				r.Header.Add(line[:i], line[i+2:])
				break
			}
		}
	}
	return r
}

var (
	queryTok   = Source{Query, "tok"}
	headerTok  = Source{Header, "Authorization-Token"}
	bearerTok  = Source{Header, "Authorization"}
	cookieTok  = Source{Cookie, "tok"}
	allSources = []Source{queryTok, headerTok, bearerTok, cookieTok}
)

func TestFind(t *testing.T) {
	tests := []struct {
		name    string
		request *http.Request
		text    string
		from    Source
		err     error
	}{
		{"nothing", request(""), "", Source{}, ErrMissing},
		{"others only", request("a=1&Tok=x&toke=y&to=z", "Cookie: TOK=x; tokk=y", "Authorization: Basic eDp5"), "", Source{}, ErrMissing},

		{"query", request("a=1&tok=x.y.z&b=2"), "x.y.z", queryTok, nil},
		{"query, encoded value", request("tok=x%2Ey%2ez"), "x.y.z", queryTok, nil},
		{"query, encoded name", request("%74o%6B=x"), "x", queryTok, nil},
		{"query, plus is a space", request("tok=x+y"), "x y", queryTok, nil},
		{"query, line break stays for the screen", request("tok=x%0D%0Ay"), "x\r\ny", queryTok, nil},
		{"query, equals sign in the value", request("tok=x="), "x=", queryTok, nil},
		{"query, semicolon is an ordinary byte", request("tok=a;b"), "a;b", queryTok, nil},
		{"query, semicolon does not separate", request("a=1;tok=x"), "", Source{}, ErrMissing},
		{"query, empty value", request("tok="), "", queryTok, ErrMalformed},
		{"query, no equals sign", request("tok"), "", queryTok, ErrMalformed},
		{"query, undecodable value", request("tok=%zz"), "", queryTok, ErrMalformed},
		{"query, cut escape", request("tok=abc%2"), "", queryTok, ErrMalformed},
		{"query, undecodable name is nobody's", request("tok%zz=x"), "", Source{}, ErrMissing},
		{"query twice", request("tok=x&tok=x"), "", queryTok, ErrAmbiguous},
		{"query twice, one encoded", request("tok=x&t%6Fk=y"), "", queryTok, ErrAmbiguous},
		{"query twice, one empty", request("tok=x&tok="), "", queryTok, ErrAmbiguous},
		{"query twice, one bare", request("tok&tok=x"), "", queryTok, ErrAmbiguous},

		{"header", request("", "authorization-token: x.y.z"), "x.y.z", headerTok, nil},
		{"header, white space around", request("", "Authorization-Token: \t x "), "x", headerTok, nil},
		{"header, empty", request("", "Authorization-Token: "), "", headerTok, ErrMalformed},
		{"header twice", request("", "Authorization-Token: x", "authorization-token: x"), "", headerTok, ErrAmbiguous},

		{"bearer", request("", "Authorization: Bearer x.y.z"), "x.y.z", bearerTok, nil},
		{"bearer, any case", request("", "Authorization: bEARER x"), "x", bearerTok, nil},
		{"bearer, more spaces", request("", "Authorization: Bearer   x"), "x", bearerTok, nil},
		{"bearer, tab", request("", "Authorization: Bearer\tx"), "", bearerTok, ErrMalformed},
		{"bearer alone", request("", "Authorization: Bearer"), "", bearerTok, ErrMalformed},
		{"bearer and spaces", request("", "Authorization: Bearer  "), "", bearerTok, ErrMalformed},
		{"bearer, comma", request("", "Authorization: Bearer,x"), "", bearerTok, ErrMalformed},
		{"other scheme", request("", "Authorization: Bearerish x"), "", Source{}, ErrMissing},
		{"token scheme", request("", "Authorization: Token x"), "", Source{}, ErrMissing},
		{"bearer twice", request("", "Authorization: Bearer x", "Authorization: Bearer x"), "", bearerTok, ErrAmbiguous},
		{"bearer and basic", request("", "Authorization: Basic eDp5", "Authorization: Bearer x"), "", bearerTok, ErrAmbiguous},
		{"basic twice", request("", "Authorization: Basic eDp5", "Authorization: Basic eDp5"), "", Source{}, ErrMissing},

		{"cookie", request("", "Cookie: a=1; tok=x.y.z; b=2"), "x.y.z", cookieTok, nil},
		{"cookie on a second line", request("", "Cookie: a=1", "Cookie: tok=x"), "x", cookieTok, nil},
		{"cookie, no space", request("", "Cookie: a=1;tok=x"), "x", cookieTok, nil},
		{"cookie, space after its name", request("", "Cookie: tok =x"), "x", cookieTok, nil},
		{"cookie, empty", request("", "Cookie: tok="), "", cookieTok, ErrMalformed},
		{"cookie, no equals sign", request("", "Cookie: tok"), "", cookieTok, ErrMalformed},
		{"cookie, quoted", request("", `Cookie: tok="x"`), "", cookieTok, ErrMalformed},
		{"cookie that net/http drops", request("", "Cookie: tok=x\\y"), "", cookieTok, ErrMalformed},
		{"cookie, not ASCII", request("", "Cookie: tok=xé"), "", cookieTok, ErrMalformed},
		{"cookie, space in the value", request("", "Cookie: tok= x"), "", cookieTok, ErrMalformed},
		{"cookie, comma", request("", "Cookie: tok=x,y"), "", cookieTok, ErrMalformed},
		{"cookie, delete byte", request("", "Cookie: tok=x\x7f"), "", cookieTok, ErrMalformed},
		{"cookie, escapes are not decoded", request("", "Cookie: tok=x%2Ey"), "x%2Ey", cookieTok, nil},
		{"cookie twice", request("", "Cookie: tok=x; tok=x"), "", cookieTok, ErrAmbiguous},
		{"cookie twice, one quoted", request("", `Cookie: tok=x; tok="y"`), "", cookieTok, ErrAmbiguous},
		{"cookie twice, two lines", request("", "Cookie: tok=x", "Cookie: tok=x"), "", cookieTok, ErrAmbiguous},

		{"the first source decides", request("tok=q", "Authorization: Bearer h", "Cookie: tok=c"), "q", queryTok, nil},
		{"the first source decides, though malformed", request("tok=", "Authorization: Bearer h"), "", queryTok, ErrMalformed},
		{"the first source decides, though ambiguous", request("tok=q&tok=q", "Authorization: Bearer h"), "", queryTok, ErrAmbiguous},
		{"basic lets the cookie speak", request("", "Authorization: Basic eDp5", "Cookie: tok=c"), "c", cookieTok, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text, from, err := Find(test.request, allSources)
			wantErr(t, err, test.err)
			if text != test.text || from != test.from {
				t.Errorf("found %q in %v, want %q in %v", text, from, test.text, test.from)
			}
		})
	}
}

func TestFindAsksSourcesInTheirOrder(t *testing.T) {
	r := request("tok=q", "Cookie: tok=c")
	for _, sources := range [][]Source{{queryTok, cookieTok}, {cookieTok, queryTok}} {
		if _, from, err := Find(r, sources); err != nil || from != sources[0] {
			t.Errorf("found in %v (%v), want %v", from, err, sources[0])
		}
	}
}

// TestFindCarried: of several carried cookies the first decides, whatever it holds, and
// none is left.
func TestFindCarried(t *testing.T) {
	carried := Source{Carried, "tok"}
	for name, test := range map[string]struct {
		lines []string
		text  string
		err   error
	}{
		"none":                         {[]string{"Cookie: a=b; tokk=x"}, "", ErrMissing},
		"one":                          {[]string{"Cookie: a=b; tok=x"}, "x", nil},
		"two":                          {[]string{"Cookie: tok=x; a=b; tok=y"}, "x", nil},
		"two lines":                    {[]string{"Cookie: a=b", "Cookie: tok=x", "Cookie: tok=y"}, "x", nil},
		"the first is empty":           {[]string{"Cookie: tok=; tok=y"}, "", ErrMalformed},
		"the first cannot be one":      {[]string{`Cookie: tok="x"; tok=y`}, "", ErrMalformed},
		"the second does not matter":   {[]string{`Cookie: tok=x; tok="y"; tok`}, "x", nil},
		"a name that is spelled alike": {[]string{"Cookie: TOK=y; tok =x"}, "x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("", test.lines...)
			text, from, err := Find(r, []Source{queryTok, carried})
			wantErr(t, err, test.err)
			if text != test.text || err != ErrMissing && from != carried {
				t.Errorf("found %q in %v", text, from)
			}
			Strip(r, []Source{queryTok, carried})
			if _, _, err := Find(r, []Source{carried}); err != ErrMissing {
				t.Errorf("left: %q", r.Header["Cookie"])
			}
		})
	}
	r := request("tok=q", "Cookie: tok=c")
	if text, from, err := Find(r, []Source{queryTok, carried}); text != "q" || from != queryTok || err != nil {
		t.Errorf("the query does not decide: %q in %v, %v", text, from, err)
	}
	if carried.Field() != "Cookie" {
		t.Errorf("it is looked for in %q", carried.Field())
	}
}

func TestSourceWithoutNameOrKindIsNeverPresent(t *testing.T) {
	r := request("=x&&y", "Cookie: =x; ; y", "Authorization: Bearer x")
	sources := []Source{{}, {Query, ""}, {Cookie, ""}, {Header, ""}, {"body", "tok"}}
	_, from, err := Find(r, sources)
	wantErr(t, err, ErrMissing)
	if from != (Source{}) {
		t.Errorf("found in %v", from)
	}
	before := r.URL.RawQuery
	Strip(r, sources)
	if r.URL.RawQuery != before || r.Header.Get("Cookie") != "=x; ; y" {
		t.Errorf("stripped to %q, %q", r.URL.RawQuery, r.Header.Get("Cookie"))
	}
}

// What Find hands on as it came, the screen refuses.
func TestOddValuesDoNotVerify(t *testing.T) {
	tok := mintClaims(t, `{`+soon+`}`)
	verifier := verifierOf(t, "HS256")
	for name, r := range map[string]*http.Request{
		"query, plus":         request("tok=" + tok + "+"),
		"query, line break":   request("tok=" + tok + "%0A"),
		"query, semicolon":    request("tok=" + tok + ";a=b"),
		"query, equals sign":  request("tok=" + tok + "="),
		"bearer, two words":   request("", "Authorization: Bearer "+tok+" x"),
		"bearer, parameters":  request("", "Authorization: Bearer "+tok+", a=b"),
		"header, with Bearer": request("", "Authorization-Token: Bearer "+tok),
		"cookie, encoded dot": request("", "Cookie: tok="+tok+"%2E"),
	} {
		t.Run(name, func(t *testing.T) {
			text, _, err := Find(r, allSources)
			wantErr(t, err, nil)
			_, err = verifier.judge(text, now)
			wantErr(t, err, ErrMalformed)
		})
	}
	text, _, _ := Find(request("tok="+tok), allSources)
	if _, err := verifier.judge(text, now); err != nil {
		t.Errorf("the token itself: %v", err)
	}
}
