package carry

import (
	"bytes"
	"fmt"
	"iter"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"
)

func TestListingHTML(t *testing.T) {
	const page = "https://files.example/v/a/?tok=T"
	tests := []struct{ name, body, want string }{
		{"a link", `<a href="x.txt">x</a>`, `<a href="x.txt?tok=T">x</a>`},
		{"other quotes", `<A HREF = 'x.txt' >x</A>`, `<A HREF = 'x.txt?tok=T' >x</A>`},
		{"no quotes", `<a href=x.txt>x</a><a class=c href=y/>`, `<a href=x.txt?tok=T>x</a><a class=c href=y/?tok=T>`},
		{"no quotes and a query", `<a href=?a=b&c target=_blank>`, `<a href=?a=b&c&amp;tok=T target=_blank>`},
		{"sorting", `<a href="?sort=name&order=asc&limit=5&offset=5">`, `<a href="?sort=name&order=asc&limit=5&offset=5&amp;tok=T">`},
		{"escapes", `<a href="./a&amp;b&#39;c&#34;.txt?x&amp;y">`, `<a href="./a&amp;b&#39;c&#34;.txt?x&amp;y&amp;tok=T">`},
		{"what only looks like an escape", `<a href="a?b&copy=1#c">`, `<a href="a?b&copy=1&amp;tok=T#c">`},
		{"an escape without an end", `<a href="a?b&amp">`, `<a href="a?b&amp&amp;tok=T">`},
		{"a fragment", `<a href="x#y?z">`, `<a href="x?tok=T#y?z">`},
		{"a fragment behind an escape", `<a href="x&#39;#y">`, `<a href="x&#39;?tok=T#y">`},
		{"an escaped fragment", `<a href="x&#35;y">`, "same"},
		{"two fragments, one escaped", `<a href="x&#35;y#z">`, "same"},
		{"twice", `<a href="x" href="y">`, `<a href="x?tok=T" href="y">`},
		{"without a value", `<a href><a href=><a href="">`, "same"},
		{"a slash between", `<a/href="x"/><img/src=y>`, `<a/href="x?tok=T"/><img/src=y?tok=T>`},
		{"an equals sign in front", `<a =href="x" ==href="y" href="z">`, `<a =href="x" ==href="y" href="z?tok=T">`},
		{"a name that ends alike", `<a data-href="x" title='href="x"' href="y">`, `<a data-href="x" title='href="x"' href="y?tok=T">`},
		{"a Kelvin sign", "<a xlin\u212a:href=\"x\" xlink:href=\"y\">", "<a xlin\u212a:href=\"x\" xlink:href=\"y?tok=T\">"},
		{"a tag name with NUL", "<a\x00\x00 src><a\x00\x00 src=x><a hr\x00ef=x href=y\x00>", "<a\x00\x00 src><a\x00\x00 src=x?tok=T><a hr\x00ef=x href=y\x00?tok=T>"},
		{"a tag name with an equals sign", `<a=b href="x">`, `<a=b href="x?tok=T">`},
		{"media", `<video src="a.mp4" poster="a.jpg"><source src="b.mp4"><track src="c.vtt"></video>`,
			`<video src="a.mp4?tok=T" poster="a.jpg?tok=T"><source src="b.mp4?tok=T"><track src="c.vtt?tok=T"></video>`},
		{"objects", `<object data="a.pdf"></object><embed src="a.pdf"><iframe src="a.html"></iframe><x data="a">`,
			`<object data="a.pdf?tok=T"></object><embed src="a.pdf?tok=T"><iframe src="a.html?tok=T"></iframe><x data="a">`},
		{"styles and scripts", `<link rel=stylesheet href=a.css><script src="a.js"></script>`, `<link rel=stylesheet href=a.css?tok=T><script src="a.js?tok=T"></script>`},
		{"the canonical link", `<link rel="canonical" href="/v/a/">`, "same"},
		{"srcset", `<img srcset="a.jpg, b,c.jpg 2x,d.jpg 100w , /w/e.jpg 3x">`, `<img srcset="a.jpg?tok=T, b,c.jpg?tok=T 2x,d.jpg?tok=T 100w , /w/e.jpg 3x">`},
		{"srcset with escapes", `<img srcset="a?b&amp;c 1x, data:x,y 2x">`, `<img srcset="a?b&amp;c&amp;tok=T 1x, data:x,y 2x">`},
		{"srcset with brackets", `<img srcset="a f(1, b 2x), c">`, `<img srcset="a?tok=T f(1, b 2x), c?tok=T">`},
		{"imagesrcset", `<link rel=preload imagesrcset=a.jpg>`, `<link rel=preload imagesrcset=a.jpg?tok=T>`},
		{"SVG", `<svg><use href="s.svg#x"/><image xlink:href="a.png"/></svg>`, `<svg><use href="s.svg?tok=T#x"/><image xlink:href="a.png?tok=T"/></svg>`},
		{"outside", `<a href="/w/x"><a href="../../x"><a href="//evil.example/v/"><a href="https://evil.example/v/x">`, "same"},
		{"as browsers read it", "<a href='/\\evil.example/v/x'><a href='/\t/evil.example/v/'><a href='ht\ntps://evil.example/v/'>", "same"},
		{"the parameter is there", `<a href="x?tok=U">`, "same"},
		{"text", `<!-- <a href="x"> --><script>'<a href="x">'</script><style>a{}<a href="x"></style><textarea><a href="x"></textarea><title><a href="x"></title><noscript><a href="x"></noscript>`, "same"},
		{"a comment in a script", `<script><!--<script></script><a href="x"></script><a href="y">`, `<script><!--<script></script><a href="x"></script><a href="y?tok=T">`},
		{"a CDATA section", `<a href="x"><svg><![CDATA[><a href="y">]]></svg>`, `<a href="x?tok=T"><svg><![CDATA[><a href="y">]]></svg>`},
		{"cut off", `<a href="x">x</a><a href="y`, `<a href="x?tok=T">x</a><a href="y`},
		{"a base", `<base href="/v/b/"><a href="x"><a href="../../w">`, `<base href="/v/b/"><a href="x?tok=T"><a href="../../w">`},
		{"a base out of the scope", `<base href="/w/"><a href="x"><a href="../v/x">`, `<base href="/w/"><a href="x"><a href="../v/x?tok=T">`},
		{"a base behind", `<a href="../b">b</a><base href="/w/c/">`, "same"},
		{"a base on another host", `<a href="x"><base href="https://evil.example/v/a/"><a href="x"><a href="/v/x"><a href="https://files.example/v/x">`,
			`<a href="x"><base href="https://evil.example/v/a/"><a href="x"><a href="/v/x"><a href="https://files.example/v/x?tok=T">`},
		{"a second base on another host", `<base href="/v/"><base href="//evil.example/v/"><a href="x">`, "same"},
		{"a base as browsers read it", `<base href="/\evil.example/v/"><a href="x">`, "same"},
		{"a base with three slashes", `<base href="///evil.example/v/"><a href="x">`, "same"},
		{"a base for browsers without scripts", `<a href="x"><noscript><BASE href="//evil.example/v/"></noscript><a href="/v/x">`, "same"},
		{"a base that is text elsewhere than in SVG", `<svg><title><base href="//evil.example/v/"></title></svg><a href="x">`, "same"},
		{"a base behind a CDATA section", `<a href="x"><![CDATA[><base href="//evil.example/v/">`, "same"},
		{"a base without a reference", `<base target=_top><a href="x">`, `<base target=_top><a href="x?tok=T">`},
		{"a form", `<form action="." class=x><input name=q></form>`, `<form action="." class=x><input type="hidden" name="tok" value="T"><input name=q></form>`},
		{"a form without an action", `<base href="/w/"><form method=GET>`, `<base href="/w/"><form method=GET><input type="hidden" name="tok" value="T">`},
		{"a form with a query", `<form action="?sort=name#x">`, `<form action="?sort=name#x"><input type="hidden" name="tok" value="T">`},
		{"a form with a fragment", `<form action="#x">`, `<form action="#x"><input type="hidden" name="tok" value="T">`},
		{"a form with a query and a base", `<base href="/w/"><form action="?x"><form action="#x">`, "same"},
		{"other forms", `<form method=post action="x"><form method="dialog"><form action="/w/"><form action="//evil.example/v/">`, "same"},
		{"a form with a button to another place", `<form><button formaction="//evil.example/v/">`, "same"},
		{"a form with a button for browsers without scripts", `<form><noscript><button formaction="//evil.example/v/"></noscript>`, "same"},
		{"a form with a button", `<form><button formaction="b">`, `<form><input type="hidden" name="tok" value="T"><button formaction="b">`},
		{"a form in one that leads to another place", `<form action="//evil.example/v/"><form action=".">`, "same"},
		{"a form in one that is sent otherwise", `<form method=post action="//evil.example/v/"><template></form></template><form action=".">`, "same"},
		{"a form behind one that is sent into the scope", `<form method=post action="/v/"></form><form>`, `<form method=post action="/v/"></form><form><input type="hidden" name="tok" value="T">`},
		{"a form that has the field", `<form><input name=tok>`, "same"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.want == "same" {
				test.want = test.body
			}
			if got := string(ListingHTML([]byte(test.body), listed(t, page), false)); got != test.want {
				t.Errorf("%s\nbecame %s\nwant   %s", test.body, got, test.want)
			}
		})
	}
}

