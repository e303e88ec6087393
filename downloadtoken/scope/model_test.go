package scope

import (
	"net/url"
	"regexp"
	"strings"

	"pgregory.net/rapid"
)

// The models say again what the package says, in the slowest and plainest way
// that could be found: lists of segments instead of offsets into strings.

// modelPath judges the raw request target segment by segment. It never sees
// the decoded path as a whole.
func modelPath(escaped string) (string, bool) {
	raw := strings.Split(escaped, "/")
	if len(raw) < 2 || raw[0] != "" {
		return "", false
	}
	decoded := []string{""}
	for i, s := range raw[1:] {
		name, err := url.PathUnescape(s)
		last := i == len(raw)-2
		if err != nil || name == "." || name == ".." || name == "" && !last {
			return "", false
		}
		for _, b := range []byte(name) {
			if b < ' ' || b == 0x7f || b == '/' || b == '\\' {
				return "", false
			}
		}
		decoded = append(decoded, name)
	}
	return strings.Join(decoded, "/"), true
}

func modelCanonical(path string) bool {
	_, ok := modelPath(strings.ReplaceAll(path, "%", "%25"))
	return ok
}

// names returns the segments of a path, and whether it ends in a slash.
func names(path string) (list []string, slash bool) {
	for _, s := range strings.Split(path, "/") {
		if s != "" {
			list = append(list, s)
		}
	}
	return list, strings.HasSuffix(path, "/")
}

// modelDepth returns how many segments path lies below base, -1 if it does not.
func modelDepth(base, path []string) int {
	if len(path) < len(base) {
		return -1
	}
	for i := range base {
		if base[i] != path[i] {
			return -1
		}
	}
	return len(path) - len(base)
}

func modelPathAdmits(entry, path string) bool {
	if !modelCanonical(entry) || !modelCanonical(path) {
		return false
	}
	base, directory := names(entry)
	target, slash := names(path)
	depth := modelDepth(base, target)
	return depth > 0 || depth == 0 && (slash || !directory)
}

func modelPathScope(s PathScope, values []string, path string) bool {
	var entries []string
	for _, v := range values {
		if s.Prefix == "" {
			entries = append(entries, v)
			continue
		}
		for _, word := range strings.Split(v, " ") {
			if strings.HasPrefix(word, s.Prefix) {
				entries = append(entries, word[len(s.Prefix):])
			}
		}
	}
	for _, e := range entries {
		ok := true
		if s.Escaped {
			// A separator that is encoded becomes part of a name here, and
			// modelPath refuses that.
			e, ok = modelPath(e)
		}
		if ok && modelPathAdmits(e, path) {
			return true
		}
	}
	return false
}

