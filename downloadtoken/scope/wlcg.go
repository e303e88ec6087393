package scope

import (
	"iter"
	"net/url"
	"strings"
)

// PathAdmits tells whether one path from a token, already decoded, opens path,
// which is a result of [Path]. The rules are those of the WLCG Common JWT
// Profile for the path of a storage scope:
//
//	entry       opens                                 does not open
//	/foo/bar    /foo/bar, /foo/bar/, /foo/bar/qux     /foo/bargain
//	/foo/bar/   /foo/bar/, /foo/bar/qux               /foo/bar
//	/           everything
//
// An entry that is empty, relative or not canonical opens nothing. A percent
// sign in it is a percent sign.
func PathAdmits(entry, path string) bool {
	return canonical(path) && opens(entry, path)
}

// PathScope says how a claim holds the paths that a token opens.
type PathScope struct {
	// Prefix introduces a path among other scope strings, such as "download:"
	// or "storage.read:". Each value of the claim is then a list separated by
	// spaces (RFC 8693 section 4.2), in which all that lacks the prefix is
	// meant for other services. Without a prefix, the default, each value is one path
	// as a whole, spaces included.
	Prefix string

	// Escaped says that the paths are percent-encoded, as the WLCG profile
	// has them inside a scope string; they are decoded once. Set it whenever
	// there is a Prefix: a space could not be written otherwise. Default
	// false: a percent sign is a percent sign.
	Escaped bool
}

// Admits tells whether one of the claim's values opens path, which is a result
// of [Path]. Each path in them is judged by the rules of [PathAdmits]. One that
// is not well escaped, or that holds an encoded slash or backslash, opens
// nothing; the others still count.
func (s PathScope) Admits(values []string, path string) bool {
	if !canonical(path) {
		return false
	}
	for _, value := range values {
		if s.admits(value, path) {
			return true
		}
	}
	return false
}

// Base returns the longest path, without a slash at its end, that everything is or is
// below that the claim's values open.
func (s PathScope) Base(values []string) string { return common(s.canonical(values)) }

// canonical are the paths in the claim's values that open anything.
func (s PathScope) canonical(values []string) (entries []string) {
	for _, value := range values {
		for entry := range s.entries(value) {
			if canonical(entry) {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

func (s PathScope) admits(value, path string) bool {
	for entry := range s.entries(value) {
		if opens(entry, path) {
			return true
		}
	}
	return false
}

// entries are the paths in a value of the claim, decoded.
func (s PathScope) entries(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if s.Prefix == "" {
			if entry, ok := s.decode(value); ok {
				yield(entry)
			}
			return
		}
		for scope := range strings.SplitSeq(value, " ") {
			entry, ours := strings.CutPrefix(scope, s.Prefix)
			if !ours {
				continue
			}
			if entry, ok := s.decode(entry); ok && !yield(entry) {
				return
			}
		}
	}
}

func (s PathScope) decode(entry string) (decoded string, ok bool) {
	if !s.Escaped || !strings.Contains(entry, "%") {
		return entry, true
	}
	decoded, err := url.PathUnescape(entry)
	return decoded, err == nil && !separatorEscaped(entry)
}

// opens needs a canonical path. The entry is not searched for dot segments and
// the like, nor for its leading slash: it has to be equal to the path up to a
// segment boundary, and a canonical path begins with a slash and holds no such
// thing. Only of nothing would all that be true as well.
func opens(entry, path string) bool {
	rest, ok := strings.CutPrefix(path, entry)
	return ok && entry != "" && (rest == "" || rest[0] == '/' || strings.HasSuffix(entry, "/"))
}