func TestListingHTMLEscapesTheParameter(t *testing.T) {
	l := listed(t, "https://files.example/v/")
	l.Name = `a"b`
	l.Token = func(*url.URL, bool) string { return `"<` }
	want := `<form><input type="hidden" name="a&#34;b" value="&#34;&lt;"><a href="x?a%22b=%22%3C">`
	if got := string(ListingHTML([]byte(`<form><a href="x">`), l, false)); got != want {
		t.Errorf("got %s", got)
	}
}

func TestListingHTMLOnly(t *testing.T) {
	const page = "https://files.example/"
	tests := []struct{ name, body, want string }{
		{"rows", `<table><tr><td><a href="?s">s</a><tr><td><a href="w">w</a></td></tr><tr><td><a href="v/">v</a></table>`,
			`<table><tr><td><a href="?s">s</a><tr><td><a href="v/?tok=T">v</a></table>`},
		{"rows without ends", `<table><tr><td><a href=w>w</a><tr><td><a href=v/>v</a><tr><td><a href=x>x</a></table>x`,
			`<table><tr><td><a href=v/?tok=T>v</a></table>x`},
		{"the last row", `<table><tbody><tr><td><a href=v/>v<tr><td><a href=x>x</tbody></table>`, `<table><tbody><tr><td><a href=v/?tok=T>v</tbody></table>`},
		{"items", `<ul><li><a href="w">w</a><li>v <a href="v/">v</a><li><a href="x">x</a></ul>`, `<ul><li>v <a href="v/?tok=T">v</a></ul>`},
		{"items in items", `<ul><li><a href="w">w</a><ul><li><a href="w/x">x</a></li><li><a href="v/x">x</a></li></ul></li></ul>`,
			`<ul><li><ul><li><a href="v/x?tok=T">x</a></li></ul></li></ul>`},
		{"several in a row", `<table><tr><td><a href="w">w</a></td><td><a href="v/">v</a></td></tr></table>`,
			`<table><tr><td></td><td><a href="v/?tok=T">v</a></td></tr></table>`},
		{"figures", `<figure><a href="w.jpg"><img src="w.jpg"></a><figcaption>w</figcaption></figure><figure><img src="v/x"></figure>`, `<figure><img src="v/x?tok=T"></figure>`},
		{"an icon is no entry", `<li><img src="//icons.example/x"><a href="w">w</a></li>`, ``},
		{"entries", `<div class="big entry"><a href="w"><div>w</div></a></div><div><a href="w">w</a></div>`, `<div></div>`},
		{"links", `<p><a href="w">w</a>, <a href="v/">v</a>, <a href="x"><b>x</b></a>.`, `<p>, <a href="v/?tok=T">v</a>, .`},
		{"images", `<img src="w.jpg"> <video src="w.mp4"></video>`, ` <video src="w.mp4"></video>`},
		{"styles", `<link rel=stylesheet href="style.css"><script src="a.js"></script>`, "same"},
		{"a page in an article", `<article><a href="//evil.example/">up</a> <a href="w">w</a></article>`, `<article><a href="//evil.example/">up</a> </article>`},
		{"not closed", `<ul><li><a href="w">w`, "same"},
		{"only the link is closed", `<ul><li><a href="w">w</a>`, `<ul><li>`},
		{"ends without a beginning", `</li></tr></a><a href="w">w</a></div>`, `</li></tr></a></div>`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.want == "same" {
				test.want = test.body
			}
			if got := string(ListingHTML([]byte(test.body), listed(t, page), true)); got != test.want {
				t.Errorf("%s\nbecame %s\nwant   %s", test.body, got, test.want)
			}
		})
	}
}

