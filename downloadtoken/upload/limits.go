package upload

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

var errSizeSetting = errors.New("max_size: must not be negative; write a size such as 100MiB")

// limits are what a file must keep to: the settings, and the claims of the token.
type limits struct {
	maxSize int64   // in bytes, 0: none
	types   []types // each must admit the file; none: all do
	sha256  []byte  // of the content, nil: any
}

// limit reads the claims. The error names a claim that is there and cannot be read,
// but not its value.
func (u *Upload) limit(c *token.Claims) (l limits, err error) {
	l.maxSize = u.MaxSize
	if raw, ok := c.Raw("max_size"); ok {
		size, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || size <= 0 {
			return l, errors.New("the claim max_size is not a positive whole number")
		}
		if l.maxSize == 0 || size < l.maxSize {
			l.maxSize = size
		}
	}
	if u.types != nil {
		l.types = append(l.types, u.types)
	}
	if c.Has("content_type") {
		names, ok := c.Strings("content_type")
		claimed, err := parseTypes(names)
		if !ok || err != nil || claimed == nil {
			return l, errors.New("the claim content_type is neither a media type nor a list of some")
		}
		l.types = append(l.types, claimed)
	}
	if c.Has("sha256") {
		text, _ := c.String("sha256")
		if l.sha256 = parseSum(text); l.sha256 == nil {
			return l, errors.New("the claim sha256 is not 32 bytes in hexadecimal digits or base64url")
		}
	}
	return l, nil
}

// parseSum reads 32 bytes; nil if they are none.
func parseSum(text string) []byte {
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != 32 {
		sum, err = base64.RawURLEncoding.Strict().DecodeString(strings.TrimSuffix(text, "="))
	}
	if err != nil || len(sum) != 32 || strings.ContainsAny(text, "\r\n") {
		return nil
	}
	return sum
}

// names are the types that people are told of: those of the claim, if there are any.
func (l limits) names() []string {
	if len(l.types) == 0 {
		return nil
	}
	return slices.Clone(l.types[len(l.types)-1])
}
