package carry

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// edit replaces the bytes from..to of a document.
type edit struct {
	from, to int
	text     string
}

// apply makes the edits. Those inside what another one leaves out are dropped.
func apply(body []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return body
	}
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	size := len(body)
	for _, e := range edits {
		size += len(e.text)
	}
	out, at := make([]byte, 0, size), 0
	for _, e := range edits {
		if e.from < at {
			continue
		}
		out = append(append(out, body[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, body[at:]...)
}

// lister puts the token into the references of a listing.
type lister struct {
	links Links
	to    *url.URL // where the last reference leads on this origin, else nil
	opens bool     // whether the token opens that
}

func newLister(l *Links) *lister {
	s := &lister{links: *l}
	s.links.Opens = func(u *url.URL) bool {
		s.to, s.opens = u, l.Opens(u)
		return s.opens
	}
	return s
}

// added is what is put into ref, and where. It is empty if ref stays as it is.
func (s *lister) added(base *url.URL, ref string) (at int, text string) {
	s.to, s.opens = nil, false
	signed := s.links.Sign(base, ref, false)
	at = len(ref)
	if i := strings.IndexByte(ref, '#'); i >= 0 {
		at = i
	}
	return at, signed[at : at+len(signed)-len(ref)]
}

// isEntry tells whether the last reference led to something in the folder that is
// listed, not to the folder itself, one above it or another place.
func (s *lister) isEntry() bool {
	folder := s.links.Page.Path[:strings.LastIndexByte(s.links.Page.Path, '/')+1]
	return s.to != nil && len(s.to.Path) > len(folder) && strings.HasPrefix(s.to.Path, folder)
}
