package scope

import (
	"errors"
	"fmt"
)

// ClaimsPath opens the paths that a token's own claims lead to: /users/{sub}/* is the
// folder of whom the token is for. See [ParseClaimsPath].
type ClaimsPath struct {
	template Template // without a scope
	names    []string // of the claims, by variable
}

// ParseClaimsPath reads a path pattern, in the language of [ParseTemplate], whose
// variables are names of claims. There must be one at least. Errors say what to write
// instead.
func ParseClaimsPath(path string) (*ClaimsPath, error) {
	if path == "" {
		return nil, errors.New("the path pattern is empty: write a path with claims in it, such as /users/{sub}/*")
	}
	vars := &variables{}
	c := new(ClaimsPath)
	var err error
	if c.template.path, c.template.tree, err = parsePath(path, vars); err != nil {
		return nil, fmt.Errorf("path pattern %q: %w", path, err)
	}
	if len(vars.names) == 0 {
		return nil, fmt.Errorf("path pattern %q has no claim in it, so every token would open it: write one in braces, such as /users/{sub}/*", path)
	}
	c.names, c.template.uuid = vars.names, vars.uuid
	return c, nil
}

// Admits tells whether the claims lead to path, which is a result of [Path]. claim
// returns a claim that is a string. Each one of the pattern must be there and be, byte
// for byte, what stands in the path; {id:uuid} compares UUIDs. A claim that is empty, or
// that has a slash or is a dot segment, leads nowhere, since no segment is that.
func (c *ClaimsPath) Admits(claim func(name string) (string, bool), path string) bool {
	values, ok := c.take(path)
	if !ok {
		return false
	}
	for i, value := range values {
		said, ok := claim(c.names[i])
		if !ok || !c.template.same(i, said, value) {
			return false
		}
	}
	return true
}

// Base returns the longest path, without a slash at its end, that everything is or is
// below that claims open which lead to path.
func (c *ClaimsPath) Base(path string) string { return First(path, len(c.template.path)) }

// Name returns the claims that lead to path, if there are any.
func (c *ClaimsPath) Name(path string) (claims map[string]string, ok bool) {
	values, ok := c.take(path)
	claims = make(map[string]string)
	for i, value := range values {
		claims[c.names[i]] = value
	}
	return claims, ok
}

func (c *ClaimsPath) take(path string) (values []string, ok bool) {
	if len(c.names) == 0 || !canonical(path) {
		return nil, false
	}
	values = make([]string, len(c.names))
	return values, c.template.take(values, path)
}
