package carry

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// ListingHTML puts the token into the references of a folder's page, as the browse option
// of file_server makes it, with Caddy's template or another one: into the attributes href,
// src, srcset, imagesrcset, poster and data, except of the canonical link, which is there
// for others. A form that is sent by GET loses the query of its action; it gets a hidden
// field with the token. All other bytes stay as they are.
//
// With only, what is listed and not opened by the token is left out: the innermost row
// (tr), item (li), article, figure or div of the class entry around it, or, if other links
// are in there as well, the link itself. Links that lead elsewhere than into the folder,
// such as those to the folders above, are never left out. A page that is too large for that is
// nil.
func ListingHTML(body []byte, l *Links, only bool) []byte {
	p := page{lister: newLister(l), only: only}
	p.read(body)
	if len(p.references) > maxReferences {
		return unread(body, only)
	}
	if p.base == nil {
		p.base = l.Page
	}
	for _, r := range p.references {
		if p.sign(r); p.tooMuch() {
			return unread(body, only)
		}
	}
	p.leaveOut()
	p.fillForms()
	if p.tooMuch() {
		return unread(body, only)
	}
	return apply(body, p.edits)
}

// page is what is of interest of one in HTML.
type page struct {
	*lister
	only bool

	base       *url.URL // nil without such an element
	references []htmlReference
	forms      []form
	actions    []string // of forms and buttons
	noFields   bool     // no form may get one

	innermost *element // that is open, if there is only
	hidden    []htmlReference

	edits []edit
}

// htmlReference is the value of an attribute.
type htmlReference struct {
	from  int    // where it begins in the document
	raw   string // as it stands there
	ref   string // as it is meant
	in    *element
	tag   string
	whole edit // leaves the tag out
}

// tag is a start tag.
type tag struct {
	name       string
	from, to   int
	attributes map[string]string // those that are of interest
	refers     bool
}

// maxReferences is how many there may be on a page.
const maxReferences = 100_000

// form is one that is sent by GET.
type form struct {
	at     int // behind its tag
	action string
}

// read finds all that is of interest. What browsers take for text, such as scripts,
// styles and comments, has nothing.
func (p *page) read(body []byte) {
	z := html.NewTokenizer(bytes.NewReader(body))
	t := tag{attributes: make(map[string]string)}
	for at := 0; len(p.references) <= maxReferences; {
		kind := z.Next()
		from := at
		at += len(z.Raw())
		switch kind {
		case html.ErrorToken:
			return
		case html.TextToken:
			p.doubt(body[from:at])
		case html.CommentToken:
			if p.doubt(body[from:at]); bytes.HasPrefix(body[from:at], []byte("<![CDATA[")) { // browsers end it elsewhere in SVG
				p.doubt(body[at:])
				return
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); p.only {
				p.close(string(name), from, at)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t.from, t.to = from, at
			t.read(z)
			if p.only {
				p.open(t)
			}
			p.start(t)
			if t.refers {
				p.refer(t, body[from:at])
			}
		}
	}
}

// doubt looks at what is text here, such as the content of noscript, but perhaps not to a
// browser without scripts, or in SVG: what might be a base or a button that sends a form
// elsewhere is taken for one.
func (p *page) doubt(text []byte) {
	if bytes.IndexByte(text, '<') < 0 {
		return
	}
	text = bytes.ToLower(text)
	if bytes.Contains(text, []byte("<base")) {
		p.base = &url.URL{}
	}
	p.noFields = p.noFields || bytes.Contains(text, []byte("formaction"))
}

// read reads the start tag that the tokenizer is at.
func (t *tag) read(z *html.Tokenizer) {
	name, more := z.TagName()
	t.name, t.refers = string(name), false
	clear(t.attributes)
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		switch string(key) {
		case "href", "xlink:href", "src", "srcset", "imagesrcset", "poster", "data":
			t.refers = true
		case "action", "formaction", "method", "name", "rel":
		case "class":
			if t.name != "div" { // most elements have one
				continue
			}
		default:
			continue
		}
		t.attributes[string(key)] = string(value)
	}
}

// start notes what a start tag means for the page.
func (p *page) start(t tag) {
	has := t.attributes
	p.noFields = p.noFields || has["name"] == p.links.Name // which is there already
	if action, ok := has["formaction"]; ok {
		p.actions = append(p.actions, action)
	}
	if href, ok := has["href"]; ok && t.name == "base" {
		p.setBase(href)
	}
	if t.name != "form" {
		return
	}
	p.actions = append(p.actions, has["action"])
	if method := strings.ToLower(has["method"]); method != "post" && method != "dialog" {
		p.forms = append(p.forms, form{t.to, has["action"]})
	}
}