// TestListingHTMLOfCaddy looks at all links of Caddy's own page, as browsers read them,
// but for the one to caddyserver.com.
func TestListingHTMLOfCaddy(t *testing.T) {
	b := newBrowser(t, "v/a/x.txt", "v/a/ä b'#?&<\".jpg", "v/a/sub/c.txt", "v/a.txt", "v/b.jpg", "w.txt", "u.jpg")
	const picture = "%C3%A4%20b%27%23%3F&%3C%22.jpg?tok=T"
	sorts := func(order, more string) string {
		return "?sort=namedirfirst&order=" + order + more + " ?sort=name&order=asc" + more + " ?sort=size&order=asc" + more + " ?sort=time&order=asc" + more
	}
	grid := func(more string) string {
		return "?sort=name&order=asc&layout=grid" + more + " ?sort=size&order=asc&layout=grid" + more + " ?sort=time&order=asc&layout=grid" + more
	}
	for _, test := range []struct{ target, all, only string }{
		{"/v/a/", "../../ ../?tok=T  " + sorts("desc", "&tok=T") + " ..?tok=T ./sub/?tok=T ./x.txt?tok=T ./" + picture, ""},
		{"/v/a/?limit=1&offset=1&sort=name", "../../ ../?tok=T  " + strings.Replace(sorts("asc", "&limit=1&offset=1&tok=T"), "=name&order=asc", "=name&order=desc", 1) + " ..?tok=T ./x.txt?tok=T", ""},
		{"/v/a/?layout=grid", "../../ ../?tok=T  " + grid("&tok=T") + " ./sub/?tok=T ./x.txt?tok=T ./" + picture + " " + picture, ""},
		{"/", " " + sorts("desc", "") + " ./v/?tok=T ./u.jpg ./w.txt", " " + sorts("desc", "") + " ./v/?tok=T"},
		{"/?layout=grid", " " + grid("") + " ./v/?tok=T ./u.jpg u.jpg ./w.txt", " " + grid("") + " ./v/?tok=T"},
	} {
		page := "https://files.example" + test.target
		body, l := b.list(page, "text/html"), listed(t, page)
		if test.only == "" {
			test.only = test.all
		}
		for only, want := range map[bool]string{false: test.all, true: test.only} {
			var links []string
			got := ListingHTML(body, l, only)
			for n := range elements(t, got) {
				if n.Data == "a" || n.Data == "img" {
					for _, a := range n.Attr {
						if a.Key == "href" || a.Key == "src" {
							links = append(links, a.Val)
						}
					}
				}
			}
			if got := strings.Join(links, " "); got != want+" https://caddyserver.com" {
				t.Errorf("%s, only %v:\ngot  %s\nwant %s", test.target, only, got, want)
			}
			if rest := tokens.ReplaceAll(got, nil); !only && !bytes.Equal(rest, body) {
				t.Errorf("%s became %s", test.target, got)
			}
		}
	}
}

