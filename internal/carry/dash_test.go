package carry

import (
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const dashPage = "https://files.example/v/a/index.mpd?tok=T"

func TestDASH(t *testing.T) {
	same := func(name, body string) struct{ name, body, want string } {
		return struct{ name, body, want string }{name, body, body}
	}
	tests := []struct{ name, body, want string }{
		{"a template",
			`<?xml version="1.0" encoding="utf-8"?><MPD><Period><AdaptationSet><SegmentTemplate timescale="1" media="seg-$RepresentationID$-$Number%05d$.m4s" initialization='init-$RepresentationID$.mp4' index="i$Time$?a=1&amp;b=2"><SegmentTimeline><S t="0" d="4"/></SegmentTimeline></SegmentTemplate><Representation id="0"/><Representation id="1"/></AdaptationSet></Period></MPD>`,
			`<?xml version="1.0" encoding="utf-8"?><MPD><Period><AdaptationSet><SegmentTemplate timescale="1" media="seg-$RepresentationID$-$Number%05d$.m4s?tok=T" initialization='init-$RepresentationID$.mp4?tok=T' index="i$Time$?a=1&amp;b=2&amp;tok=T"><SegmentTimeline><S t="0" d="4"/></SegmentTimeline></SegmentTemplate><Representation id="0"/><Representation id="1"/></AdaptationSet></Period></MPD>`},
		{"a list",
			`<MPD><Period><AdaptationSet><Representation><SegmentList><Initialization sourceURL="i.mp4" range="0-1"/><RepresentationIndex sourceURL="x"/><BitstreamSwitching sourceURL="b"/><SegmentURL media="1.m4s" mediaRange="0-1" index="1.idx"/><SegmentURL mediaRange="2-3"/></SegmentList></Representation></AdaptationSet></Period></MPD>`,
			`<MPD><Period><AdaptationSet><Representation><SegmentList><Initialization sourceURL="i.mp4?tok=T" range="0-1"/><RepresentationIndex sourceURL="x?tok=T"/><BitstreamSwitching sourceURL="b?tok=T"/><SegmentURL media="1.m4s?tok=T" mediaRange="0-1" index="1.idx?tok=T"/><SegmentURL mediaRange="2-3"/></SegmentList></Representation></AdaptationSet></Period></MPD>`},
		{"a file as BaseURL", `<MPD><BaseURL>low/</BaseURL><Period><AdaptationSet><Representation><BaseURL> v.mp4 </BaseURL><SegmentBase indexRange="0-1"/></Representation></AdaptationSet></Period></MPD>`,
			`<MPD><BaseURL>low/</BaseURL><Period><AdaptationSet><Representation><BaseURL> v.mp4?tok=T </BaseURL><SegmentBase indexRange="0-1"/></Representation></AdaptationSet></Period></MPD>`},
		{"other documents", `<MPD><Location>b.mpd</Location><PatchLocation ttl="1">p.mpp</PatchLocation><Period xlink:href="period.xml"/></MPD>`,
			`<MPD><Location>b.mpd?tok=INDEX</Location><PatchLocation ttl="1">p.mpp?tok=INDEX</PatchLocation><Period xlink:href="period.xml?tok=INDEX"/></MPD>`},
		same("a link to nothing", `<MPD><Period xlink:href="urn:mpeg:dash:resolve-to-zero:2013"/></MPD>`),
		{"a prefix, a comment and a fragment", `<m:MPD xmlns:m="x"><!-- <BaseURL>https://evil.example/</BaseURL> --><m:Period><m:BaseURL><!-- a -->v.mp4?a&amp;b</m:BaseURL></m:Period><m:Location>x&#x23;f</m:Location></m:MPD>`,
			`<m:MPD xmlns:m="x"><!-- <BaseURL>https://evil.example/</BaseURL> --><m:Period><m:BaseURL><!-- a -->v.mp4?a&amp;b&amp;tok=T</m:BaseURL></m:Period><m:Location>x?tok=INDEX&#x23;f</m:Location></m:MPD>`},
		same("BaseURL on another host", `<MPD><BaseURL>https://evil.example/v/</BaseURL><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("a file under it", `<MPD><BaseURL>https://evil.example/v/</BaseURL><Period><BaseURL>v.mp4</BaseURL></Period></MPD>`),
		same("a link under it", `<MPD><BaseURL>https://evil.example/v/</BaseURL><Period xlink:href="period.xml"/></MPD>`),
		same("one of them", `<MPD><BaseURL>b/</BaseURL><BaseURL>//evil.example/v/</BaseURL><Period><BaseURL>c/</BaseURL><SegmentTemplate media="$Number$"/></Period></MPD>`),
		{"what is absolute under it", `<MPD><BaseURL>https://evil.example/</BaseURL><Period><SegmentTemplate media="https://files.example/v/$Number$"/></Period></MPD>`,
			`<MPD><BaseURL>https://evil.example/</BaseURL><Period><SegmentTemplate media="https://files.example/v/$Number$?tok=T"/></Period></MPD>`},
		same("one that comes later", `<MPD><Period><SegmentTemplate media="$Number$"/></Period><BaseURL>https://evil.example/</BaseURL></MPD>`),
		same("one of a representation, for the template above", `<MPD><Period><AdaptationSet><SegmentTemplate media="$Number$"/><Representation id="a"/><Representation id="b"><BaseURL>https://evil.example/</BaseURL></Representation></AdaptationSet></Period></MPD>`),
		same("one that clients read in two ways", `<MPD><BaseURL>\\evil.example\</BaseURL><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("one in pieces", `<MPD><BaseURL>https:<!-- -->//evil.example/</BaseURL><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("one with an element", `<MPD><BaseURL>a/<b/></BaseURL><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		{"an empty one", `<MPD><BaseURL></BaseURL><BaseURL/><Period><SegmentTemplate media="$Number$"/></Period></MPD>`, `<MPD><BaseURL></BaseURL><BaseURL/><Period><SegmentTemplate media="$Number$?tok=T"/></Period></MPD>`},
		{"one in the next set", `<MPD><Period><AdaptationSet><BaseURL>https://evil.example/</BaseURL></AdaptationSet><AdaptationSet><SegmentTemplate media="$Number$"/></AdaptationSet></Period></MPD>`,
			`<MPD><Period><AdaptationSet><BaseURL>https://evil.example/</BaseURL></AdaptationSet><AdaptationSet><SegmentTemplate media="$Number$?tok=T"/></AdaptationSet></Period></MPD>`},
		{"an ID with slashes", `<MPD><Period><SegmentTemplate media="$RepresentationID$/$Number$"/><AdaptationSet><Representation id="video/1"/></AdaptationSet></Period></MPD>`,
			`<MPD><Period><SegmentTemplate media="$RepresentationID$/$Number$?tok=T"/><AdaptationSet><Representation id="video/1"/></AdaptationSet></Period></MPD>`},
		same("an ID that leads elsewhere", `<MPD><Period><SegmentTemplate media="$RepresentationID$/$Number$"/><AdaptationSet><Representation id="1"/><Representation id="//evil.example"/></AdaptationSet></Period></MPD>`),
		same("an ID that begins a query", `<MPD><Period><SegmentTemplate media="$RepresentationID$/$Number$"/><AdaptationSet><Representation id="1?"/></AdaptationSet></Period></MPD>`),
		same("no ID", `<MPD><Period><SegmentTemplate media="$RepresentationID$/$Number$"/></Period></MPD>`),
		same("identifiers that are none", `<MPD><Period><SegmentTemplate media="$Other$" index="$Number" initialization="$Number%0s$" bitstreamSwitching="a$"/></Period></MPD>`),
		{"a dollar", `<MPD><Period><SegmentTemplate media="$$$SubNumber$"/></Period></MPD>`, `<MPD><Period><SegmentTemplate media="$$$SubNumber$?tok=T"/></Period></MPD>`},
		same("outside the scope", `<MPD><Period><SegmentTemplate media="/w/$Number$" initialization="https://evil.example/v/"/></Period></MPD>`),
		same("a comment that some players end at once", `<MPD><!--><BaseURL>https://evil.example/</BaseURL><!-- --><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("another one", `<MPD><!---><BaseURL>https://evil.example/</BaseURL><!-- --><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("a comment with two hyphens", `<MPD><!-- -- --><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("an instruction that some players end earlier", `<MPD><?x ><BaseURL>https://evil.example/</BaseURL>?><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("an instruction in which some players see a document", `<?x ><MPD><BaseURL>https://evil.example/</BaseURL><!--?><MPD><!-- --><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("an instruction with a quote", `<?x a="?><MPD b='"'><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		{"an instruction", `<?xml-stylesheet type='text/xsl' href="a"?><MPD><Location>b</Location></MPD>`, `<?xml-stylesheet type='text/xsl' href="a"?><MPD><Location>b?tok=INDEX</Location></MPD>`},
		same("a section that some players unescape", `<MPD><BaseURL><![CDATA[&#104;ttps://evil.example/]]></BaseURL><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("a section that some players leave out", `<MPD><BaseURL>https://evil.example/</BaseURL><Period><BaseURL><![CDATA[https://files.example/v/]]></BaseURL><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("an attribute whose name is no letter", `<MPD><Period -="a"><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("a BaseURL where none belongs", `<MPD><BaseURL>https://evil.example/</BaseURL><Period><Other><BaseURL>https://files.example/v/</BaseURL></Other><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("a BaseURL with another prefix", `<MPD><BaseURL>https://evil.example/</BaseURL><Period><x:BaseURL>https://files.example/v/</x:BaseURL><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("an attribute that dash.js takes for a BaseURL", `<MPD><Period baseUri="https://evil.example/"><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("a BaseURL that some players trim", `<MPD><BaseURL>&#160;//evil.example/</BaseURL><Period><SegmentTemplate media="../../v/a/$Number$"/></Period></MPD>`),
		same("a BaseURL with escaped dot segments", `<MPD><BaseURL>%2e%2e/</BaseURL><Period><SegmentTemplate media="../$Number$"/></Period></MPD>`),
		same("a bandwidth that is no number", `<MPD><Period><AdaptationSet><SegmentTemplate media="$Bandwidth$$Number$"/><Representation bandwidth="https://evil.example/"/></AdaptationSet></Period></MPD>`),
		same("an identifier that players leave alone", `<MPD><Period><AdaptationSet><SegmentTemplate media="$Number%5d$RepresentationID$Number$"/><Representation id="/../../../w/"/></AdaptationSet></Period></MPD>`),
		same("steering, which may put another host into a URL", `<MPD><ContentSteering>steer</ContentSteering><Period><SegmentTemplate media="$Number$"/></Period></MPD>`),
		same("a document type", `<!DOCTYPE MPD [<!ENTITY e "x">]><MPD><Location>b</Location></MPD>`),
		same("a document type elsewhere", `<!DOCTYPE MPD SYSTEM "x"><MPD><Location>b</Location></MPD>`),
		same("an entity", `<MPD><Location>&e;b</Location></MPD>`),
		same("another encoding", `<?xml version="1.0" encoding="ISO-8859-1"?><MPD><Location>b</Location></MPD>`),
		same("UTF-16", "<\x00M\x00P\x00D\x00/\x00>\x00"),
		same("another document", `<html><Location>b</Location></html>`),
		same("two documents", `<MPD/><MPD><Location>b</Location></MPD>`),
		same("text beside it", `<MPD><Location>b</Location></MPD>b`),
		same("an element that does not end", `<MPD><Location>b</Location>`),
		same("elements that cross", `<MPD><Period><Location>b</Period></Location></MPD>`),
		same("a value without quotes", `<MPD><SegmentURL media=b/><Location>b</Location></MPD>`),
		same("a value without an end", `<MPD><Location>b</Location><a b="c></MPD>`),
		same("a comment without an end", `<MPD><Location>b</Location></MPD><!-- `),
		same("depth", strings.Repeat("<MPD>", 100)+"<Location>b</Location>"+strings.Repeat("</MPD>", 100)),
		same("more levels than anybody writes", "<MPD><Location>b</Location>"+strings.Repeat("<Period/>", maxLevels)+"</MPD>"),
		same("more alternatives", "<MPD><Location>b</Location>"+strings.Repeat("<BaseURL>a/</BaseURL>", maxAlternatives+1)+"</MPD>"),
		same("nothing", ""),
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(DASH([]byte(test.body), linksOf(t, dashPage))); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestDASHCost: what is short and stands for something long is not spelled out. It would take
// minutes, and gigabytes.
func TestDASHCost(t *testing.T) {
	long := strings.Repeat("a/", maxURL/4)
	levels := strings.Repeat("<BaseURL>b/</BaseURL>", maxAlternatives) + strings.Repeat("<Period><BaseURL>c/</BaseURL></Period>", maxLevels/2)
	for name, body := range map[string]string{
		"an ID that is used often":     `<SegmentTemplate media="` + strings.Repeat("$RepresentationID$", 1000) + `"/><AdaptationSet><Representation id="` + long + `"/></AdaptationSet>`,
		"a BaseURL that is used often": "<BaseURL>" + long + "</BaseURL>" + strings.Repeat(`<SegmentTemplate media="$Number$"/>`, maxSigned/maxURL),
		"levels":                       "<BaseURL>" + long + "</BaseURL></Period>" + levels + "<Period>",
	} {
		body = "<MPD><Location>b</Location><Period>" + body + "</Period></MPD>"
		l := linksOf(t, dashPage)
		opens, asked := l.Opens, 0
		l.Opens = func(u *url.URL) bool {
			asked += len(u.Path)
			return opens(u)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := string(DASH([]byte(body), l))
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8*maxSigned || asked > 2*maxSigned || strings.Contains(got, "$?tok") {
			t.Errorf("%s: %d bytes were allocated, and %d judged", name, allocated, asked)
		}
	}
}

// TestDASHCosts: what is made to cost goes out as it is.
func TestDASHCosts(t *testing.T) {
	representations := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<Representation><BaseURL>%d/</BaseURL></Representation>", i)
		}
		return b.String()
	}
	for name, body := range map[string]string{
		"uses":   `<MPD><Period><SegmentURL media="a"/>` + representations(maxUses+1) + `</Period></MPD>`,
		"tokens": `<MPD><Period>` + strings.Repeat(`<SegmentURL media="a"/>`, maxSigned/(2*maxUses*perURL)+1) + representations(maxUses) + `</Period></MPD>`,
	} {
		if got := DASH([]byte(body), linksOf(t, dashPage)); string(got) != body {
			t.Errorf("%s: %d bytes became %d", name, len(body), len(got))
		}
	}
}

// TestDASHDirectory: a token for the directory of a segment is for one that holds all
// that a template stands for.
func TestDASHDirectory(t *testing.T) {
	for media, want := range map[string]string{
		"$Number$.m4s":                         "/v/a/",
		"s/$Number$.m4s":                       "/v/a/s/",
		"s/$Number$/a.m4s":                     "/v/a/s/",
		"$RepresentationID$/$Number$.m4s":      "/v/a/",
		"r/$RepresentationID$/x/$Number$.m4s":  "/v/a/r/",
		"/v/%C3%A4/$RepresentationID$/$Time$/": "/v/%C3%A4/",
	} {
		l := linksOf(t, dashPage)
		l.Token = func(u *url.URL, _ bool) string {
			dir := u.EscapedPath()
			return dir[:strings.LastIndexByte(dir, '/')+1]
		}
		doc := `<MPD><Period><SegmentTemplate media="` + media + `"/><AdaptationSet><Representation id="a"/><Representation id="b"/></AdaptationSet></Period></MPD>`
		if got := string(DASH([]byte(doc), l)); !strings.Contains(got, media+"?tok="+url.QueryEscape(want)+`"`) {
			t.Errorf("%s: %s", media, got)
		}
	}
}

// TestDASHOnlyInserts: as of HLS.
func TestDASHOnlyInserts(t *testing.T) {
	ref := rapid.SampledFrom([]string{
		"seg.m4s", "a/", "", "../b", "https://evil.example/", "https://files.example/v/", "//evil.example", `\\evil.example\`, "$Number$", "$RepresentationID$", "?a=b", "&amp;", "&#35;",
		"#", "&e;", " ", "<!-- -->", "<!-->", "<?x ?>", "<![CDATA[a&b]]>", "ä",
	})
	refs := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(ref, 0, 3).Draw(t, "refs"), "") })
	open := rapid.SampledFrom([]string{"Period", "AdaptationSet", "Representation", "SegmentList", "m:Period"})
	l := marked(t, dashPage)
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		var names []string
		b.WriteString("<MPD>")
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				name := open.Draw(t, "name")
				names = append(names, name)
				b.WriteString("<" + name + " id='" + refs.Draw(t, "id") + "'>")
			case 1:
				if last := len(names) - 1; last >= 0 {
					b.WriteString("</" + names[last] + ">")
					names = names[:last]
				}
			case 2, 3:
				name := rapid.SampledFrom([]string{"BaseURL", "Location"}).Draw(t, "name")
				b.WriteString("<" + name + ">" + refs.Draw(t, "text") + "</" + name + ">")
			default:
				b.WriteString(`<SegmentTemplate media="` + refs.Draw(t, "media") + `" initialization='` + refs.Draw(t, "initialization") + `'/>`)
			}
		}
		for i := range names {
			b.WriteString("</" + names[len(names)-1-i] + ">")
		}
		b.WriteString("</MPD>")
		onlyInserts(t, b.String(), string(DASH([]byte(b.String()), l)))
	})
}

func FuzzDASH(f *testing.F) {
	f.Add(`<?xml version="1.0"?><MPD><BaseURL>a/</BaseURL><Period><AdaptationSet><SegmentTemplate media="$RepresentationID$/$Number%05d$.m4s?a&amp;b"/><Representation id="1"><BaseURL><![CDATA[b&c]]></BaseURL></Representation></AdaptationSet></Period></MPD>`)
	f.Add(`<MPD><Location>x&#x23;f</Location><Period xlink:href='p'><SegmentList><Initialization sourceURL="i"/><SegmentURL media="1"/></SegmentList></Period></MPD>`)
	f.Fuzz(func(t *testing.T, body string) {
		onlyInserts(t, body, string(DASH([]byte(body), marked(t, dashPage))))
	})
}
