package carry

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const hlsPage = "https://files.example/v/a/index.m3u8?tok=T"

func TestHLS(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"a media playlist", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts\n#EXTINF:4,a title\nseg2.ts?x=1\n#EXT-X-ENDLIST\n",
			"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts?tok=T\n#EXTINF:4,a title\nseg2.ts?x=1&tok=T\n#EXT-X-ENDLIST\n"},
		{"CRLF, empty lines and no line break at the end", "#EXTM3U\r\n\r\nseg1.ts\r\n\r\nseg2.ts", "#EXTM3U\r\n\r\nseg1.ts?tok=T\r\n\r\nseg2.ts?tok=T"},
		{"a byte order mark", "\uFEFF#EXTM3U\nseg1.ts\n", "\uFEFF#EXTM3U\nseg1.ts?tok=T\n"},
		{"variants", "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\"\n# a comment\n\nlow\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh/x\nseg.ts\n",
			"#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\"\n# a comment\n\nlow?tok=INDEX\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh/x?tok=INDEX\nseg.ts?tok=T\n"},
		{"a playlist by its name", "more.M3U8?a\nb.m3u\n", "more.M3U8?a&tok=INDEX\nb.m3u?tok=INDEX\n"},
		{"renditions", `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a, URI=""",NAME="x",URI="audio"` + "\n", `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a, URI=""",NAME="x",URI="audio"` + "\n"},
		{"a comma in quotes", `#EXT-X-MEDIA:GROUP-ID="a, URI=b",URI="audio",LANGUAGE="en"`, `#EXT-X-MEDIA:GROUP-ID="a, URI=b",URI="audio?tok=INDEX",LANGUAGE="en"`},
		{"pictures of a fast scan", `#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i/frames"`, `#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i/frames?tok=INDEX"`},
		{"a report", `#EXT-X-RENDITION-REPORT:URI="../b/x",LAST-MSN=3`, `#EXT-X-RENDITION-REPORT:URI="../b/x?tok=INDEX",LAST-MSN=3`},
		{"a key", `#EXT-X-KEY:METHOD=AES-128,URI="key.bin",IV=0x1`, `#EXT-X-KEY:METHOD=AES-128,URI="key.bin?tok=T",IV=0x1`},
		{"a key of another kind", `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key"`, `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key"`},
		{"a key of the session", `#EXT-X-SESSION-KEY:METHOD=AES-128,URI="/v/k"`, `#EXT-X-SESSION-KEY:METHOD=AES-128,URI="/v/k?tok=T"`},
		{"data", `#EXT-X-SESSION-DATA:DATA-ID="a",URI="data.json"`, `#EXT-X-SESSION-DATA:DATA-ID="a",URI="data.json?tok=T"`},
		{"a map", `#EXT-X-MAP:URI="init.mp4",BYTERANGE="1@0"`, `#EXT-X-MAP:URI="init.mp4?tok=T",BYTERANGE="1@0"`},
		{"a part and a hint", "#EXT-X-PART:DURATION=1,URI=\"p1.mp4\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p2.mp4\"", "#EXT-X-PART:DURATION=1,URI=\"p1.mp4?tok=T\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p2.mp4?tok=T\""},
		{"an interstitial", `#EXT-X-DATERANGE:ID="a",X-ASSET-URI="ad",X-ASSET-LIST="list"`, `#EXT-X-DATERANGE:ID="a",X-ASSET-URI="ad?tok=INDEX",X-ASSET-LIST="list?tok=T"`},
		{"steering, which may put another host into a variant", "#EXT-X-CONTENT-STEERING:SERVER-URI=\"steer\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n", "#EXT-X-CONTENT-STEERING:SERVER-URI=\"steer\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n"},
		{"a tag of one's own", `#EXT-X-OURS:X-THUMB-URI="t.jpg", URI="u"`, `#EXT-X-OURS:X-THUMB-URI="t.jpg?tok=T", URI="u?tok=T"`},
		{"attributes that are none", `#EXT-X-OURS:XURI="a",uri="b"` + "\n" + `#EXTINF:4,URI="a"` + "\n" + `#EXTINF:-1 tvg-logo="a",URI="b"`, `#EXT-X-OURS:XURI="a",uri="b"` + "\n" + `#EXTINF:4,URI="a"` + "\n" + `#EXTINF:-1 tvg-logo="a",URI="b"`},
		{"a URI without quotes, or without an end", "#EXT-X-MAP:URI=a\n#EXT-X-MAP:URI=\"a\n#EXT-X-MAP:URI=\"a\"b\n", "#EXT-X-MAP:URI=a\n#EXT-X-MAP:URI=\"a\n#EXT-X-MAP:URI=\"a\"b\n"},
		{"comments", "#URI=\"a\"\n# EXT-X-MAP:URI=\"a\"\n", "#URI=\"a\"\n# EXT-X-MAP:URI=\"a\"\n"},
		{"variables", "#EXT-X-DEFINE:NAME=\"h\",VALUE=\"//evil.example\"\n{$h}/seg.ts\n#EXT-X-MAP:URI=\"{$h}/a\"\na{b}.ts", "#EXT-X-DEFINE:NAME=\"h\",VALUE=\"//evil.example\"\n{$h}/seg.ts\n#EXT-X-MAP:URI=\"{$h}/a\"\na{b}.ts?tok=T"},
		{"other hosts and paths", "https://evil.example/v/a/1.ts\n//evil.example/1.ts\n/w/1.ts\n../../w/1.ts\nhttps://files.example/v/1.ts\n", "https://evil.example/v/a/1.ts\n//evil.example/1.ts\n/w/1.ts\n../../w/1.ts\nhttps://files.example/v/1.ts?tok=T\n"},
		{"a carriage return within a line", "a\rhttps://evil.example/\n", "a\rhttps://evil.example/\n"},
		{"a carriage return within a tag", "#EXT-X-MAP:A=b\rhttps://evil.example/,URI=\"a\"\n", "#EXT-X-MAP:A=b\rhttps://evil.example/,URI=\"a\"\n"},
		{"a line separator within a tag", "#EXT-X-MAP:A=b\u2028https://evil.example/,URI=\"a\"\n", "#EXT-X-MAP:A=b\u2028https://evil.example/,URI=\"a\"\n"},
		{"a separator within a tag", "#EXT-X-MAP:A=b\x1ehttps://evil.example/,URI=\"a\"\n", "#EXT-X-MAP:A=b\x1ehttps://evil.example/,URI=\"a\"\n"},
		{"a tab in a tag, and umlauts", "#EXT-X-MEDIA:NAME=\"ä\tb\",URI=\"a\"\n", "#EXT-X-MEDIA:NAME=\"ä\tb\",URI=\"a?tok=INDEX\"\n"},
		{"a plain list", "Music/01 - a.mp3\n02.mp3", "Music/01 - a.mp3?tok=T\n02.mp3?tok=T"},
		{"a fragment", "a.ts#t=1\n", "a.ts?tok=T#t=1\n"},
		{"UTF-16", "a\x00.\x00t\x00s\x00\n\x00", "a\x00.\x00t\x00s\x00\n\x00"},
		{"nothing", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := []byte(test.body)
			if got := string(HLS(body, linksOf(t, hlsPage))); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if string(body) != test.body {
				t.Error("the body itself was changed")
			}
		})
	}
}

