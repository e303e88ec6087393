package cdni

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// corpus says what URI makes of what a client asks for. An empty want is an error. In
// the targets, J is a package.
var corpus = []struct{ name, scheme, host, target, want string }{
	// The package, RFC 9246 section 2.1.15 step 1.
	{"query, all there is", "http", "h", "/a?P=J", "http://h/a"},
	{"query, first", "http", "h", "/a?P=J&x=1", "http://h/a?x=1"},
	{"query, middle", "http", "h", "/a?x=1&P=J&y=2", "http://h/a?x=1&y=2"},
	{"query, last", "http", "h", "/a?x=1&P=J", "http://h/a?x=1"},
	{"query, an ampersand behind it", "http", "h", "/a?P=J&", "http://h/a?"},
	{"query, an ampersand in front of it", "http", "h", "/a?&P=J", "http://h/a?"},
	{"query, encoded name", "http", "h", "/a?%50=J", "http://h/a"},
	{"query, encoded value", "http", "h", "/a?P=a%2Eb%2Ec", "http://h/a"},
	{"query, empty", "http", "h", "/a?P=", "http://h/a"},
	{"query, without a value", "http", "h", "/a?P", "http://h/a"},
	{"query, twice", "http", "h", "/a?P=J&x=1&P=J", "http://h/a?x=1"},
	{"query, behind a semicolon it is none", "http", "h", "/a?x=1;P=J", "http://h/a?x=1;P=J"},
	{"query, other case", "http", "h", "/a?p=J", "http://h/a?p=J"},
	{"query, a longer name", "http", "h", "/a?PP=J&P=J", "http://h/a?PP=J"},
	{"path, at the end", "http", "h", "/a;P=J", "http://h/a"},
	{"path, in the middle", "http", "h", "/a;P=J/b/c", "http://h/a/b/c"},
	{"path, first parameter", "http", "h", "/a;P=J;v=1/b", "http://h/a;v=1/b"},
	{"path, between parameters", "http", "h", "/a;v=1;P=J;w=2/b", "http://h/a;v=1;w=2/b"},
	{"path, last parameter", "http", "h", "/a;v=1;P=J", "http://h/a;v=1"},
	{"path, a semicolon behind it", "http", "h", "/a;P=J;", "http://h/a;"},
	{"path, in front of a query", "http", "h", "/a;P=J?x=1", "http://h/a?x=1"},
	{"path, of the root", "http", "h", "/;P=J", "http://h/"},
	{"path, behind the last slash", "http", "h", "/a/;P=J", "http://h/a/"},
	{"path, in front of the last slash", "http", "h", "/a;P=J/", "http://h/a/"},
	{"path, encoded name", "http", "h", "/a;%50=J", "http://h/a"},
	{"path, encoded semicolon", "http", "h", "/a%3bP=J", "http://h/a%3BP=J"},
	{"path, twice", "http", "h", "/a;P=J/b;P=J", "http://h/a/b"},
	{"path, no semicolon", "http", "h", "/P=J/a", "http://h/P=J/a"},
	{"both styles", "http", "h", "/a;P=J/b?x=1&P=J", "http://h/a/b?x=1"},
	{"neither", "http", "h", "/a/b?x=1", "http://h/a/b?x=1"},

	// Scheme and host, RFC 7230 section 2.7.3 and RFC 3986 sections 6.2.2.1, 6.2.3.
	{"scheme in capitals", "HTTP", "h", "/", "http://h/"},
	{"host in capitals", "https", "CDNI.Example", "/", "https://cdni.example/"},
	{"default port", "http", "h:80", "/", "http://h/"},
	{"default port of https", "https", "h:443", "/", "https://h/"},
	{"default port of the other scheme", "http", "h:443", "/", "http://h:443/"},
	{"another port", "https", "h:8443", "/", "https://h:8443/"},
	{"empty port", "http", "h:", "/", "http://h/"},
	{"host with escapes", "http", "%48%c3%bc.Example", "/", "http://h%C3%BC.example/"},
	{"host that is not ASCII", "http", "Hü", "/", "http://h%C3%BC/"},
	{"IPv4", "http", "192.0.2.1:80", "/", "http://192.0.2.1/"},
	{"IPv6", "http", "[2001:DB8::1]:80", "/", "http://[2001:db8::1]/"},
	{"IPv6 without a port", "http", "[::1]", "/", "http://[::1]/"},

	// Percent-encoding, RFC 3986 sections 2.1, 6.2.2.1 and 6.2.2.2.
	{"escapes in capitals", "http", "h", "/a%2fb%3f?x=%c3%bc", "http://h/a%2Fb%3F?x=%C3%BC"},
	{"unreserved", "http", "h", "/%61%5A%30%2d%2E%5f%7E?%61", "http://h/aZ0-._~?a"},
	{"reserved stays encoded", "http", "h", "/%21%24%26%27%28%29%2a%2b%2c%3b%3d%3a%40%2f%3f%23%5b%5d", "http://h/%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40%2F%3F%23%5B%5D"},
	{"reserved stays plain", "http", "h", "/!$&'()*+,;=:@?!$&'()*+,;=:@/?", "http://h/!$&'()*+,;=:@?!$&'()*+,;=:@/?"},
	{"percent sign", "http", "h", "/100%25", "http://h/100%25"},
	{"encoded twice", "http", "h", "/%2561?%2561", "http://h/%2561?%2561"},
	{"not ASCII", "http", "h", "/ü?ü", "http://h/%C3%BC?%C3%BC"},
	{"what no URI has", "http", "h", "/\"<>[\\]^`{|}#\x01", "http://h/%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D%23%01"},
	{"plus in a query", "http", "h", "/?a+b=%2B", "http://h/?a+b=%2B"},

	// Dot segments and empty paths, RFC 3986 sections 5.2.4, 6.2.2.3 and 6.2.3.
	{"root", "http", "h", "/", "http://h/"},
	{"root with an empty query", "http", "h", "/?", "http://h/?"},
	{"a dot", "http", "h", "/a/./b", "http://h/a/b"},
	{"two dots", "http", "h", "/a/../b", "http://h/b"},
	{"a dot at the end", "http", "h", "/a/.", "http://h/a/"},
	{"two dots at the end", "http", "h", "/a/b/..", "http://h/a/"},
	{"above the root", "http", "h", "/../../a", "http://h/a"},
	{"nothing but dots", "http", "h", "/..", "http://h/"},
	{"of the RFC", "http", "h", "/a/b/c/./../../g", "http://h/a/g"},
	{"encoded dots", "http", "h", "/a/%2e%2E/b/%2e", "http://h/b/"},
	{"dots in front of the package", "http", "h", "/a/..;P=J/b", "http://h/b"},
	{"dots with a parameter", "http", "h", "/a/..;v=1/b", "http://h/a/..;v=1/b"},
	{"three dots", "http", "h", "/.../.a/a.", "http://h/.../.a/a."},
	{"doubled slashes", "http", "h", "//a///b//", "http://h//a///b//"},
	{"an empty segment above", "http", "h", "/a//../b", "http://h/a/b"},
	{"dots in a query", "http", "h", "/a?/../b", "http://h/a?/../b"},

	// What is no URI.
	{"another scheme", "ftp", "h", "/", ""},
	{"no scheme", "", "h", "/", ""},
	{"no host", "http", "", "/", ""},
	{"only a port", "http", ":80", "/", ""},
	{"a port that is none", "http", "h:8o", "/", ""},
	{"a user", "http", "u@h", "/", ""},
	{"a host with a path", "http", "h/a", "/", ""},
	{"a host with a query", "http", "h?a", "/", ""},
	{"a host with a bad escape", "http", "h%zz", "/", ""},
	{"two ports", "http", "h:1:2", "/", ""},
	{"a bracket that is open", "http", "[::1", "/", ""},
	{"a bracket behind", "http", "::1]", "/", ""},
	{"something behind the bracket", "http", "[::1]a", "/", ""},
	{"a zone", "http", "[fe80::1%25eth0]", "/", ""},
	{"no path", "http", "h", "", ""},
	{"no slash", "http", "h", "a", ""},
	{"absolute form", "http", "h", "http://h/a", ""},
	{"asterisk form", "http", "h", "*", ""},
	{"bad escape", "http", "h", "/%zz", ""},
	{"cut escape", "http", "h", "/%2", ""},
	{"bad escape in the query", "http", "h", "/?100%", ""},
	{"too long", "http", "h", "/" + strings.Repeat("a", maxURI), ""},
}

