package scope

import (
	"slices"
	"strings"
)

// Template connects the name of a thing in a scope claim with the place of
// that thing on the site, through variables that stand in both:
//
//	dataset:{id}          /datasets/{id}/*
//	image:{id:uuid}       /images/{id}.tif
//	ds:{owner}:{name}     /data/{owner}/{name}
//
// The values are taken from the path of the request, where a variable never
// reaches across a slash, so that there is only one way to take them. Then the
// claim has to be, byte for byte, the scope pattern with the values in it. See
// [ParseTemplate] for the grammar.
type Template struct {
	scope []part
	path  []segment
	tree  bool   // the path pattern ends in "/*"
	uuid  []bool // by variable
}

// part is a piece of the scope pattern: a literal, or a variable.
type part struct {
	literal  string
	variable int // -1 in a literal

	// stops are bytes that the variable's value may not hold, so that the
	// claim has no second reading.
	stops []byte
}

// segment is a piece of the path pattern between two slashes. Without a
// variable all of it is prefix.
type segment struct {
	prefix, suffix string
	variable       int // -1 if it has none
}

// Admits tells whether scope opens path. The scope is one whole string from
// the token: it is not split at spaces, lest an id with a space in it become
// two scopes. The path is a result of [Path].
//
// A value is never empty. A variable that stands in a pattern several times
// has the same value each time. {id:uuid} takes only UUIDs and compares them
// as such, in either case of letter (RFC 9562 section 4).
//
// Where a scope pattern has several variables, a value that holds the first
// byte of the text beside its variable is refused: with ds:{a}:{b}, the claim
// ds:1:2:3 could have been minted for 1:2 and 3 as well as for 1 and 2:3, and there
// is no telling which. UUIDs are exempt, their length is known.
func (t *Template) Admits(scope, path string) bool {
	if scope == "" || !canonical(path) { // no pattern is empty, but the zero Template is
		return false
	}
	// Up to four values need no memory.
	var few [4]string
	values := append(few[:0], make([]string, len(t.uuid))...)
	return t.take(values, path) && t.spell(values, scope)
}

// Name returns the scope that opens path, if one does. UUIDs are spelled as in the path.
func (t *Template) Name(path string) (scope string, ok bool) {
	values := make([]string, len(t.uuid))
	if !canonical(path) || !t.take(values, path) {
		return "", false
	}
	var b strings.Builder
	for _, p := range t.scope {
		if p.variable < 0 {
			b.WriteString(p.literal)
		} else {
			b.WriteString(values[p.variable])
		}
	}
	return b.String(), t.Admits(b.String(), path)
}

// Base returns the longest path, without a slash at its end, that everything is or is
// below that a token opens by these scopes, of which one opens path. Other scopes than
// that one leave what the path pattern has before its first variable, unless they are no
// name of this template.
func (t *Template) Base(scopes []string, path string) string {
	depth := len(t.path)
	for _, scope := range scopes {
		if mine := t.scope[0].variable >= 0 || strings.HasPrefix(scope, t.scope[0].literal); mine && scope != "" && !t.Admits(scope, path) {
			depth = slices.IndexFunc(append(t.path[:len(t.path):len(t.path)], segment{}), func(s segment) bool { return s.variable >= 0 })
		}
	}
	return First(path, depth)
}

// take fills in the values that the path gives to the variables.
func (t *Template) take(values []string, path string) bool {
	rest := path[1:]
	for i, s := range t.path {
		text, after, slash := strings.Cut(rest, "/")
		if slash != (t.tree || i < len(t.path)-1) {
			return false
		}
		rest = after
		if s.variable < 0 {
			if text != s.prefix {
				return false
			}
			continue
		}
		value, ok := s.value(text)
		if !ok || t.uuid[s.variable] && !IsUUID(value) {
			return false
		}
		if earlier := values[s.variable]; earlier != "" && !t.same(s.variable, earlier, value) {
			return false
		}
		values[s.variable] = value
	}
	return true
}

// value returns what the variable of the segment stands for in text.
func (s segment) value(text string) (string, bool) {
	text, begins := strings.CutPrefix(text, s.prefix)
	text, ends := strings.CutSuffix(text, s.suffix)
	return text, begins && ends && text != ""
}

// spell tells whether scope is the scope pattern with the values in it.
func (t *Template) spell(values []string, scope string) bool {
	for _, p := range t.scope {
		if p.variable < 0 {
			var ok bool
			if scope, ok = strings.CutPrefix(scope, p.literal); !ok {
				return false
			}
			continue
		}
		value := values[p.variable]
		if slices.ContainsFunc(p.stops, func(b byte) bool { return strings.IndexByte(value, b) >= 0 }) {
			return false
		}
		if len(scope) < len(value) || !t.same(p.variable, scope[:len(value)], value) {
			return false
		}
		scope = scope[len(value):]
	}
	return scope == ""
}

// same compares two values of a variable. A UUID has no letters but a to f, and
// nothing beyond ASCII folds to those.
func (t *Template) same(variable int, a, b string) bool {
	if t.uuid[variable] {
		return strings.EqualFold(a, b)
	}
	return a == b
}

// IsUUID knows the text form of RFC 9562 section 4, of any version, in either case.
func IsUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		switch i {
		case 8, 13, 18, 23:
			if text[i] != '-' {
				return false
			}
		default:
			if !isHex(text[i]) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
