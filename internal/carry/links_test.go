package carry

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// linksOf are those of a page whose token opens what lies in /v/.
func linksOf(t testing.TB, page string) *Links {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	return &Links{
		Page: u,
		Name: "tok",
		Opens: func(u *url.URL) bool {
			path, err := scope.Path(u)
			return err == nil && strings.HasPrefix(path, "/v/")
		},
		Token: func(_ *url.URL, index bool) string {
			if index {
				return "INDEX"
			}
			return "T"
		},
	}
}

func TestSign(t *testing.T) {
	const page = "https://files.example/v/a%20b/index.m3u8?tok=T&q=1"
	tests := []struct{ name, page, ref, want string }{
		{"a relative path", page, "seg1.ts", "seg1.ts?tok=T"},
		{"a query", page, "seg1.ts?x=1", "seg1.ts?x=1&tok=T"},
		{"an empty query", page, "seg1.ts?", "seg1.ts?&tok=T"},
		{"a query alone", page, "?sort=name", "?sort=name&tok=T"},
		{"a fragment", page, "a.html#x?y", "a.html?tok=T#x?y"},
		{"a query and a fragment", page, "a.html?x#y", "a.html?x&tok=T#y"},
		{"an empty fragment", page, "a.html#", "a.html?tok=T#"},
		{"upwards", page, "../c/1.ts", "../c/1.ts?tok=T"},
		{"here", page, "./1.ts", "./1.ts?tok=T"},
		{"an absolute path", page, "/v/1.ts", "/v/1.ts?tok=T"},
		{"an absolute URL", page, "https://files.example/v/1.ts", "https://files.example/v/1.ts?tok=T"},
		{"in capitals", page, "HTTPS://FILES.Example/v/1.ts", "HTTPS://FILES.Example/v/1.ts?tok=T"},
		{"the port that goes without saying", page, "https://files.example:443/v/1.ts", "https://files.example:443/v/1.ts?tok=T"},
		{"and an empty one", page, "https://files.example:/v/1.ts", "https://files.example:/v/1.ts?tok=T"},
		{"without a scheme", page, "//files.example/v/1.ts", "//files.example/v/1.ts?tok=T"},
		{"a port", "http://h:8080/v/", "http://h:8080/v/x", "http://h:8080/v/x?tok=T"},
		{"IPv6", "http://[::1]:80/v/", "//[::1]/v/x", "//[::1]/v/x?tok=T"},
		{"umlauts and spaces", page, "ä b.ts", "ä b.ts?tok=T"},
		{"escapes", page, "%C3%A4%20b.ts", "%C3%A4%20b.ts?tok=T"},
		{"another parameter whose name ends alike", page, "1.ts?atok=x&tokb=y", "1.ts?atok=x&tokb=y&tok=T"},
		{"a value that looks like the parameter", page, "1.ts?a=tok=x", "1.ts?a=tok=x&tok=T"},
		{"a segment with a colon", page, "./a:b.ts", "./a:b.ts?tok=T"},
		{"an at sign in a path", page, "a@b.ts", "a@b.ts?tok=T"},

		{"nothing", page, "", ""},
		{"a place on this page", page, "#top", "#top"},
		{"out of the scope", page, "../../x.ts", "../../x.ts"},
		{"out of the scope and back", page, "../../x/../v/1.ts", "../../x/../v/1.ts?tok=T"},
		{"beyond the root", page, "../../../../v/1.ts", "../../../../v/1.ts?tok=T"},
		{"another scope", page, "/w/1.ts", "/w/1.ts"},
		{"another host", page, "https://evil.example/v/1.ts", "https://evil.example/v/1.ts"},
		{"another host without a scheme", page, "//evil.example/v/1.ts", "//evil.example/v/1.ts"},
		{"another port", page, "https://files.example:444/v/1.ts", "https://files.example:444/v/1.ts"},
		{"the other port that goes without saying", page, "https://files.example:80/v/1.ts", "https://files.example:80/v/1.ts"},
		{"another scheme", page, "http://files.example/v/1.ts", "http://files.example/v/1.ts"},
		{"a host that ends in a dot", page, "https://files.example./v/1.ts", "https://files.example./v/1.ts"},
		{"a longer host", page, "https://files.example.evil/v/1.ts", "https://files.example.evil/v/1.ts"},
		{"a Kelvin sign", "https://k.example/v/", "https://\u212a.example/v/1.ts", "https://\u212a.example/v/1.ts"},
		{"an escaped host", page, "https://files%2eexample/v/1.ts", "https://files%2eexample/v/1.ts"},
		{"a user", page, "https://a@files.example/v/1.ts", "https://a@files.example/v/1.ts"},
		{"a user that looks like the host", page, "https://files.example@evil/v/1", "https://files.example@evil/v/1"},
		{"an empty user", page, "//@files.example/v/1", "//@files.example/v/1"},
		{"data", page, "data:text/plain,x", "data:text/plain,x"},
		{"script", page, "javascript:alert(1)", "javascript:alert(1)"},
		{"mail", page, "mailto:a@files.example", "mailto:a@files.example"},
		{"a scheme without a host", page, "https:1.ts", "https:1.ts"},
		{"a scheme and a path", page, "https:/v/1.ts", "https:/v/1.ts"},
		{"three slashes", page, "///evil.example/v/1", "///evil.example/v/1"},
		{"a scheme and three slashes", page, "https:///evil.example/v/1", "https:///evil.example/v/1"},
		{"a double slash in the path", page, "..//1.ts", "..//1.ts"},
		{"a path that looks like a host", page, "/v/..//evil.example/v/", "/v/..//evil.example/v/"},
		{"a backslash", page, "/\\evil.example/v/1", "/\\evil.example/v/1"},
		{"a backslash in the path", page, "a\\b", "a\\b"},
		{"a tab", page, "/\t/evil.example/v/1", "/\t/evil.example/v/1"},
		{"a line break", page, "/\n/evil.example/v/1", "/\n/evil.example/v/1"},
		{"a control byte", page, "1\x01.ts", "1\x01.ts"},
		{"DEL", page, "1\x7f.ts", "1\x7f.ts"},
		{"a space in front", page, " 1.ts", " 1.ts"},
		{"a space behind", page, "1.ts ", "1.ts "},
		{"no UTF-8", page, "1\xff.ts", "1\xff.ts"},
		{"no escape", page, "1%zz.ts", "1%zz.ts"},
		{"an escaped dot segment", page, "%2e%2e/%2E./x", "%2e%2e/%2E./x"},
		{"an escaped slash", page, "..%2fx", "..%2fx"},
		{"an escaped backslash", page, "a%5cb", "a%5cb"},
		{"an escaped line break", page, "a%0ab", "a%0ab"},
		{"what players written in Python take for a line break", page, "1.ts?\u2028https://evil.example/", "1.ts?\u2028https://evil.example/"},
		{"and another", page, "1.ts?\u0085https://evil.example/", "1.ts?\u0085https://evil.example/"},
		{"what players written in JavaScript trim", page, "\uFEFF/w/1.ts", "\uFEFF/w/1.ts"},
		{"and another", page, "\u00a0/w/1.ts", "\u00a0/w/1.ts"},
		{"longer than a URL is", page, strings.Repeat("a", maxURL), strings.Repeat("a", maxURL)},
		{"the parameter", page, "1.ts?tok=x", "1.ts?tok=x"},
		{"the parameter without a value", page, "1.ts?a&tok", "1.ts?a&tok"},
		{"the parameter, escaped", page, "1.ts?%74o%6B=x", "1.ts?%74o%6B=x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := linksOf(t, test.page)
			if got := l.Sign(l.Page, test.ref, false); got != test.want {
				t.Errorf("%q became %q, want %q", test.ref, got, test.want)
			}
		})
	}
}