// signedJWT stands for a package.
const signedJWT = "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjF9.c2ln-_"

func TestURI(t *testing.T) {
	if len(corpus) < 55 {
		t.Fatal(len(corpus))
	}
	for _, test := range corpus {
		t.Run(test.name, func(t *testing.T) {
			target := Target{test.scheme, test.host, strings.ReplaceAll(test.target, "J", signedJWT)}
			uri, err := target.URI("P")
			if want := strings.ReplaceAll(test.want, "J", signedJWT); uri != want || (err != nil) != (want == "") {
				t.Errorf("got %q, %v, want %q", uri, err, want)
			}
		})
	}
}

// TestURIWithTheDefaultAttribute: a name is not found in another.
func TestURIWithTheDefaultAttribute(t *testing.T) {
	target := Target{"http", "h", "/a;P=1;URISigningPackage=" + signedJWT + "?P=2&URISigningPackage=" + signedJWT}
	if uri, err := target.URI(Attribute); uri != "http://h/a;P=1?P=2" || err != nil {
		t.Errorf("%q, %v", uri, err)
	}
}

// again reads a normal URI as a target.
func again(uri string) Target {
	scheme, rest, _ := strings.Cut(uri, "://")
	slash := strings.IndexByte(rest, '/')
	return Target{scheme, rest[:slash], rest[slash:]}
}