var tokens = regexp.MustCompile(`(\?|&amp;)tok=T|<input type="hidden" name="tok" value="T">`)

// elements are those of a page as browsers read it.
func elements(t testing.TB, body []byte) iter.Seq[*html.Node] {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return root.Descendants()
}

// wantSame fails the test unless a page is as it was but for tokens, in bytes and as
// browsers read it. It returns how many attributes have one.
func wantSame(t interface{ Fatalf(string, ...any) }, tb testing.TB, l *Links, body, got []byte) (signed int) {
	if rest := tokens.ReplaceAll(got, nil); !bytes.Equal(rest, body) {
		t.Fatalf("%s became %s", body, got)
	}
	if bytes.Contains(got, []byte("<input")) || bytes.Contains(bytes.ToLower(body), []byte("<base")) {
		return 0
	}
	next, stop := iter.Pull(elements(tb, body))
	defer stop()
	for n := range elements(tb, got) {
		was, _ := next()
		if n.Data != was.Data || len(n.Attr) != len(was.Attr) {
			t.Fatalf("%s became %s: %q, which was %q", body, got, n.Data, was.Data)
		}
		for i, a := range n.Attr {
			if a.Val == was.Attr[i].Val || strings.Contains(a.Key, "srcset") {
				continue
			}
			if signed++; a.Val != l.Sign(l.Page, was.Attr[i].Val, true) {
				t.Fatalf("%s became %s: %q, which was %q", body, got, a.Val, was.Attr[i].Val)
			}
		}
	}
	return signed
}

