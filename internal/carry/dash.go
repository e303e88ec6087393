package carry

import (
	"bytes"
	"net/url"
	"slices"
)

// Beyond these numbers a description is not read: it is made to cost.
const (
	maxLevels       = 20_000   // Period, AdaptationSet, Representation
	maxAlternatives = 16       // of what references are relative to
	maxUses         = 64       // of one reference
	maxSigned       = 64 << 20 // bytes of the URLs that references stand for
	perURL          = 128      // what each of these counts besides
)

// DASH puts the token into the URLs of a media presentation description (ISO/IEC
// 23009-1): BaseURL, if it is no directory, Location, PatchLocation, xlink:href, and the
// attributes media, initialization, index, bitstreamSwitching and sourceURL of segments
// and their templates. Every other byte stays as it is.
//
// A reference gets the token only if it leads to this origin, and to what the token opens,
// by all the BaseURLs that it may be relative to, and for all representations that use
// it. The document is returned as it is if it is not well-formed, has a DOCTYPE, is not
// in UTF-8, or players may read it in several ways; and so it is with ContentSteering,
// which may put another host into references that have the token.
func DASH(body []byte, l *Links) []byte {
	d := presentation{splice: splice{body: body}, links: l}
	if d.read() != nil || d.resolve() != nil {
		return body
	}
	for i := range d.references {
		if d.sign(&d.references[i]); d.signed > maxSigned {
			return body
		}
	}
	return d.result()
}

// presentation is an MPD that is worked on.
type presentation struct {
	splice
	links      *Links
	prefix     []byte   // of names
	levels     []*level // in the order of the document
	references []mpdURL
	signed     int // bytes of the URLs that references stand for, so far
}

// level is an element that has BaseURLs for what is in it.
type level struct {
	parent         *level
	representation bool
	id             string
	found          []string   // BaseURLs; "\\": one that cannot be read
	bases          []*url.URL // that references may be relative to
	uses           []use      // by which representations
}

// use is what a reference is relative to, and the value of $RepresentationID$ in it.
type use struct {
	base *url.URL
	id   string
}

// mpdURL is body[start:end].
type mpdURL struct {
	level      *level
	role       role
	start, end int
}

type role byte

const (
	segment  role = iota // or a template, in an attribute
	baseURL              // relative to the level above
	location             // relative to the page
	linked               // xlink:href
)

// elsewhere is what a BaseURL leads to that clients may read in several ways: to another
// origin, as far as the token is concerned.
var elsewhere = &url.URL{Scheme: "invalid", Host: "invalid"}

// read collects levels and references.
func (d *presentation) read() error {
	m := &markup{doc: d.body, at: len(d.body) - len(bytes.TrimPrefix(d.body, byteOrderMark))}
	var open []*level  // the innermost for each element that is open
	var inner *content // of a BaseURL or the like
	for {
		p, err := m.next()
		if err != nil {
			return err
		}
		if p == nil {
			break
		}
		if inner != nil && inner.add(d.body, p, len(m.open)) {
			continue
		}
		switch p.kind {
		case startTag:
			at, err := d.begin(p, open, m.parent())
			if err != nil {
				return err
			}
			if !p.closed {
				open = append(open, at)
			}
			if role, ok := roles[string(p.name)]; ok && !p.closed {
				inner = &content{mpdURL: mpdURL{level: at, role: role}, depth: len(m.open)}
			}
		case endTag:
			if inner != nil {
				d.addContent(inner)
				inner = nil
			}
			open = open[:len(open)-1]
		default:
			if len(open) == 0 && len(bytes.Trim(d.body[p.start:p.end], space)) > 0 {
				return errMarkup
			}
		}
	}
	if len(d.levels) == 0 {
		return errMarkup
	}
	return nil
}

// roles are those of the elements whose content is a reference.
var roles = map[string]role{"BaseURL": baseURL, "Location": location, "PatchLocation": location}

// levelNames are the elements that have BaseURLs.
var levelNames = []string{"MPD", "Period", "AdaptationSet", "Representation"}

// segmentAttributes hold references.
var segmentAttributes = map[string][]string{
	"SegmentTemplate":     {"media", "initialization", "index", "bitstreamSwitching"},
	"SegmentURL":          {"media", "index"},
	"Initialization":      {"sourceURL"},
	"RepresentationIndex": {"sourceURL"},
	"BitstreamSwitching":  {"sourceURL"},
}

