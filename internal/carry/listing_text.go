package carry

import (
	"bytes"
	"net/url"
)

// ListingText leaves out of a listing in plain text, as the browse option of file_server
// makes it, the lines of what the token does not open. There is no place for a token in
// it. Each line begins with a name and a tab, except for the head, which is two lines.
func ListingText(body []byte, l *Links) []byte {
	lister := newLister(l)
	var out []byte
	row := 0
	for line := range bytes.Lines(body) {
		name, _, _ := bytes.Cut(line, []byte("\t"))
		if row++; row > 2 {
			lister.added(l.Page, "./"+(&url.URL{Path: string(name)}).EscapedPath())
		}
		if row <= 2 || lister.isEntry() && lister.opens {
			out = append(out, line...)
		}
	}
	return out
}
