package carry

import (
	"bytes"
	"errors"
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errMarkup is about a document that is not well-formed, or not simple enough: with a
// DOCTYPE, which may define entities, in another encoding than UTF-8, or with what the
// parsers of players, which are less strict than XML, may take for something else.
var errMarkup = errors.New("not simple XML")

// maxDepth is how deep elements may lie in each other.
const maxDepth = 64

// markup goes through an XML document (W3C XML 1.0) and tells where its parts stand,
// which encoding/xml does not do for attributes. It keeps nothing of what it has read.
type markup struct {
	doc  []byte
	at   int
	open [][]byte // names of elements
	part part
}

// part is a piece of a document.
type part struct {
	kind       partKind
	prefix     []byte // of an element's name, with the colon
	name       []byte // of an element, without its prefix
	attributes []attr
	closed     bool // an element that is empty, <a/>; no part says that it ends
	start, end int  // of text
}

type partKind byte

const (
	startTag partKind = iota // an element
	endTag                   // the same
	charData                 // character data
	cdata                    // a CDATA section
)

// attr is where its name, with a prefix, and its value stand.
type attr struct{ nameStart, nameEnd, start, end int }

// next reads the next part; nil: the document has ended.
func (m *markup) next() (*part, error) {
	for m.at < len(m.doc) {
		rest := m.doc[m.at:]
		if rest[0] != '<' {
			m.part = part{kind: charData, start: m.at, end: len(m.doc), attributes: m.part.attributes[:0]}
			if size := bytes.IndexByte(rest, '<'); size >= 0 {
				m.part.end = m.at + size
			}
			m.at = m.part.end
			return &m.part, nil
		}
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			comment := commentary.Find(rest)
			if comment == nil {
				return nil, errMarkup
			}
			m.at += len(comment)
		case bytes.HasPrefix(rest, []byte("<?")):
			pi := instruction.Find(rest)
			if len(m.open) > 0 || pi == nil || !inUTF8(pi) {
				return nil, errMarkup
			}
			m.at += len(pi)
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			start := m.at + 9
			if len(m.open) == 0 || !m.skip(9, "]]>") {
				return nil, errMarkup
			}
			m.part = part{kind: cdata, start: start, end: m.at - 3, attributes: m.part.attributes[:0]}
			return &m.part, nil
		case bytes.HasPrefix(rest, []byte("<!")):
			return nil, errMarkup
		default:
			return m.tag()
		}
	}
	if len(m.open) > 0 {
		return nil, errMarkup
	}
	return nil, nil
}

// skip goes behind the next mark that stands at least after so many bytes.
func (m *markup) skip(after int, mark string) bool {
	i := bytes.Index(m.doc[m.at+after:], []byte(mark))
	m.at += after + i + len(mark)
	return i >= 0
}

// commentary is a comment (XML 1.0 section 2.5).
var commentary = regexp.MustCompile(`^<!--(?:[^-]|-[^-])*-->`)

// instruction is a processing instruction that looks like the XML declaration.
var instruction = regexp.MustCompile(`^<\?[A-Za-z][A-Za-z0-9.-]*(?:[ \t\r\n]+[A-Za-z]+=(?:"[^"<>]*"|'[^'<>]*'))*[ \t\r\n]*\?>`)

// inUTF8 tells whether a processing instruction, if it is the XML declaration, names that
// encoding or none.
func inUTF8(pi []byte) bool {
	if !bytes.HasPrefix(pi, []byte("<?xml")) || !bytes.Contains(pi, []byte("encoding")) {
		return true
	}
	pi = bytes.ToLower(pi)
	return bytes.Contains(pi, []byte("utf-8")) || bytes.Contains(pi, []byte("us-ascii"))
}

// tag reads a start tag or an end tag.
func (m *markup) tag() (*part, error) {
	m.at++
	p := &m.part
	*p = part{attributes: p.attributes[:0]}
	if m.at < len(m.doc) && m.doc[m.at] == '/' {
		m.at++
		p.kind = endTag
	}
	name := m.name()
	p.name = local(name)
	p.prefix = name[:len(name)-len(p.name)]
	for {
		spaced := m.space()
		if m.at >= len(m.doc) || len(name) == 0 {
			return nil, errMarkup
		}
		switch c := m.doc[m.at]; {
		case c == '>':
			m.at++
			return p, m.nest(name)
		case c == '/' && p.kind == startTag && bytes.HasPrefix(m.doc[m.at:], []byte("/>")):
			m.at += 2
			p.closed = true
			return p, nil
		case !spaced || p.kind == endTag || !m.attribute():
			return nil, errMarkup
		}
	}
}

