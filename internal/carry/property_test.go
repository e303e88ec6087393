package carry

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mark stands for the token where it must be found again.
const mark = "m4rk.t0ken-m4rk"

// marked are links of a page that put mark in.
func marked(t testing.TB, page string) *Links {
	l := linksOf(t, page)
	l.Name, l.Token = "mark", func(*url.URL, bool) string { return mark }
	return l
}

// fataler is a test, or a run of one.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// onlyInserts fails if more was done to body than that tokens were inserted.
func onlyInserts(t fataler, body, got string) {
	t.Helper()
	if strings.Contains(body, mark) {
		return
	}
	without := strings.NewReplacer("&amp;mark="+mark, "", "?mark="+mark, "", "&mark="+mark, "").Replace(got)
	if without != body {
		t.Fatalf("%q became\n%q", body, got)
	}
}

// mediaPlaylist has so many segments.
func mediaPlaylist(segments int) string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n")
	for i := range segments {
		fmt.Fprintf(&b, "#EXTINF:4.000000,\nseg-%05d.m4s\n", i)
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

// TestResolvePlain: what is not parsed leads where it would if it were.
func TestResolvePlain(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "B7", "-", "_", ".", "..", "/", "x.ts", "seg-1.m4s"})
	bases := []string{"https://files.example/v/a/index.m3u8?tok=T#f", "http://u@h:80/%2f/a%20b/", "http://h/", "http://h/a?", "https://[::1]:8/\u00e4/b"}
	rapid.Check(t, func(t *rapid.T) {
		base, err := url.Parse(rapid.SampledFrom(bases).Draw(t, "base"))
		if err != nil {
			t.Fatal(err)
		}
		base.User = nil
		ref := strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "ref"), "")
		if !isPlain(ref) {
			return
		}
		parsed, err := url.Parse(ref)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := resolve(base, ref)
		if want := base.ResolveReference(parsed); !ok || got.String() != want.String() || got.Path != want.Path {
			t.Fatalf("%s: got %#v, want %#v", ref, got, want)
		}
	})
	for _, ref := range []string{"", ".", "..", "../a", "./a", "a/../b", "a/.", "a//b", "/a", "//a", "a:b", "a?b", "a%2e"} {
		if isPlain(ref) {
			t.Errorf("%q", ref)
		}
	}
}