// begin notes the level and the references of a start tag, and returns its level.
func (d *presentation) begin(p *part, open []*level, parent []byte) (*level, error) {
	var at *level
	if len(open) > 0 {
		at = open[len(open)-1]
	} else if d.prefix = p.prefix; string(p.name) != "MPD" || len(d.levels) > 0 {
		return nil, errMarkup
	}
	representation := string(p.name) == "Representation"
	isLevel := slices.Contains(levelNames, string(p.name))
	role, refers := roles[string(p.name)]
	switch {
	case string(p.name) == "ContentSteering",
		(isLevel || refers) && !bytes.Equal(p.prefix, d.prefix), // which not all players look at
		role == baseURL && refers && !slices.Contains(levelNames, string(parent)):
		return nil, errMarkup
	case isLevel:
		at = &level{parent: at, representation: representation}
		if d.levels = append(d.levels, at); len(d.levels) > maxLevels {
			return nil, errMarkup
		}
	}
	names := segmentAttributes[string(p.name)]
	for _, a := range p.attributes {
		name := d.body[a.nameStart:a.nameEnd]
		is := func(want string) bool { return string(name) == want }
		r := mpdURL{level: at, start: a.start, end: a.end}
		switch {
		case is("baseUri"), // which dash.js takes for a BaseURL
			representation && is("bandwidth") && len(bytes.Trim(d.body[a.start:a.end], "0123456789")) > 0:
			return nil, errMarkup
		case slices.ContainsFunc(names, is):
			d.references = append(d.references, r)
		case bytes.HasSuffix(name, []byte(":href")):
			r.role = linked
			d.references = append(d.references, r)
		case representation && is("id"):
			id, ok := r.value(d.body)
			if !ok {
				return nil, errMarkup
			}
			at.id = id
		}
	}
	return at, nil
}

// content is the text of an element that is a reference.
type content struct {
	mpdURL
	depth  int // of the element
	pieces int // that are not white space, or no text
}

// add notes a part of the content; false: the element ends.
func (c *content) add(body []byte, p *part, depth int) bool {
	switch {
	case p.kind == endTag && depth < c.depth:
		return false
	case p.kind != charData: // a CDATA section is left out by some players, and unescaped by others
		c.pieces += 2
	case len(bytes.Trim(body[p.start:p.end], space)) > 0:
		c.start, c.end = p.start, p.end
		c.pieces++
	}
	return true
}

// addContent notes a reference that is the content of an element.
func (d *presentation) addContent(c *content) {
	raw := bytes.TrimLeft(d.body[c.start:c.end], space)
	c.start = c.end - len(raw)
	c.end = c.start + len(bytes.TrimRight(raw, space))
	value, ok := c.value(d.body)
	if c.pieces > 1 || !ok {
		value = `\` // which leads elsewhere
	} else {
		d.references = append(d.references, c.mpdURL)
	}
	if c.role == baseURL {
		c.level.found = append(c.level.found, value)
	}
}

// value is the reference as the client reads it.
func (r *mpdURL) value(body []byte) (string, bool) { return unescape(body[r.start:r.end]) }

// resolve works out what references are relative to. A level stands behind the one that
// it is in.
func (d *presentation) resolve() error {
	for _, at := range d.levels {
		above := []*url.URL{d.links.Page}
		if at.parent != nil {
			above = at.parent.bases
		}
		if at.bases = above; len(at.found) == 0 {
			continue
		}
		if len(above)*len(at.found) > maxAlternatives {
			return errMarkup
		}
		at.bases = nil
		for _, ref := range at.found {
			for _, base := range above {
				u, ok := resolve(base, ref)
				switch {
				case ref == "":
					u = base
				case !ok:
					u = elsewhere
				}
				at.bases = append(at.bases, u)
				if d.signed += perURL + len(u.Path); d.signed > maxSigned {
					return errMarkup
				}
			}
		}
	}
	for _, at := range d.levels {
		for above := at; at.representation && above != nil; above = above.parent {
			above.use(at)
		}
	}
	for _, at := range d.levels {
		if len(at.uses) == 0 {
			at.use(at)
		}
	}
	return nil
}

// use notes by what representation, or level without one, references are used.
func (l *level) use(by *level) {
	for _, base := range by.bases {
		if u := (use{base, by.id}); len(l.uses) <= maxUses && !slices.Contains(l.uses, u) {
			l.uses = append(l.uses, u)
		}
	}
}