// nest notes that an element begins or ends.
func (m *markup) nest(name []byte) error {
	last := len(m.open) - 1
	switch {
	case m.part.kind == startTag && last+1 < maxDepth:
		m.open = append(m.open, name)
	case m.part.kind == endTag && last >= 0 && bytes.Equal(m.open[last], name):
		m.open = m.open[:last]
	default:
		return errMarkup
	}
	return nil
}

// parent is the name of the element that the last part, a start tag, stands in, without
// its prefix.
func (m *markup) parent() []byte {
	at := len(m.open) - 1
	if !m.part.closed {
		at--
	}
	if at < 0 {
		return nil
	}
	return local(m.open[at])
}

// attribute reads name="value".
func (m *markup) attribute() bool {
	a := attr{nameStart: m.at}
	if c := m.doc[m.at] | 0x20; c < 'a' || c > 'z' {
		return false
	}
	m.name()
	a.nameEnd = m.at
	m.space()
	if a.nameEnd == a.nameStart || m.at >= len(m.doc) || m.doc[m.at] != '=' {
		return false
	}
	m.at++
	m.space()
	if m.at >= len(m.doc) || m.doc[m.at] != '"' && m.doc[m.at] != '\'' {
		return false
	}
	a.start = m.at + 1
	size := bytes.IndexByte(m.doc[a.start:], m.doc[m.at])
	if size < 0 || bytes.IndexByte(m.doc[a.start:a.start+size], '<') >= 0 {
		return false
	}
	a.end = a.start + size
	m.at = a.end + 1
	m.part.attributes = append(m.part.attributes, a)
	return true
}

// name reads up to what can be no part of a name.
func (m *markup) name() []byte {
	start := m.at
	for m.at < len(m.doc) && strings.IndexByte(" \t\r\n/>=<\"'&", m.doc[m.at]) < 0 {
		m.at++
	}
	return m.doc[start:m.at]
}

// space goes behind white space, and tells whether there was any.
func (m *markup) space() bool {
	start := m.at
	for m.at < len(m.doc) && strings.IndexByte(space, m.doc[m.at]) >= 0 {
		m.at++
	}
	return m.at > start
}

// space is what XML takes for white space.
const space = " \t\r\n"

// local is a name without its prefix.
func local(name []byte) []byte { return name[bytes.LastIndexByte(name, ':')+1:] }

// unescape replaces the references to characters in a text or value (XML 1.0 section
// 4.1). No entity but the predefined ones is known.
func unescape(raw []byte) (string, bool) {
	if bytes.IndexByte(raw, '&') < 0 {
		return string(raw), true
	}
	var plain strings.Builder
	for len(raw) > 0 {
		size, r := character(raw)
		switch {
		case size == 0:
			return "", false
		case raw[0] == '&':
			plain.WriteRune(r)
		default:
			plain.WriteByte(raw[0])
		}
		raw = raw[size:]
	}
	return plain.String(), true
}

// escapedOffset is where in raw stands what is at an offset of it unescaped.
func escapedOffset(raw []byte, at int) int {
	offset := 0
	for at > 0 {
		size, r := character(raw[offset:])
		if offset += size; size > 1 {
			at -= utf8.RuneLen(r)
		} else {
			at--
		}
	}
	return offset
}

// character reads a byte, or a reference to a character; size 0: it is not one.
func character(raw []byte) (size int, r rune) {
	if raw[0] != '&' {
		return 1, rune(raw[0])
	}
	end := bytes.IndexByte(raw[:min(len(raw), 12)], ';')
	if end < 0 {
		return 0, 0
	}
	name := string(raw[1:end])
	switch name {
	case "amp", "lt", "gt", "quot", "apos":
		return end + 1, []rune(html.UnescapeString("&" + name + ";"))[0]
	}
	base := 10
	digits, ok := strings.CutPrefix(name, "#")
	if hex, found := strings.CutPrefix(digits, "x"); found {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	if !ok || err != nil || !utf8.ValidRune(rune(n)) {
		return 0, 0
	}
	return end + 1, rune(n)
}