// TestListingHTMLKeepsAllElse makes pages of parts that templates have.
func TestListingHTMLKeepsAllElse(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := listed(t, "https://files.example/v/a/")
		attribute := rapid.SampledFrom([]string{"href", "src", "poster", "xlink:href", "HREF"})
		value := rapid.Custom(func(r *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
				"x", "./", "../", "/v/", "/w/", "//evil.example/", "https://files.example/v/", "?", "&amp;", "&", "=", "#", "&#39;", "&#35;", "&quot", "%20", "ä", ":", "\\", "\n",
			}), 0, 6).Draw(r, "parts"), "")
		})
		body, want := "", 0
		for range rapid.IntRange(0, 8).Draw(r, "elements") {
			name, quote := attribute.Draw(r, "attribute"), rapid.SampledFrom([]string{`"`, `'`, ""}).Draw(r, "quote")
			text := value.Draw(r, "value")
			if quote == "" && (text == "" || strings.Contains(text, "\n")) {
				continue
			}
			body += rapid.SampledFrom([]string{"<p>", "</p> text", "<tr><td>", "<li>", "<!-- <a href=x> -->", "<script>'<a href=x>'</script>", "</li>", "&lt;"}).Draw(r, "before")
			body += "<a class=c " + name + "=" + quote + text + quote + " title=' href=x '>x</a>"
			if ref := html.UnescapeString(text); l.Sign(l.Page, ref, true) != ref && !strings.Contains(strings.ReplaceAll(text, "&#39;", "_"), "&#") {
				want++
			}
		}
		if signed := wantSame(r, t, l, []byte(body), ListingHTML([]byte(body), l, false)); signed != want {
			r.Fatalf("%d of %d references in %s are signed", signed, want, body)
		}
		_ = ListingHTML([]byte(body), l, true)
	})
}

// FuzzListingHTML takes any page: it stays as it is but for tokens. What is left out with
// only has nothing that the token opens.
func FuzzListingHTML(f *testing.F) {
	f.Add([]byte("<!DOCTYPE html><title>v</title><link rel=\"canonical\" href=\"/v//\" /><script>a<b</script><table><tr class=\"file\"><td>\n<a href=\"./b&#39;.jpg\">\n<svg><path d=\"M0\"/></svg></a></table>"))
	f.Add([]byte("<base href=/v/><form action=x><a href='x&#35;#' href=\"y\"><img srcset='v/a 1x,b,,c(,)' src=a/><li><a href=b></ul>"))
	f.Add([]byte("<table><tr><td><a href=b><div class=entry><svg><a xlink:href=v/x><![CDATA[<a href=v/>]]></svg></table><plaintext><a href=v/>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if tokens.Match(body) {
			return
		}
		for _, page := range []string{"https://files.example/", "https://files.example/v/"} {
			l := listed(t, page)
			got := ListingHTML(body, l, false)
			wantSame(t, t, l, body, got)
			less := ListingHTML(body, l, true)
			if a, b := len(tokens.FindAll(got, -1)), len(tokens.FindAll(less, -1)); a < b || len(less) > len(got) {
				t.Fatalf("%s became %s, and with only %s", body, got, less)
			}
		}
	})
}

func manyFiles(t testing.TB) browser {
	var files []string
	for i := range 1000 {
		files = append(files, fmt.Sprintf("v/a file called %d.jpg", i))
	}
	return newBrowser(t, files...)
}

func BenchmarkListingHTML(b *testing.B) {
	body := manyFiles(b).list("https://files.example/v/", "text/html")
	for _, only := range []bool{false, true} {
		b.Run(fmt.Sprintf("only=%v", only), func(b *testing.B) {
			l := listed(b, "https://files.example/v/")
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				ListingHTML(body, l, only)
			}
		})
	}
}
