package scope

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseTemplate reads the two patterns of a [Template].
//
// A variable is {name}, of the letters a to z and the underscore; {name:uuid}
// takes only UUIDs, and need be written so only once. Every variable stands in
// both patterns. In the scope pattern it may stand anywhere, but two of them
// need text between them. A segment of the path pattern holds at most one, and
// may have text around it. Patterns without variables are allowed: they open a
// fixed path to a fixed scope.
//
// The path pattern starts with a slash and is canonical and not escaped, as
// are the paths that it is compared with. If it ends in "/*" it opens the
// directory before it, with all that is below: /datasets/{id}/* opens
// /datasets/5/ and /datasets/5/a/b, not /datasets/5. There is no other
// wildcard. In the scope pattern a star is a star.
//
// Errors name the pattern and say what to write instead.
func ParseTemplate(scope, path string) (*Template, error) {
	if scope == "" {
		return nil, errors.New("the scope pattern is empty: write the claim as the token holds it, such as dataset:{id}")
	}
	if path == "" {
		return nil, errors.New("the path pattern is empty: write the path that the scope opens, such as /datasets/{id}/*")
	}
	vars := &variables{}
	t := &Template{}
	var err error
	if t.scope, err = parseScope(scope, vars); err != nil {
		return nil, fmt.Errorf("scope pattern %q: %w", scope, err)
	}
	inScope := len(vars.names)
	if t.path, t.tree, err = parsePath(path, vars); err != nil {
		return nil, fmt.Errorf("path pattern %q: %w", path, err)
	}
	if len(vars.names) > inScope {
		return nil, fmt.Errorf("scope pattern %q lacks {%s}, which the path pattern has: any value would do there, "+
			"so write it in the scope too", scope, vars.names[inScope])
	}
	for variable, name := range vars.names {
		if !slices.ContainsFunc(t.path, func(s segment) bool { return s.variable == variable }) {
			return nil, fmt.Errorf("path pattern %q lacks {%s}, which the scope pattern has: "+
				"write it where the path holds its value", path, name)
		}
	}
	t.uuid = vars.uuid
	if len(vars.names) > 1 {
		t.setStops()
	}
	return t, nil
}

// setStops finds the bytes that values may not hold. For a text between two
// variables, its first byte may be in neither of their values. Then a second
// reading of the claim is impossible: the text could not begin earlier, as the
// value before it lacks that byte, nor later, as it would have to begin within
// itself and end in a repetition of its beginning, hence of that byte, inside
// the value after it. The byte after the last variable is kept out as well, so
// that the rule can be said in one sentence.
func (t *Template) setStops() {
	for i, p := range t.scope {
		if p.variable < 0 || t.uuid[p.variable] {
			continue
		}
		if i+1 < len(t.scope) {
			p.stops = append(p.stops, t.scope[i+1].literal[0])
		}
		if i >= 2 { // otherwise the text before it begins the claim
			p.stops = append(p.stops, t.scope[i-1].literal[0])
		}
		t.scope[i] = p
	}
}

func parseScope(pattern string, vars *variables) ([]part, error) {
	var parts []part
	for pattern != "" {
		literal, name, rest, err := cutVariable(pattern)
		if err != nil {
			return nil, err
		}
		if literal != "" {
			parts = append(parts, part{literal: literal, variable: -1})
		}
		if name != "" {
			if len(parts) > 0 && parts[len(parts)-1].variable >= 0 {
				return nil, errors.New("two variables touch, so nobody could say where one value ends: " +
					"write a separator between them, such as {a}:{b}")
			}
			variable, err := vars.index(name)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part{variable: variable})
		}
		pattern = rest
	}
	return parts, nil
}

func parsePath(pattern string, vars *variables) (segments []segment, tree bool, err error) {
	if !strings.HasPrefix(pattern, "/") {
		return nil, false, errors.New("write it from the root of the site, with a slash in front")
	}
	directory, tree := strings.CutSuffix(pattern, "/*")
	if directory == "" { // "/*" is every path: no segment to compare
		return nil, true, nil
	}
	for text := range strings.SplitSeq(directory[1:], "/") {
		s, err := parseSegment(text, vars)
		if err != nil {
			return nil, false, err
		}
		segments = append(segments, s)
	}
	switch {
	case strings.Contains(directory, "*"):
		return nil, false, errors.New("a star can only be the whole last segment: write /datasets/{id}/* for all below, " +
			"or a variable for a part that differs")
	case escapes(directory):
		return nil, false, errors.New("paths are compared decoded: write the character itself, not its %-escape")
	}
	if rule := flaw(strings.TrimSuffix(pattern, "*"), false); rule != "" {
		return nil, false, fmt.Errorf("no request could match it, %s: write the path as file_server opens it", rule)
	}
	return segments, tree, nil
}

func parseSegment(text string, vars *variables) (segment, error) {
	prefix, name, suffix, err := cutVariable(text)
	if err != nil {
		return segment{}, err
	}
	if name == "" {
		return segment{prefix: prefix, variable: -1}, nil
	}
	variable, err := vars.index(name)
	if err != nil {
		return segment{}, err
	}
	switch _, second, _, err := cutVariable(suffix); {
	case err != nil:
		return segment{}, err
	case second != "":
		return segment{}, errors.New("a segment can hold only one variable: write a slash between them, " +
			"or one variable for both")
	}
	return segment{prefix: prefix, suffix: suffix, variable: variable}, nil
}

// cutVariable returns the text before the first variable of a pattern, what
// stands in its braces (not empty if there is one), and the text after.
func cutVariable(pattern string) (before, name, after string, err error) {
	before, after, found := strings.Cut(pattern, "{")
	if strings.Contains(before, "}") {
		return "", "", "", errors.New("a closing brace without an opening one: write a variable as {id}")
	}
	if !found {
		return before, "", "", nil
	}
	name, after, closed := strings.Cut(after, "}")
	switch {
	case strings.Contains(name, "."):
		// The Caddyfile adapter has replaced its shorthands before the
		// pattern is read: {file} arrives as {http.request.uri.path.file}.
		return "", "", "", fmt.Errorf("{%s} is one of Caddy's own placeholders, of which {file}, {path}, {host} and {uuid} "+
			"are short forms: choose another name, such as {id} or {name}", name)
	case !closed || strings.Contains(name, "{"):
		return "", "", "", errors.New("an opening brace without a closing one: write a variable as {id}")
	case name == "":
		return "", "", "", errors.New("a variable without a name: write {id}")
	}
	return before, name, after, nil
}

// escapes tells whether text holds what a URL would decode.
func escapes(text string) bool {
	for i := range len(text) - 2 {
		if text[i] == '%' && isHex(text[i+1]) && isHex(text[i+2]) {
			return true
		}
	}
	return false
}

// variables are numbered in the order in which they are met.
type variables struct {
	names []string
	uuid  []bool
}

// index takes what stands in the braces.
func (v *variables) index(inBraces string) (int, error) {
	name, kind, typed := strings.Cut(inBraces, ":")
	if typed && kind != "uuid" {
		return 0, fmt.Errorf("{%s} has an unknown kind: write {%s} or {%s:uuid}", inBraces, name, name)
	}
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return 0, fmt.Errorf("{%s} is not a name: write lower-case letters and underscores only, such as {dataset_id}", inBraces)
	}
	i := slices.Index(v.names, name)
	if i < 0 {
		i = len(v.names)
		v.names = append(v.names, name)
		v.uuid = append(v.uuid, false)
	}
	v.uuid[i] = v.uuid[i] || typed
	return i, nil
}
