package scope

import (
	"bufio"
	"errors"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// received parses a request target as Go's server does, nil if it would refuse.
func received(target string) *url.URL {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")))
	if err != nil {
		return nil
	}
	return r.URL
}

func TestPath(t *testing.T) {
	tests := []struct {
		name   string
		target string
		want   string // "" is refused
	}{
		{"plain", "/a.txt", "/a.txt"},
		{"root", "/", "/"},
		{"directory", "/sub/", "/sub/"},
		{"query is not path", "/a.txt?x=/../", "/a.txt"},
		{"absolute form", "http://h/a.txt?x", "/a.txt"},
		{"space", "/sp%20ace.txt", "/sp ace.txt"},
		{"plus is no space", "/sp+ace.txt", "/sp+ace.txt"},
		{"encoded question mark", "/q%3fx.txt", "/q?x.txt"},
		{"encoded letter", "/%61.txt", "/a.txt"},
		{"utf-8", "/%C3%A9", "/é"},
		{"utf-8, raw", "/é", "/é"},
		{"not utf-8", "/%ff", "/\xff"},
		{"next line is no control byte", "/%c2%85", "/\u0085"},
		{"percent encoded twice is decoded once", "/%2541.txt", "/%41.txt"},
		{"slash encoded twice is a name", "/%252F", "/%2F"},
		{"dots encoded twice are a name", "/pub/%252e%252e/priv/x", "/pub/%2e%2e/priv/x"},
		{"name that begins with dots", "/..hidden", "/..hidden"},
		{"name that ends with dots", "/a..", "/a.."},
		{"three dots", "/.../x", "/.../x"},
		{"case is kept", "/A.TXT", "/A.TXT"},
		{"parameters are part of the name", "/pub/x;a=b", "/pub/x;a=b"},

		{"asterisk form", "*", ""},
		{"opaque", "h:80", ""},
		{"opaque with slash", "h:a/b", ""},
		{"empty path of an absolute form", "http://h", ""},
		{"dots between encoded slashes", "/sub%2f..%2fa.txt", ""},
		{"encoded dots", "/sub/%2e%2e/a.txt", ""},
		{"half encoded dots", "/sub/.%2E/a.txt", ""},
		{"dots", "/sub/../a.txt", ""},
		{"leading encoded dots and slash", "/%2e%2e%2fa.txt", ""},
		{"leading dots", "/../a.txt", ""},
		{"only dots", "/..", ""},
		{"dot at the end", "/a.txt/.", ""},
		{"dots at the end", "/a/..", ""},
		{"dots before the slash at the end", "/a/../", ""},
		{"dot", "/./a.txt", ""},
		{"doubled slash at the beginning", "//a.txt", ""},
		{"doubled slash", "/sub//deep/f.txt", ""},
		{"doubled slash at the end", "/sub//", ""},
		{"doubled slash from an encoded one", "/sub/%2f", ""},
		{"encoded slash, upper case", "/sub%2Fdeep%2Ff.txt", ""},
		{"encoded slash, lower case", "/sub%2fdeep", ""},
		{"encoded slash after another escape", "/%20%2Fx", ""},
		{"encoded slash at the end", "/sub%2F", ""},
		{"backslash", `/sub\deep.txt`, ""},
		{"encoded backslash, lower case", "/sub%5cdeep.txt", ""},
		{"encoded backslash, upper case", "/sub%5Cdeep.txt", ""},
		{"backslash as host", "/%5Cevil.com/x", ""},
		{"NUL", "/a.txt%00", ""},
		{"NUL before a name", "/pub/x%00.txt", ""},
		{"line feed", "/a%0a", ""},
		{"carriage return", "/a%0Db", ""},
		{"tab", "/a%09", ""},
		{"unit separator", "/a%1f", ""},
		{"delete", "/a%7F", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := received(tt.target)
			if u == nil {
				t.Fatalf("the server refuses %q by itself", tt.target)
			}
			got, err := Path(u)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Fatalf("Path(%q) = %q, %v; want %q", tt.target, got, err, tt.want)
			}
			if err != nil && !errors.Is(err, ErrPath) {
				t.Errorf("%v is not ErrPath", err)
			}
		})
	}
}

