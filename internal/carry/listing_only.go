package carry

import (
	"slices"
	"strings"
)

// element is one that may be left out, or that ends one that may be.
type element struct {
	name     string
	entry    bool // it is what a listing has for a file
	parent   *element
	depth    int
	from, to int  // to is 0 as long as it is open
	kept     bool // something in it is for the client
}

// endTags has the elements that end with the start or end of another one, because their end
// tags may be missing (HTML section 13.1.2.4), and what they cannot end outside of.
var endTags = map[string][]string{
	"li": {"ul", "ol", "menu"}, "tr": {"table"}, "tbody": {"table"}, "a": {"table"},
}

// maxNested is how deep elements may lie in each other, here as in Chromium.
const maxNested = 512

// open notes that an element begins.
func (p *page) open(t tag) {
	e := &element{name: t.name, parent: p.innermost, from: t.from}
	switch t.name {
	case "tr", "li", "article", "figure":
		e.entry = true
	case "div":
		e.entry = slices.Contains(strings.Fields(t.attributes["class"]), "entry")
	case "a", "table", "tbody", "ul", "ol", "menu":
	default:
		return
	}
	if endTags[t.name] != nil {
		p.close(t.name, t.from, t.from)
		e.parent = p.innermost
	}
	if e.parent != nil {
		e.depth = e.parent.depth + 1
	}
	if e.depth < maxNested {
		p.innermost = e
	}
}

// close notes that the innermost element of the name ends with the tag from..to, and those
// in it before.
func (p *page) close(name string, from, to int) {
	e := p.innermost
	for ; e != nil && e.name != name; e = e.parent {
		if slices.Contains(endTags[name], e.name) {
			return
		}
	}
	if e == nil {
		return
	}
	for inner := p.innermost; inner != e; inner = inner.parent {
		inner.to = from
	}
	e.to, p.innermost = to, e.parent
}

// sort notes what the last reference, which was r, means for what it stands in.
func (p *page) sort(r htmlReference) {
	switch r.tag {
	case "link", "script":
		return
	}
	switch {
	case p.isEntry() && !p.opens:
		p.hidden = append(p.hidden, r)
	case p.isEntry(), r.tag == "a", r.tag == "area":
		for e := r.in; e != nil && !e.kept; e = e.parent {
			e.kept = true
		}
	}
}

// leaveOut leaves out what is hidden.
func (p *page) leaveOut() {
	for _, r := range p.hidden {
		e := r.in
		for e != nil && !e.entry {
			e = e.parent
		}
		if e == nil || e.kept || e.to == 0 {
			for e = r.in; e != nil && e.name != "a"; {
				e = e.parent
			}
		}
		switch {
		case e != nil && e.to > 0:
			p.edits = append(p.edits, edit{from: e.from, to: e.to})
		case r.tag == "img" || r.tag == "source" || r.tag == "area":
			p.edits = append(p.edits, r.whole)
		}
	}
}