// checkNormal finds out whether a URI is what normalising makes of itself, holds only
// what a URI can, and no package.
func checkNormal(t interface{ Fatalf(string, ...any) }, target Target, uri string) {
	if twice, err := again(uri).URI("P"); twice != uri || err != nil {
		t.Fatalf("%q: %q, then %q, %v", target, uri, twice, err)
	}
	if strings.Trim(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?[]@!$&'()*+,;=%") != "" {
		t.Fatalf("%q: %q is no URI", target, uri)
	}
	path, query, _ := strings.Cut(again(uri).RequestURI, "?")
	if strings.Contains(path+"/", "/../") || strings.Contains(path+"/", "/./") {
		t.Fatalf("%q: %q has dots", target, uri)
	}
	for piece := range strings.SplitSeq(query, "&") {
		if piece == "P" || strings.HasPrefix(piece, "P=") {
			t.Fatalf("%q: %q has a package", target, uri)
		}
	}
}

// checkServed finds out whether the URI that is compared is for the file that is served.
func checkServed(t interface{ Fatalf(string, ...any) }, target Target, uri string) {
	asked, err := url.ParseRequestURI(target.RequestURI)
	if err != nil {
		return
	}
	r := &http.Request{URL: asked, RequestURI: target.RequestURI}
	token.Strip(r, []token.Source{{Kind: token.Query, Name: "P"}, {Kind: token.Path, Name: "P"}})
	served, err := scope.Path(r.URL)
	if err != nil {
		return // it is refused
	}
	compared, err := url.ParseRequestURI(again(uri).RequestURI)
	if err != nil || compared.Path != served {
		t.Fatalf("%q: %q is compared (%v), and %q is served", target, uri, err, served)
	}
}

// TestURIIsNormal: what comes out stays as it is, and is for the file that is served.
func TestURIIsNormal(t *testing.T) {
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{
		"/", ".", "..", ";", "=", "&", "?", "P", "P=" + signedJWT, "%50", "%3B", "%3b", "%2e", "%2F", "%25", "%41", "a", "A", "ü", "{", ":", "@", "+", "#",
	}), 0, 24)
	hosts := rapid.SampledFrom([]string{"h", "H:80", "h:443", "h:", "[::A]:81", "%41b", "Ü"})
	rapid.Check(t, func(t *rapid.T) {
		target := Target{rapid.SampledFrom([]string{"http", "HTTPS"}).Draw(t, "scheme"), hosts.Draw(t, "host"), "/" + strings.Join(pieces.Draw(t, "pieces"), "")}
		uri, err := target.URI("P")
		if err != nil {
			t.Fatalf("%q: %v", target, err)
		}
		checkNormal(t, target, uri)
		checkServed(t, target, uri)
	})
}

func FuzzURI(f *testing.F) {
	for _, test := range corpus {
		f.Add(test.scheme, test.host, strings.ReplaceAll(test.target, "J", signedJWT))
	}
	f.Fuzz(func(t *testing.T, scheme, host, requestURI string) {
		target := Target{scheme, host, requestURI}
		if uri, err := target.URI("P"); err == nil {
			checkNormal(t, target, uri)
			checkServed(t, target, uri)
		}
	})
}

func BenchmarkURI(b *testing.B) {
	target := Target{"https", "cdni.example", "/foo/bar/001.ts?URISigningPackage=" + signedJWT}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := target.URI(Attribute); err != nil {
			b.Fatal(err)
		}
	}
}
