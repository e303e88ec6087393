package scope

import "strings"

// First returns the first segments of a path, without a slash at the end: "/a/b" for
// two of "/a/b/c".
func First(path string, segments int) string {
	end := 0
	for range segments {
		next := strings.IndexByte(path[min(end+1, len(path)):], '/')
		if next < 0 {
			return strings.TrimSuffix(path, "/")
		}
		end += 1 + next
	}
	return path[:end]
}

// common returns the longest path, without a slash at its end, that all of the paths are
// or are below: "" is the root, and what no path has in common.
func common(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	base := strings.TrimSuffix(paths[0], "/")
	for _, path := range paths[1:] {
		for base != "" && !opens(base, path) {
			base = base[:strings.LastIndexByte(base, '/')]
		}
	}
	return base
}