// TestTooMany: what would become much larger goes out as it is.
func TestTooMany(t *testing.T) {
	l := linksOf(t, hlsPage)
	l.Token = func(*url.URL, bool) string { return strings.Repeat("x", 1000) }
	body := strings.Repeat("a\n", maxSent/1000)
	if got := HLS([]byte(body), l); string(got) != body {
		t.Errorf("%d bytes became %d", len(body), len(got))
	}
	if got := HLS([]byte(body[:len(body)/2]), l); len(got) < maxSent/3 {
		t.Errorf("half of it: %d bytes", len(got))
	}
}

// TestHLSOnlyInserts: without the tokens, the output is the input, whatever that is, and
// all that has a token leads to this server.
func TestHLSOnlyInserts(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"#EXTM3U", "#EXT-X-STREAM-INF:", "#EXT-X-MEDIA:", "#EXT-X-PART:", "#EXTINF:4,", "URI=", "X-ASSET-URI=", "\"", ",", "=", "\n", "\r\n", "\r",
		"https://files.example/v/", "https://evil.example/v/", "//", "/", "\\", "..", "seg.ts", "a.m3u8", "\u2028", "?", "&", "#", "{$x}", " ", "\t", "\uFEFF", "ä", "\xff", "%2e", ":",
	})
	l := marked(t, hlsPage)
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOfN(piece, 0, 40).Draw(t, "pieces"), "")
		onlyInserts(t, body, string(HLS([]byte(body), l)))
	})
}

func FuzzHLS(f *testing.F) {
	f.Add("#EXTM3U\r\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\r\n#EXTINF:4,\r\nseg.ts?a#b\r\n")
	f.Add("#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n#EXT-X-MEDIA:URI=\"a,b\",NAME=\"x\"\n")
	f.Add("\uFEFF{$x}/a\n//evil.example/a\n#EXT-X-DATERANGE:X-ASSET-URI=\"a\"")
	f.Fuzz(func(t *testing.T, body string) {
		onlyInserts(t, body, string(HLS([]byte(body), marked(t, hlsPage))))
	})
}

// BenchmarkHLS is about a playlist of ten minutes, and of six hours.
func BenchmarkHLS(b *testing.B) {
	for name, segments := range map[string]int{"150": 150, "5400": 5400} {
		b.Run(name, func(b *testing.B) {
			body, l := []byte(mediaPlaylist(segments)), linksOf(b, hlsPage)
			b.ReportAllocs()
			for b.Loop() {
				HLS(body, l)
			}
		})
	}
}
