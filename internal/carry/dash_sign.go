package carry

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// sign puts the token into a reference.
func (d *presentation) sign(r *mpdURL) {
	raw := d.body[r.start:r.end]
	ref, ok := r.value(d.body)
	if !ok || r.role == baseURL && isDirectory(ref) {
		return
	}
	all, ok := d.meanings(r, ref)
	if !ok {
		return
	}
	text := d.insertion(all, r.role == location || r.role == linked)
	if text == "" {
		return
	}
	d.insert(r.start+escapedOffset(raw, endOfQuery(ref)), html.EscapeString(text))
}

// meaning is one of the URLs that a reference stands for.
type meaning struct {
	base *url.URL
	ref  string
}

// meanings are all that r stands for; false: there are too many, or the client decides.
func (d *presentation) meanings(r *mpdURL, ref string) (all []meaning, ok bool) {
	bases := []*url.URL{d.links.Page}
	switch {
	case r.role == linked:
		bases = append(bases, r.level.bases...)
	case r.role == baseURL && r.level.parent != nil:
		bases = r.level.parent.bases
	case r.role == segment:
		if len(r.level.uses) > maxUses {
			return nil, false
		}
		for _, u := range r.level.uses {
			for _, number := range []string{"1", "2"} {
				filled, ok := fill(ref, u.id, number)
				if !ok {
					return nil, false
				}
				if d.signed += perURL + len(u.base.Path) + len(filled); d.signed > maxSigned {
					return nil, false
				}
				if m := (meaning{u.base, filled}); !slices.Contains(all, m) {
					all = append(all, m)
				}
			}
		}
		return all, true
	}
	for _, base := range bases {
		d.signed += perURL + len(base.Path) + len(ref)
		all = append(all, meaning{base, ref})
	}
	return all, true
}

// insertion is what is put into all of the meanings; "": the token does not belong into
// each of them.
func (d *presentation) insertion(all []meaning, index bool) string {
	if len(all) == 1 {
		return d.links.insertion(all[0].base, all[0].ref, index)
	}
	var where *url.URL // what leads to all
	probe := *d.links
	probe.Token = func(u *url.URL, _ bool) string {
		if where == nil {
			where = u
		} else {
			where = common(where, u)
		}
		return "-"
	}
	for _, m := range all {
		if probe.insertion(m.base, m.ref, index) == "" {
			return ""
		}
	}
	token := d.links.Token(where, index)
	probe.Token = func(*url.URL, bool) string { return token }
	return probe.insertion(all[0].base, all[0].ref, index)
}

// common is the deepest directory that a and b are in.
func common(a, b *url.URL) *url.URL {
	one, other := a.EscapedPath(), b.EscapedPath()
	size := 0
	for i := 0; i < len(one) && i < len(other) && one[i] == other[i]; i++ {
		if one[i] == '/' {
			size = i + 1
		}
	}
	c := *a
	c.RawQuery, c.RawPath = "", one[:size]
	c.Path, _ = url.PathUnescape(c.RawPath) // it is a part of an escaped path
	return &c
}

// isDirectory tells whether a token in a BaseURL would be lost on what is relative to it.
func isDirectory(ref string) bool {
	ref = beforeQuery(ref)
	switch ref[strings.LastIndexByte(ref, '/')+1:] {
	case "", ".", "..":
		return true
	}
	return false
}

// numeric are the identifiers that stand for a number.
var numeric = regexp.MustCompile(`^(?:Number|SubNumber|Time|Bandwidth)(?:%0[0-9]+[diouxX])?$`)

// fill puts values for the identifiers of a template (ISO/IEC 23009-1 section 5.3.9.4.4),
// so that it can be seen where it leads. A client may fill in others only for those that
// are numbers.
func fill(template, id, number string) (string, bool) {
	parts := strings.Split(template, "$")
	if len(parts)%2 == 0 || len(template)+len(parts)/2*len(id) > maxURL {
		return "", false
	}
	for i := 1; i < len(parts); i += 2 {
		switch {
		case parts[i] == "":
			parts[i] = "$"
		case parts[i] == "RepresentationID" && id != "" && !strings.ContainsAny(id, "?#"):
			parts[i] = id
		case numeric.MatchString(parts[i]):
			parts[i] = number
		default:
			return "", false
		}
	}
	return strings.Join(parts, ""), true
}
