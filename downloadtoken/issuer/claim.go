package issuer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// Claim is something that the tokens say.
type Claim struct {
	// The name of the claim. `exp`, `iat`, `nbf` and `jti` cannot be set here.
	Name string `json:"name"`

	// The value. If it is JSON (`true`, `120`, `{"a": ["b"]}`), the claim has that
	// type, and placeholders are replaced in its strings only; any other text is a
	// string. So the type is always what is configured, whatever a placeholder
	// stands for. `"120"`, with the quotes, is a string.
	//
	// Placeholders are replaced for each request, once: what they stand for is
	// data, even if it looks like a placeholder. If the value is nothing but one
	// placeholder, and it is empty, the token does not have the claim. Any other
	// placeholder that is empty or unknown makes the request fail, because the
	// token would say something else than was meant. So does a value in the claim
	// `scope`, or in a text that begins with a slash, that no path can hold; and one
	// with a space in a text such as `download:/a/{x}`, where it would begin another scope.
	Value string `json:"value"`
}

// errClaim: a claim cannot be filled in for this request.
var errClaim = errors.New("claim cannot be filled in")

// claim is [Claim], ready to be filled in.
type claim struct {
	name     string
	text     string         // if it is no JSON
	json     jsontext.Value // otherwise
	optional bool           // the text is one placeholder
}

var onePlaceholder = regexp.MustCompile(`^\{[^{}]+\}$`)

// prepareClaims checks the claims. The nonce claim is set by us.
func prepareClaims(configured []Claim, nonceClaim string) ([]claim, error) {
	ours := map[string]string{
		"exp": "write ttl",
		"iat": "it is always set, to the time of the request",
		"nbf": "a token is valid at once",
		"jti": "write one_time, which makes a new one for each token",
	}
	if nonceClaim != "" {
		ours[nonceClaim] = "one_time sets it"
	}
	var claims []claim
	for _, c := range configured {
		instead, isOurs := ours[c.Name]
		switch {
		case c.Name == "":
			return nil, errors.New("claim: the name is missing, such as: claim typ download")
		case isOurs:
			return nil, fmt.Errorf("claim %s: cannot be set here: %s", c.Name, instead)
		case slices.ContainsFunc(claims, func(other claim) bool { return other.name == c.Name }):
			return nil, fmt.Errorf("claim %s: given twice; a list of values is written as JSON, such as: claim aud `[\"a\", \"b\"]`", c.Name)
		}
		prepared, err := prepareClaim(c)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", c.Name, err)
		}
		claims = append(claims, prepared)
	}
	return claims, nil
}

func prepareClaim(c Claim) (claim, error) {
	value := jsontext.Value(c.Value)
	switch {
	case c.Value == "":
		return claim{}, errors.New("the value is empty; leave the claim out")
	case !value.IsValid() && (strings.HasPrefix(c.Value, "[") || strings.HasPrefix(c.Value, `{"`)):
		return claim{}, errors.New("the value begins like JSON, but is none; placeholders stand in quotes there, such as: `[\"{http.auth.user.id}\"]`")
	case !value.IsValid():
		return claim{name: c.Name, text: c.Value, optional: onePlaceholder.MatchString(c.Value)}, nil
	case value.Kind() == jsontext.KindNull:
		return claim{}, errors.New("null says nothing; leave the claim out")
	case !fits(c.Name, value):
		return claim{}, fmt.Errorf("must be a string (RFC 7519 section 4.1); put the value into quotes: `%q`", c.Value)
	}
	return claim{name: c.Name, json: value}, nil
}

// fits reports whether a registered claim may have a value of this type.
func fits(name string, value jsontext.Value) bool {
	switch name {
	case "iss", "sub":
		return value.Kind() == jsontext.KindString
	case "aud":
		return value.Kind() == jsontext.KindString || value.Kind() == jsontext.KindBeginArray
	}
	return true
}

// fill returns the claim's value for a request, nil if the token is to go
// without. Each placeholder is replaced once; what it stands for is not looked
// into.
func (c *claim) fill(repl *caddy.Replacer) (jsontext.Value, error) {
	switch {
	case c.json != nil:
		return c.fillStrings(repl)
	case c.optional && repl.ReplaceAll(c.text, "") == "":
		return nil, nil
	}
	text, err := c.replace(c.text, repl)
	if err != nil {
		return nil, err
	}
	return quote(text)
}

// replace fills in the placeholders of a text. [errClaim]: one is empty or unknown.
// [scope.ErrPath]: the text says what the token opens, and nothing can be opened so.
func (c *claim) replace(text string, repl *caddy.Replacer) (string, error) {
	values := strings.Contains(text, "{")
	filled, err := repl.ReplaceFunc(text, func(_ string, value any) (any, error) {
		part := caddy.ToString(value)
		switch {
		case part == "":
			return nil, errClaim
		case c.name == "scope" && !(c.optional && strings.Contains(part, "://")): // whole scopes may be URLs
			return part, scope.CheckName(part)
		}
		return part, nil
	})
	switch {
	case errors.Is(err, scope.ErrPath):
		return "", err
	case err != nil:
		return "", errClaim
	case !values:
		return filled, nil
	case strings.HasPrefix(text, "/") && c.name != "scope": // a path, as in access and with scope path <claim>
		return filled, scope.CheckName(filled)
	case strings.Count(filled, " ") > strings.Count(text, " ") && !c.optional && scope.HasPath(filled):
		return "", errSpace // in any claim: scope path <claim> <prefix> reads lists as well
	case c.name != "scope":
		return filled, nil
	}
	return filled, scope.CheckScope(filled)
}

// errSpace: what a client sent would become a scope of its own (RFC 8693 section
// 4.2), and open what the client names.
var errSpace = fmt.Errorf("%w: a space would end the path", scope.ErrPath)

// quote refuses what is not UTF-8, which no JSON can hold (RFC 8259 section 8.1).
func quote(text string) (jsontext.Value, error) {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return nil, errClaim
	}
	return quoted, nil
}

// fillStrings replaces the placeholders in the strings of the JSON value, but for
// the names of members. Everything else stays as it is written.
func (c *claim) fillStrings(repl *caddy.Replacer) (jsontext.Value, error) {
	var filled bytes.Buffer
	in, out := jsontext.NewDecoder(bytes.NewReader(c.json)), jsontext.NewEncoder(&filled)
	for {
		part, err := in.ReadToken()
		if err == io.EOF {
			return bytes.TrimSpace(filled.Bytes()), nil
		}
		if err != nil {
			return nil, err
		}
		if part.Kind() == jsontext.KindString && !isName(in) {
			text, err := c.replace(part.String(), repl)
			if err != nil {
				return nil, err
			}
			part = jsontext.String(text)
		}
		if err := out.WriteToken(part); err != nil {
			return nil, errClaim
		}
	}
}

// isName reports whether the string that was read last is the name of a member.
func isName(in *jsontext.Decoder) bool {
	kind, read := in.StackIndex(in.StackDepth())
	return kind == jsontext.KindBeginObject && read%2 == 1
}