func TestSignWithAnotherBase(t *testing.T) {
	l := linksOf(t, "https://files.example/v/index.mpd")
	for base, want := range map[string]string{
		"https://files.example/v/720p/": "1.ts?tok=T",
		"https://files.example/w/":      "1.ts",
		"https://cdn.example/v/":        "1.ts",
		"http://files.example/v/":       "1.ts",
	} {
		u, _ := url.Parse(base)
		if got := l.Sign(u, "1.ts", false); got != want {
			t.Errorf("in %s it became %q, want %q", base, got, want)
		}
	}
}

func TestSignAsksForTheToken(t *testing.T) {
	l := linksOf(t, "https://files.example/v/index.m3u8")
	l.Name = "a b"
	var asked string
	l.Token = func(u *url.URL, index bool) string {
		asked = u.String()
		if index {
			return "x&y"
		}
		return ""
	}
	if got, want := l.Sign(l.Page, "720p/i.m3u8?q=1", true), "720p/i.m3u8?q=1&a+b=x%26y"; got != want {
		t.Errorf("it became %q, want %q", got, want)
	}
	if want := "https://files.example/v/720p/i.m3u8?q=1"; asked != want {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if got := l.Sign(l.Page, "1.ts", false); got != "1.ts" {
		t.Errorf("without a token it became %q", got)
	}
	if got := l.Sign(l.Page, "1.ts?a+b=x", true); got != "1.ts?a+b=x" {
		t.Errorf("it has the parameter already and became %q", got)
	}
}

// FuzzSign takes any reference: the token goes to this origin and into the scope only,
// and nothing else changes.
func FuzzSign(f *testing.F) {
	for _, ref := range []string{
		"1.ts", "?a", "#b", "//files.example/v/", "///x", "https:x", "https://files.example@evil/v/", "../v/%2e%2e/x?#", "a:b", "/\\x",
	} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		l := linksOf(t, "https://files.example/v/a/index.m3u8")
		signed := l.Sign(l.Page, ref, false)
		if signed == ref {
			return
		}
		if strings.Replace(strings.Replace(signed, "?tok=T", "", 1), "&tok=T", "", 1) != ref &&
			!strings.Contains(ref, "tok=T") {
			t.Fatalf("%q became %q", ref, signed)
		}
		u, err := l.Page.Parse(signed)
		if err != nil || u.Scheme != "https" || !strings.EqualFold(u.Hostname(), "files.example") || u.User != nil || !l.Opens(u) {
			t.Fatalf("%q became %q, which leads to %v, %v", ref, signed, u, err)
		}
		if values := u.Query()["tok"]; len(values) != 1 || values[0] != "T" {
			if !strings.Contains(u.RawQuery, ";") { // which net/url does not split
				t.Fatalf("%q became %q, with %q", ref, signed, values)
			}
		}
	})
}
