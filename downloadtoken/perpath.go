package downloadtoken

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// defaultIndex are the index files of file_server unless told otherwise.
var defaultIndex = []string{"index.html", "index.txt"}

// prepareIndex sets the default and checks the names. They are sorted, since
// their order does not matter.
func (o *OneTime) prepareIndex() error {
	if o.Per != "path" {
		if len(o.Index) > 0 {
			return errors.New("one_time: index files belong to per path; write it like this: per path index.html")
		}
		return nil
	}
	if len(o.Index) == 0 {
		o.Index = slices.Clone(defaultIndex)
	}
	for _, name := range o.Index {
		if name == "" || strings.ContainsAny(name, "/\\{}") {
			return errors.New("one_time: per path takes the names of index files, such as index.html, without slashes and placeholders")
		}
	}
	slices.Sort(o.Index)
	o.Index = slices.Compact(o.Index)
	return nil
}

// counted is what a path counts as with `per path`: file_server serves a folder's
// index file under its own name and under that of the folder, and a file with or
// without a slash at the end. All index files of a folder count as it, since
// which one is served can change.
func (o *oneTime) counted(path string) string {
	path = strings.Trim(path, "/")
	for {
		folder, name := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			folder, name = path[:i], path[i+1:]
		}
		if !slices.Contains(o.index, name) {
			return "/" + path
		}
		path = folder // which may itself have the name of an index file
	}
}

// policyOf names the way in which nonces become keys of the store. Changing it
// makes everything spent before unreadable, so the store has to know.
func policyOf(o *OneTime) string {
	words := []string{"token"}
	if o.Per == "path" {
		words = append([]string{"path"}, namesOf(o.Index)...)
		words = append(words, "/") // is no name: it would be quoted
	}
	return strings.Join(append(words, namesOf(o.Claim)...), " ")
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// namesOf keeps names apart that run together when they are put in a line.
func namesOf(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = name
		if !plainName.MatchString(name) {
			all[i] = strconv.Quote(name)
		}
	}
	return all
}