var (
	variableText = regexp.MustCompile(`\{([a-z_]+)(:uuid)?\}`)
	uuidText     = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// modelTemplate is a template that holds nothing but its source.
type modelTemplate struct{ scope, path string }

func (m modelTemplate) uuids() map[string]bool {
	kinds := map[string]bool{}
	for _, v := range variableText.FindAllStringSubmatch(m.scope+" "+m.path, -1) {
		kinds[v[1]] = kinds[v[1]] || v[2] != ""
	}
	return kinds
}

// values are what the path gives to the variables.
func (m modelTemplate) values(path string) (map[string]string, bool) {
	pattern, tree := strings.CutSuffix(m.path, "*")
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if tree {
		want = want[:len(want)-1]
		if len(got) <= len(want) {
			return nil, false
		}
		got = got[:len(want)]
	}
	if len(got) != len(want) {
		return nil, false
	}
	values := map[string]string{}
	for i, w := range want {
		v := variableText.FindStringSubmatchIndex(w)
		if v == nil {
			if w != got[i] {
				return nil, false
			}
			continue
		}
		before, name, after := w[:v[0]], w[v[2]:v[3]], w[v[1]:]
		n := len(got[i]) - len(before) - len(after)
		if n <= 0 || got[i][:len(before)] != before || got[i][len(before)+n:] != after {
			return nil, false
		}
		value := got[i][len(before) : len(before)+n]
		if m.uuids()[name] {
			if !uuidText.MatchString(value) {
				return nil, false
			}
			value = strings.ToLower(value)
		}
		if earlier, seen := values[name]; seen && earlier != value {
			return nil, false
		}
		values[name] = value
	}
	return values, true
}

// readings counts in how many ways the scope can be taken apart by the scope
// pattern, if a value may be any text. It gives up when it has found two.
func (m modelTemplate) readings(scope string) int {
	kinds := m.uuids()
	var count func(pattern, scope string, values map[string]string) int
	count = func(pattern, scope string, values map[string]string) int {
		v := variableText.FindStringSubmatchIndex(pattern)
		if v == nil {
			if pattern == scope {
				return 1
			}
			return 0
		}
		literal, name, rest := pattern[:v[0]], pattern[v[2]:v[3]], pattern[v[1]:]
		if !strings.HasPrefix(scope, literal) {
			return 0
		}
		scope = scope[len(literal):]
		same := func(a, b string) bool { return a == b }
		if kinds[name] {
			same = strings.EqualFold
		}
		total := 0
		for n := 1; n <= len(scope) && total < 2; n++ {
			value := scope[:n]
			if kinds[name] && !uuidText.MatchString(value) {
				continue
			}
			earlier, seen := values[name]
			if seen && !same(earlier, value) {
				continue
			}
			values[name] = value
			total += count(rest, scope[n:], values)
			if seen {
				values[name] = earlier
			} else {
				delete(values, name)
			}
		}
		return total
	}
	return count(m.scope, scope, map[string]string{})
}

// spells tells whether scope is the pattern with the path's values in it, and
// whether these values keep clear of all separators.
func (m modelTemplate) spells(scope, path string) (spelt, clear bool) {
	values, ok := m.values(path)
	if !ok || !modelCanonical(path) {
		return false, false
	}
	kinds := m.uuids()
	clear = true
	want, rest := "", m.scope
	for {
		v := variableText.FindStringSubmatchIndex(rest)
		if v == nil {
			break
		}
		name := rest[v[2]:v[3]]
		want += rest[:v[0]]
		begin, end := len(want), len(want)+len(values[name])
		want += values[name]
		if kinds[name] && end <= len(scope) && uuidText.MatchString(scope[begin:end]) {
			scope = scope[:begin] + strings.ToLower(scope[begin:end]) + scope[end:]
		}
		rest = rest[v[1]:]
		if rest == "" || len(values) < 2 {
			continue
		}
		for other, value := range values {
			if !kinds[other] && strings.IndexByte(value, rest[0]) >= 0 {
				clear = false
			}
		}
	}
	return scope == want+rest, clear
}

// modelEntry is one entry of pathPermissions.
type modelEntry struct {
	path, scope   string
	slugs         []string
	details, list bool
	writes        map[string]bool // by the vendor's names
}

// modelWrites is the vendor's name for an operation that one permission is enough for.
var modelWrites = map[Operation]string{
	CreateFile: "createFile", OverwriteFile: "overwriteFile", DeleteFile: "deleteFile",
	CreateFolder: "createVirtualFolder", DeleteFolder: "deleteVirtualFolder", Describe: "setFolderDescription",
}

func modelPermissions(entries []modelEntry, path, slug string, op Operation) bool {
	if !modelCanonical(path) || strings.HasSuffix(path, "/") != (op == List || op == Describe || op == Upload) {
		return false
	}
	switch op {
	case RenameFile:
		return modelPermissions(entries, path, slug, Download) && modelPermissions(entries, path, slug, DeleteFile)
	case RenameFolder:
		return modelPermissions(entries, path+"/", slug, List) && modelPermissions(entries, path, slug, DeleteFolder)
	case Upload: // no entry is about a name as long as that
		return modelPermissions(entries, path+strings.Repeat("n", 600), slug, CreateFile)
	}
	target, _ := names(path)
	for _, e := range entries {
		if !modelCanonical(e.path) {
			continue
		}
		base, _ := names(e.path)
		depth := modelDepth(base, target)
		if !(e.scope == "This" && depth == 0 || e.scope == "Children" && depth == 1 || e.scope == "Grandchildren+" && depth >= 2) {
			continue
		}
		download := false
		for _, p := range e.slugs {
			begins := len(p) > 0 && p[len(p)-1] == '*' && strings.Index(slug, p[:len(p)-1]) == 0
			download = download || slug != "" && (slug == p || begins)
		}
		if op == Download && download || op == Details && (e.details || download) || op == List && e.list || e.writes[modelWrites[op]] {
			return true
		}
	}
	return false
}

// drawName draws from few names, so that matches are frequent, and from those
// that tempt an implementation.
func drawName(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"a", "b", "ab", "A", "a b", "é", "e\u0301", "日本", ".a", "..a", "a.", "a..", "...", "%2F", "%41",
			"a%", "*", "{a}", "a:b", "a-b", "+", "?", "#", ";x=1", "\xff", "~1", "NUL", strings.Repeat("long", 200)}),
		rapid.StringMatching(`[a-c:.-]{1,4}`).Filter(func(s string) bool { return s != "." && s != ".." }),
	).Draw(t, "name")
}

// drawPath draws a path that Path would return.
func drawPath(t *rapid.T) string {
	path := "/" + strings.Join(rapid.SliceOfN(rapid.Custom(drawName), 0, 5).Draw(t, "names"), "/")
	if path != "/" && rapid.Bool().Draw(t, "slash") {
		path += "/"
	}
	return path
}

// drawText draws a path or something close to one.
func drawText(t *rapid.T) string {
	path := drawPath(t)
	if rapid.IntRange(0, 3).Draw(t, "mangle") > 0 {
		return path
	}
	i := rapid.IntRange(0, len(path)).Draw(t, "at")
	return path[:i] + rapid.SampledFrom([]string{"", "/", "//", "/./", "/../", "\\", "\x00", "\n", "\x7f", ".", "..", "x", "/.", "/.."}).Draw(t, "with") + path[i:]
}

// drawPair draws a path, and a text that often begins like it.
func drawPair(t *rapid.T) (entry, path string) {
	path = drawText(t)
	entry = drawText(t)
	switch rapid.IntRange(0, 3).Draw(t, "relation") {
	case 0, 1:
		entry = path[:rapid.IntRange(0, len(path)).Draw(t, "cut")]
	case 2:
		i := strings.LastIndex(path, "/")
		entry = path[:max(i, 0)]
	}
	return entry, path
}
