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

// unread is what goes out of a listing that cannot be rewritten: itself, or, if something
// may have to be left out of it, nothing.
func unread(body []byte, only bool) []byte {
	if only {
		return nil
	}
	return body
}

// lister puts the token into the references of a listing.
type lister struct {
	links Links
	to    *url.URL // where the last reference leads on this origin, else nil
	opens bool     // whether the token opens that
	size  int      // of all that is put in, in bytes
}

func newLister(l *Links) *lister {
	s := &lister{links: *l}
	s.links.Opens = func(u *url.URL) bool {
		s.to, s.opens = u, l.Opens(u)
		return s.opens
	}
	return s
}

// added is what is put into ref; "": nothing.
func (s *lister) added(base *url.URL, ref string) string {
	s.to, s.opens = nil, false
	text := s.links.insertion(base, ref, true) // what lasts as long as the listing does
	s.size += len(text)
	return text
}

// tooMuch tells whether the listing would become too large.
func (s *lister) tooMuch() bool { return s.size > maxSent-maxBody }

// isEntry tells whether the last reference led to something in the folder that is
// listed, not to the folder itself, one above it or another place.
func (s *lister) isEntry() bool {
	folder := directory(s.links.Page.Path)
	return s.to != nil && len(s.to.Path) > len(folder) && strings.HasPrefix(s.to.Path, folder)
}