// A rewrite may leave fields that no request would have.
func TestPathOfRewrittenURL(t *testing.T) {
	tests := []struct {
		name string
		u    url.URL
		want string
	}{
		{"no path", url.URL{}, ""},
		{"relative", url.URL{Path: "a.txt"}, ""},
		{"opaque beside a path", url.URL{Path: "/a", Opaque: "//h/b"}, ""},
		{"raw path that does not fit", url.URL{Path: "/a", RawPath: "/x%2Fa"}, ""},
		{"raw path with an encoded backslash", url.URL{Path: "/a", RawPath: "/x%5ca"}, ""},
		{"raw path with an encoded backslash, upper case", url.URL{Path: "/a", RawPath: "/x%5Ca"}, ""},
		{"broken raw path", url.URL{Path: "/a", RawPath: "/a%2"}, "/a"},
		{"backslash without raw path", url.URL{Path: `/a\b`}, ""},
		{"raw path that fits", url.URL{Path: "/a!b", RawPath: "/a%21b"}, "/a!b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Path(&tt.u); got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestPathErrorHidesThePath(t *testing.T) {
	_, err := Path(&url.URL{Path: "/secret/../x"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error is %v", err)
	}
}

func TestPathOnWindows(t *testing.T) {
	tests := []struct {
		name    string
		path    string
		refused bool
	}{
		{"plain", "/pub/a.txt", false},
		{"directory", "/pub/", false},
		{"root", "/", false},
		{"stream", "/pub/x::$DATA", true},
		{"stream of a directory", "/pub::$DATA/x", true},
		{"drive", "/C:", true},
		{"trailing dot", "/pub./x", true},
		{"trailing dot at the end", "/pub/x.", true},
		{"trailing space", "/pub /x", true},
		{"trailing space at the end", "/pub/x ", true},
		{"trailing dot of a directory", "/pub./", true},
		{"space and dot inside", "/p u.b/x y.z", false},
		{"device", "/NUL", true},
		{"device in a directory", "/pub/con", true},
		{"device as a directory", "/aux/x", true},
		{"device with extension", "/nul.txt", true},
		{"device with two extensions", "/Prn.tar.gz", true},
		{"device, spaces, extension", "/NUL  .txt", true},
		{"serial port", "/COM1", true},
		{"serial port 0", "/com0", true},
		{"serial port 9", "/com9.log", true},
		{"printer port", "/LPT1.txt", true},
		{"superscript port", "/COM¹", true},
		{"superscript printer port", "/lpt³.x", true},
		{"console input", "/CONIN$", true},
		{"console output", "/conout$", true},
		{"clock", "/CLOCK$", true},
		{"no device", "/COM", false},
		{"no device either", "/COM10", false},
		{"lengthened device name", "/console", false},
		{"device name inside", "/xNUL", false},
		{"device name as extension", "/a.nul", false},
		{"short name", "/PROGRA~1/x", true},
		{"short name with extension", "/secret~2.txt", true},
		{"tilde", "/~user/a~b", false},
		{"tilde at the end", "/a~", false},
		{"backslash", `/a\b`, true},
		{"dots", "/a/../b", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := flaw(tt.path, true); (got != "") != tt.refused {
				t.Errorf("%q on Windows: %q", tt.path, got)
			}
			// Elsewhere these are names like any other.
			onlyThere := tt.refused && !strings.ContainsAny(tt.path, `\`) && !strings.Contains(tt.path, "..")
			if got := flaw(tt.path, false); onlyThere && got != "" {
				t.Errorf("%q elsewhere: %q", tt.path, got)
			}
		})
	}
	if _, err := Path(&url.URL{Path: "/NUL"}); (err != nil) != (runtime.GOOS == "windows") {
		t.Errorf("on %s, /NUL: %v", runtime.GOOS, err)
	}
}

func TestSuffix(t *testing.T) {
	tests := []struct {
		authorised, final string
		want              bool
	}{
		{"/pub/a.txt", "/pub/a.txt", true},
		{"/pub/a.txt", "/a.txt", true},
		{"/pub/ba.txt", "/a.txt", false},
		{"/pub/a.txt", "a.txt", false},
		{"/pub/a.txt", ".txt", false},
		{"/pub/a.txt", "", false},
		{"/pub/a.txt", "/", false},
		{"/pub/", "/", true},
		{"/pub/", "/pub", false},
		{"/pub", "/pub/", false},
		{"/a.txt", "/pub/a.txt", false},
		{"/pub/a.txt", "/secret.txt", false},
		{"/pub/a.txt", "/A.txt", false},
		{"/a/b/c", "/b/c", true},
		{"/a/b/c", "/a/c", false},
		{"/", "/", true},
	}
	for _, tt := range tests {
		if got := Suffix(tt.authorised, tt.final); got != tt.want {
			t.Errorf("Suffix(%q, %q) = %t", tt.authorised, tt.final, got)
		}
	}
}

func TestSuffixIsWhatHandlePathLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		authorised, final := drawPath(t), drawPath(t)
		if rapid.Bool().Draw(t, "cut") {
			final = authorised[rapid.IntRange(0, len(authorised)).Draw(t, "at"):]
		}
		want := false
		for i := range len(authorised) {
			want = want || authorised[i] == '/' && authorised[i:] == final
		}
		if got := Suffix(authorised, final); got != want {
			t.Fatalf("Suffix(%q, %q) = %t", authorised, final, got)
		}
	})
}

func TestPathAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText(t)
		var escaped strings.Builder
		const hex = "0123456789abcdefABCDEF"
		for _, b := range []byte(text) {
			switch encode := rapid.IntRange(0, 5).Draw(t, "encode") == 0; {
			case encode, b <= ' ', b == 0x7f, strings.IndexByte("%?#", b) >= 0:
				escaped.WriteString("%" + string(hex[b>>4]) + string(hex[b&15]))
			default:
				escaped.WriteByte(b)
			}
		}
		if u := received(escaped.String()); u != nil {
			checkPath(t, u, escaped.String())
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/a.txt", "/sub%2f..%2fa", "//h/x", "/%5Ch", "*", "http://h/a", "/a%00", "/%252e", "/a/./b", "/x/", "h:1", "/\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		escaped, _, _ := strings.Cut(target, "?")
		if !strings.HasPrefix(target, "/") {
			escaped = "" // the model is about the origin form
		}
		checkPath(t, u, escaped)
	})
}

type failer interface{ Fatalf(string, ...any) }

func checkPath(t failer, u *url.URL, escaped string) {
	got, err := Path(u)
	if strings.HasPrefix(escaped, "/") {
		want, ok := modelPath(escaped)
		if runtime.GOOS != "windows" && (got != want || (err == nil) != ok) {
			t.Fatalf("Path(%q) = %q, %v; the model says %q, %t", escaped, got, err, want, ok)
		}
	}
	if err != nil {
		if got != "" || !errors.Is(err, ErrPath) {
			t.Fatalf("refused with %q, %v", got, err)
		}
		return
	}
	if clean := path.Clean(got); got != clean && got != clean+"/" {
		t.Fatalf("accepted %q, which is another spelling of %q", got, clean)
	}
	// What a file server that joins and cleans would open is just this file.
	const root = "/srv/site"
	opened := filepath.ToSlash(filepath.Join(root, path.Clean("/"+got)))
	if want := strings.TrimSuffix(root+got, "/"); opened != want {
		t.Fatalf("accepted %q, which opens %q", got, opened)
	}
}
