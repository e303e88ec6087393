package token

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

var (
	anyUser = Source{Basic, ""}
	anna    = Source{Basic, "anna"}
	bert    = Source{Basic, "bert"}
)

// basicLine is what clients send for -u userPassword.
func basicLine(userPassword string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(userPassword))
}

func TestFindPassword(t *testing.T) {
	tests := []struct {
		name    string
		lines   []string
		sources []Source
		text    string
		from    Source
		err     error
	}{
		{"nothing", nil, []Source{anyUser}, "", Source{}, ErrMissing},
		{"any user", []string{basicLine("anna:x.y.z")}, []Source{anyUser}, "x.y.z", anyUser, nil},
		{"an empty user", []string{basicLine(":x.y.z")}, []Source{anyUser}, "x.y.z", anyUser, nil},
		{"this user", []string{basicLine("anna:x.y.z")}, []Source{anna}, "x.y.z", anna, nil},
		{"one of two users", []string{basicLine("bert:x.y.z")}, []Source{anna, bert}, "x.y.z", bert, nil},
		{"another user", []string{basicLine("carl:x.y.z")}, []Source{anna, bert}, "", Source{}, ErrMissing},
		{"another case", []string{basicLine("Anna:x.y.z")}, []Source{anna}, "", Source{}, ErrMissing},
		{"no user where one is named", []string{basicLine(":x.y.z")}, []Source{anna}, "", Source{}, ErrMissing},
		{"not ASCII", []string{basicLine("änne:x")}, []Source{{Basic, "änne"}}, "x", Source{Basic, "änne"}, nil},
		{"a colon belongs to the password", []string{basicLine("anna:x:y")}, []Source{anna}, "x:y", anna, nil},
		{"any case of the scheme", []string{"Authorization: bASIC " + base64.StdEncoding.EncodeToString([]byte("anna:x"))}, []Source{anna}, "x", anna, nil},
		{"more spaces", []string{"Authorization: Basic   YW5uYTp4"}, []Source{anna}, "x", anna, nil},

		{"no password", []string{basicLine("anna:")}, []Source{anna}, "", anna, ErrMalformed},
		{"no colon", []string{basicLine("anna")}, []Source{anna}, "", anna, ErrMalformed},
		{"no colon, any user", []string{basicLine("x.y.z")}, []Source{anyUser}, "", anyUser, ErrMalformed},
		{"not base64", []string{"Authorization: Basic !"}, []Source{anna}, "", anna, ErrMalformed},
		{"base64 cut off", []string{"Authorization: Basic YW5uYTp4YQ"}, []Source{anna}, "", anna, ErrMalformed},
		{"base64url", []string{"Authorization: Basic YTrDv8O_"}, []Source{anyUser}, "", anyUser, ErrMalformed},
		{"the scheme alone", []string{"Authorization: Basic"}, []Source{anyUser}, "", anyUser, ErrMalformed},
		{"a tab", []string{"Authorization: Basic\tYW5uYTp4"}, []Source{anyUser}, "", anyUser, ErrMalformed},
		{"another scheme", []string{"Authorization: Basics YW5uYTp4"}, []Source{anyUser}, "", Source{}, ErrMissing},

		{"twice", []string{basicLine("anna:x"), basicLine("anna:x")}, []Source{anna}, "", anna, ErrAmbiguous},
		{"twice, one of another user", []string{basicLine("anna:x"), basicLine("carl:y")}, []Source{anna}, "", anna, ErrAmbiguous},
		{"with a Bearer", []string{"Authorization: Bearer h", basicLine("anna:x")}, []Source{anyUser}, "", anyUser, ErrAmbiguous},
		{"with a Bearer, which is asked first", []string{basicLine("anna:x"), "Authorization: Bearer h"}, []Source{bearerTok, anyUser}, "", bearerTok, ErrAmbiguous},

		{"Basic, though Bearer is asked first", []string{basicLine("anna:x")}, []Source{bearerTok, anyUser}, "x", anyUser, nil},
		{"Basic, and Bearer is asked last", []string{basicLine("anna:x")}, []Source{anyUser, bearerTok}, "x", anyUser, nil},
		{"Bearer, though Basic is asked first", []string{"Authorization: Bearer h"}, []Source{anyUser, bearerTok}, "h", bearerTok, nil},
		{"Bearer, and Basic is asked last", []string{"Authorization: Bearer h"}, []Source{bearerTok, anyUser}, "h", bearerTok, nil},
		{"another user lets the cookie speak", []string{basicLine("carl:x"), "Cookie: tok=c"}, []Source{anna, cookieTok}, "c", cookieTok, nil},
		{"malformed does not", []string{basicLine("carl"), "Cookie: tok=c"}, []Source{anna, cookieTok}, "", anna, ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request("", test.lines...)
			text, from, err := Find(r, test.sources)
			wantErr(t, err, test.err)
			if text != test.text || from != test.from {
				t.Errorf("found %q in %v, want %q in %v", text, from, test.text, test.from)
			}
			Strip(r, test.sources)
			_, _, err = Find(r, test.sources)
			wantErr(t, err, ErrMissing)
		})
	}
}

