package scope

import (
	"fmt"
	"strings"
)

// PathScopes is one claim with paths behind several prefixes, each with what it allows.
type PathScopes []pathAllowance

type pathAllowance struct {
	PathScope
	Allowance
}

// Add adds a prefix. The error is that one scope could be read as that of two prefixes,
// of which one would be longer by a path.
func (s *PathScopes) Add(paths PathScope, allowed Allowance) error {
	for _, other := range *s {
		if strings.HasPrefix(paths.Prefix, other.Prefix+"/") || strings.HasPrefix(other.Prefix, paths.Prefix+"/") {
			return fmt.Errorf("the prefixes %s and %s could be taken for each other: write prefixes of which none is another with a path behind it",
				other.Prefix, paths.Prefix)
		}
	}
	*s = append(*s, pathAllowance{paths, allowed})
	return nil
}

// Admits tells whether one of the claim's values lets op be done on path, by the rules of
// [PathScope.Admits] and [Allowance.Permits]. Folders that lead to a path may be created
// with it, as the WLCG profile demands: storage.create:/a/b/c permits to create /a.
func (s PathScopes) Admits(values []string, path string, op Operation) bool {
	for i := range s {
		one := &s[i]
		if !op.Writes() {
			if one.Allows(op) && one.PathScope.Admits(values, path) {
				return true
			}
			continue
		}
		if one.Permits(op, path, func(path string) bool { return one.PathScope.Admits(values, path) }) ||
			op == CreateFolder && one.Allows(op) && one.leads(values, path) {
			return true
		}
	}
	return false
}

// Base returns the longest path, without a slash at its end, that everything is or is
// below that the claim's values open for reading.
func (s PathScopes) Base(values []string) string {
	var all []string
	for _, one := range s {
		if one.Allows(Download) {
			all = append(all, one.canonical(values)...)
		}
	}
	return common(all)
}

// Writes tells whether anything can be written by any of them.
func (s PathScopes) Writes() bool {
	for _, one := range s {
		if one.Allowance.Writes() {
			return true
		}
	}
	return false
}

// leads tells whether the folder at path is above one of the claim's paths.
func (s PathScope) leads(values []string, path string) bool {
	if !fits(CreateFolder, path) {
		return false
	}
	for _, entry := range s.canonical(values) {
		if strings.HasPrefix(entry, path+"/") {
			return true
		}
	}
	return false
}
