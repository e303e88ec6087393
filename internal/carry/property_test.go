package carry

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
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