func TestStripPassword(t *testing.T) {
	for name, test := range map[string]struct {
		lines   []string
		sources []Source
		want    []string
	}{
		"any user":                   {[]string{basicLine("anna:x")}, []Source{anyUser}, nil},
		"this user":                  {[]string{basicLine("anna:x")}, []Source{anna}, nil},
		"another user stays":         {[]string{basicLine("carl:x")}, []Source{anna}, []string{"Basic Y2FybDp4"}},
		"of two, another user stays": {[]string{basicLine("anna:x"), basicLine("carl:x")}, []Source{anna}, []string{"Basic Y2FybDp4"}},
		"broken":                     {[]string{"Authorization: Basic\t!"}, []Source{anna}, nil},
		"a Bearer stays":             {[]string{"Authorization: Bearer h", basicLine("anna:x")}, []Source{anyUser}, []string{"Bearer h"}},
		"a Bearer goes too":          {[]string{"Authorization: Bearer h", basicLine("anna:x")}, []Source{anyUser, bearerTok}, nil},
		"nobody asks for it":         {[]string{basicLine("anna:x")}, []Source{bearerTok}, []string{"Basic YW5uYTp4"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("", test.lines...)
			Strip(r, test.sources)
			if got := r.Header["Authorization"]; !slices.Equal(got, test.want) {
				t.Errorf("left %q, want %q", got, test.want)
			}
		})
	}
}

func TestField(t *testing.T) {
	for _, test := range []struct {
		source Source
		want   string
	}{
		{queryTok, ""}, {Source{Header, "x-token"}, "X-Token"}, {bearerTok, "Authorization"},
		{cookieTok, "Cookie"}, {anyUser, "Authorization"}, {anna, "Authorization"}, {Source{}, ""},
	} {
		if got := test.source.Field(); got != test.want {
			t.Errorf("%v looks at %q, want %q", test.source, got, test.want)
		}
	}
}

// FuzzBasic takes any Authorization: what is found is what net/http reads, for the
// user that was named, and nothing of it is left.
func FuzzBasic(f *testing.F) {
	for _, line := range []string{
		"Basic YW5uYTp4", "basic  YW5uYTp4", "Basic YW5uYTp4YQ", "Basic YW5uYQ==", "Basic !", "Basic", "Basic\tYW5uYTp4",
		"Basic Y2FybDp4", "Basic Onh5", "Bearer x", "Bearer", "Digest x", "", "Basic YTrDv8O_",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := &http.Request{URL: &url.URL{Path: "/"}, Header: http.Header{"Authorization": {line}}}
		user, password, ok := r.BasicAuth()
		for _, sources := range [][]Source{{anyUser}, {anna}, {anna, bearerTok}, {bearerTok, anna, bert}} {
			text, from, err := Find(r, sources)
			switch {
			case from.Kind == Basic && err == nil:
				if text != password && ok || text == "" || from.Name != "" && ok && user != from.Name {
					t.Fatalf("found %q in %v; net/http has %q, %q", text, from, user, password)
				}
			case err == nil && from.Kind != Header, err == ErrAmbiguous, err != nil && text != "":
				t.Fatalf("found %q in %v with %v", text, from, err)
			case ok && password != "" && slices.Contains(sources, Source{Basic, user}):
				t.Fatalf("did not find %q of %q: %v", password, user, err)
			}
			left := &http.Request{URL: r.URL, Header: r.Header.Clone()}
			Strip(left, sources)
			if _, _, again := Find(left, sources); again != ErrMissing {
				t.Fatalf("still found: %v", again)
			}
			if kept := left.Header["Authorization"] != nil; kept != (err == ErrMissing) {
				t.Fatalf("%q was kept: %v, though Find said %v", strings.ToValidUTF8(line, "?"), kept, err)
			}
		}
	})
}
