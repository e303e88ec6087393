package command

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token/sign"
)

// claimSet collects the claims of a token, each from one option.
type claimSet struct {
	sign.Claims
	from map[string]string // the option
}

// set adds a claim. Two options that set the same one are an error: the user
// would have to guess which wins.
func (c *claimSet) set(name string, value any, option string) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: the value of %s cannot be written as JSON (is it UTF-8?)", option, name)
	}
	if err := c.reserve(name, option); err != nil {
		return err
	}
	c.Set(name, encoded)
	return nil
}

// reserve keeps a claim for an option.
func (c *claimSet) reserve(name, option string) error {
	if earlier, ok := c.from[name]; ok {
		return fmt.Errorf("the claim %s is set twice, by %s and by %s", name, earlier, option)
	}
	if c.from == nil {
		c.from = make(map[string]string)
	}
	c.from[name] = option
	return nil
}

// setOne adds a claim unless its option was not given.
func (c *claimSet) setOne(name, value, option string) error {
	if value == "" {
		return nil
	}
	return c.set(name, value, option)
}

// setList adds one value as a string and several as an array.
func (c *claimSet) setList(name string, values []string, option string) error {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return c.set(name, values[0], option)
	}
	return c.set(name, values, option)
}

// parseClaim cuts name=text, or name:=JSON.
func parseClaim(option string) (name string, value any, err error) {
	name, text, ok := strings.Cut(option, "=")
	literal := strings.HasSuffix(name, ":")
	name = strings.TrimSuffix(name, ":")
	if !ok || name == "" {
		return "", nil, errors.New("--claim: write name=text, or name:=JSON for anything but a string, such as count:=3")
	}
	if !literal {
		return name, text, nil
	}
	parsed := jsontext.Value(strings.TrimSpace(text))
	if !parsed.IsValid() {
		return "", nil, fmt.Errorf("--claim %s: what follows := is not JSON; a string is written %s=text", name, name)
	}
	return name, parsed, nil
}

// pathScope is the scope that opens a path with `scope path`: download: and the
// path, percent-encoded, after the WLCG Common JWT Profile.
func pathScope(path string) (string, error) {
	u := url.URL{Path: path}
	if _, err := scope.Path(&u); err != nil {
		return "", errors.New("--path: it must begin with a slash and have neither dot segments, empty segments nor backslashes; " +
			"write it decoded, with spaces as spaces")
	}
	return "download:" + u.EscapedPath(), nil
}