// refer notes the references in a start tag.
func (p *page) refer(t tag, raw []byte) {
	if t.name == "base" || t.name == "link" && strings.EqualFold(strings.TrimSpace(t.attributes["rel"]), "canonical") {
		return
	}
	begin := bytes.IndexAny(raw, " \t\n\f\r/>") // t.name may be longer: it has U+FFFD for NUL
	raw = raw[begin:]
	for _, at := range htmlAttribute.FindAllSubmatchIndex(raw, -1) {
		key := strings.ToLower(string(raw[at[2]:at[3]]))
		ref, first := t.attributes[key]
		from, to := max(at[4], at[6], at[8]), max(at[5], at[7], at[9])
		if !first || len(key) != at[3]-at[2] { // in lower case by more than ASCII
			continue
		}
		delete(t.attributes, key) // browsers take the first one, too
		if from < 0 || key == "data" && t.name != "object" {
			continue
		}
		r := htmlReference{
			from: t.from + begin + from, raw: string(raw[from:to]), ref: ref,
			in: p.innermost, tag: t.name, whole: edit{from: t.from, to: t.to},
		}
		switch key {
		case "href", "xlink:href", "src", "poster", "data":
			p.references = append(p.references, r)
		case "srcset", "imagesrcset":
			p.candidates(r)
		}
	}
}

// htmlAttribute finds the name of an attribute, and its value in either quotes or without.
var htmlAttribute = regexp.MustCompile(`(=?[^ \t\n\f\r/>=]+|=)(?:[ \t\n\f\r]*=[ \t\n\f\r]*(?:"([^"]*)"|'([^']*)'|([^ \t\n\f\r>]*)))?`)

// setBase sets what references are relative to: the first such element decides (HTML
// section 2.4.3). If one leads to another origin, nothing relative is signed.
func (p *page) setBase(href string) {
	p.added(p.links.Page, href)
	switch {
	case p.to == nil:
		p.base = &url.URL{}
	case p.base == nil:
		p.base = p.to
	}
}

// candidate is one of those in srcset: an image's URL, and perhaps how wide it is.
var candidate = regexp.MustCompile(`[^ \t\n\f\r,][^ \t\n\f\r]*`)

// candidates finds the references in a srcset (HTML section 4.8.4.2.1).
func (p *page) candidates(r htmlReference) {
	if html.UnescapeString(r.raw) != r.ref {
		return
	}
	for at := 0; at < len(r.raw) && len(p.references) <= maxReferences; {
		found := candidate.FindStringIndex(r.raw[at:])
		if found == nil {
			return
		}
		from, to := at+found[0], at+found[1]
		one := strings.TrimRight(r.raw[from:to], ",")
		each := r
		each.from, each.raw, each.ref = r.from+from, one, html.UnescapeString(one)
		p.references = append(p.references, each)
		at = to
		if len(one) == to-from { // a description follows, up to a comma outside of brackets
			at += descriptors(r.raw[to:])
		}
	}
}

// descriptors is how long those at the beginning of text are.
func descriptors(text string) int {
	inside := false
	for i, c := range text {
		switch {
		case c == '(':
			inside = true
		case c == ')':
			inside = false
		case c == ',' && !inside:
			return i
		}
	}
	return len(text)
}

// sign puts the token into a reference.
func (p *page) sign(r htmlReference) {
	text := p.added(p.base, r.ref)
	if p.only {
		p.sort(r)
	}
	if text == "" {
		return
	}
	place := len(r.raw)
	if endOfQuery(r.ref) < len(r.ref) { // before the fragment, which must not be escaped
		literal := strings.ReplaceAll(r.raw, "&#", "&_")
		if strings.Count(literal, "#") != strings.Count(r.ref, "#") {
			return
		}
		place = strings.IndexByte(literal, '#')
	}
	place += r.from
	p.edits = append(p.edits, edit{place, place, html.EscapeString(text)})
}

// fillForms puts the token into a field of the forms that lead into the scope. It does
// nothing if a form or a button leads to another place: a form within a form is none, and
// its fields are those of the outer one.
func (p *page) fillForms() {
	if p.noFields {
		return
	}
	for _, action := range p.actions {
		if action != "" && p.token(action) == "" {
			return
		}
	}
	for _, f := range p.forms {
		if p.tooMuch() {
			return
		}
		if token := p.token(f.action); token != "" {
			p.edits = append(p.edits, edit{f.at, f.at,
				`<input type="hidden" name="` + html.EscapeString(p.links.Name) + `" value="` + html.EscapeString(token) + `">`})
		}
	}
}

// token is the one for a form's action, or empty.
func (p *page) token(action string) string {
	base := p.base
	if action == "" {
		base = p.links.Page // whatever the base is (HTML section 4.10.21.3)
	}
	if action = beforeQuery(action); action == "" {
		action = "?"
	}
	text := p.added(base, action)
	query, _ := url.ParseQuery(strings.TrimLeft(text, "?&"))
	return query.Get(p.links.Name)
}
