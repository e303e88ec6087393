package command

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// unsigned puts a text together that looks like a token.
func unsigned(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) // 1795262400

func TestDescribe(t *testing.T) {
	d, err := describe(unsigned(`{"typ":"JWT","alg":"HS256","x":1}`,
		`{"zeta":"z","exp":1795262640,"iat":1795262399.25,"nbf":1795262400,"sub":"a\u0000b","alpha":{"b":[1]}}`), noon)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d.write(&out)
	want := `Token ` + d.Fingerprint + `, as logs call it

Header
  alg  "HS256"
  typ  "JWT"
  x    1

Claims
  sub    "a\u0000b"
  exp    1795262640  expires in 4 minutes (2026-11-21T12:04:00Z)
  nbf    1795262400  valid since less than a second (2026-11-21T12:00:00Z)
  iat    1795262399.25  issued less than a second ago (2026-11-21T11:59:59Z)
  alpha  {"b":[1]}
  zeta   "z"
`
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestDescribeDamaged(t *testing.T) {
	good := unsigned(`{"alg":"HS256"}`, `{"exp":1}`)
	for name, text := range map[string]string{
		"one part":            "abc",
		"two parts":           "eyJhIjoxfQ.eyJhIjoxfQ",
		"four parts":          good + ".x",
		"padding":             strings.Replace(good, ".", "=.", 1),
		"line break":          good[:4] + "\n" + good[4:],
		"a name twice":        unsigned(`{"alg":"HS256"}`, `{"a":1,"a":2}`),
		"an array":            unsigned(`{"alg":"HS256"}`, `[1]`),
		"null":                unsigned(`null`, `{}`),
		"half a surrogate":    unsigned(`{}`, `{"a":"\ud800"}`),
		"encrypted (5 parts)": "eyJhIjoxfQ.a.b.c.d",
	} {
		if d, err := describe(text, noon); err == nil {
			t.Errorf("%s: %+v", name, d)
		} else if len(d.Fingerprint) != 16 {
			t.Errorf("%s: fingerprint %q", name, d.Fingerprint)
		}
	}
}

func TestTimesInWords(t *testing.T) {
	for _, c := range []struct {
		claim string
		after time.Duration
		want  string
	}{
		{"exp", 4*time.Minute + 59*time.Second, "expires in 4 minutes"},
		{"exp", 90 * time.Second, "expires in 1 minute 30 seconds"},
		{"exp", 2 * time.Hour, "expires in 2 hours"},
		{"exp", 26 * time.Hour, "expires in 1 day 2 hours"},
		{"exp", 400 * 24 * time.Hour, "expires in 400 days"},
		{"exp", 0, "expired less than a second ago"}, // exp must lie after now (RFC 7519 section 4.1.4)
		{"exp", -time.Second, "expired 1 second ago"},
		{"exp", -3 * time.Hour, "expired 3 hours ago"},
		{"nbf", time.Minute, "not valid before another 1 minute"},
		{"nbf", -time.Minute, "valid since 1 minute"},
		{"iat", -2500 * time.Millisecond, "issued 2 seconds ago"},
		{"iat", time.Minute, "issued 1 minute in the future; the clocks differ"},
	} {
		if got := inWords(c.claim, noon.Add(c.after), noon); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.claim, c.after, got, c.want)
		}
	}
}

func TestNoTime(t *testing.T) {
	for _, value := range []string{`"1795262400"`, `null`, `0`, `-1`, `1e300`, `1795262400000`, ``} {
		if at, ok := token.NumericDate([]byte(value)); ok {
			t.Errorf("%s is %v", value, at)
		}
	}
}

func TestReadToken(t *testing.T) {
	text := unsigned(`{"alg":"HS256"}`, `{}`)
	for name, c := range map[string]struct {
		given, stdin, want, err string
	}{
		"an argument":     {text, "", text, ""},
		"a pipe":          {"-", "\n " + text + "\r\n", text, ""},
		"a link":          {"https://a.example/x?a=b&token=" + text, "", text, ""},
		"an encoded link": {"https://a.example/?t=" + strings.ReplaceAll(text, ".", "%2E"), "", text, ""},
		"a piped link":    {"-", "https://a.example/?t=" + text + "\n", text, ""},
		"nothing":         {"-", " \n", "", "no token"},
		"a bare link":     {"https://a.example/?a=b", "", "", "no token in the link"},
		"two tokens":      {"https://a.example/?a=" + text + "&b=" + text, "", "", "more than one"},
		"another scheme":  {"ftp://a.example/?a=" + text, "", "", "whole address"},
	} {
		got, _, err := readToken(c.given, strings.NewReader(c.stdin))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// FuzzDescribe: whatever a stranger sends, nothing but printable text comes out.
func FuzzDescribe(f *testing.F) {
	f.Add(unsigned(`{"alg":"HS256"}`, `{"exp":1795262640,"a":"\u001b[2J","\u202e":1}`))
	f.Add(unsigned(`{"alg":"HS256"}`, "{\"a\":\"\u009b2J\u202e\"}"))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		d, _ := describe(text, noon)
		var out bytes.Buffer
		d.write(&out)
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%q reaches the terminal", r)
			}
		}
	})
}
