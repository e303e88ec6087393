package cdni

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"regexp"
	"strings"
)

// Container is a URI container, the value of cdniuc (RFC 9246 section 2.1.15). It may be
// used from many goroutines.
type Container struct {
	digest     string // of the URI, if newHash is not nil
	newHash    func() hash.Hash
	expression *regexp.Regexp
}

// hashes are the algorithms of the registry of RFC 6920 section 9.4 that the standard
// library has. Those that it cuts short are missing, because short hashes collide.
var hashes = map[string]func() hash.Hash{
	"sha-256": sha256.New,
	"sha-384": sha512.New384,
	"sha-512": sha512.New,
}

// ParseContainer reads the value of cdniuc: `hash:` and a URL segment of RFC 6920
// section 5, with sha-256, sha-384 or sha-512 in full; or `regex:` and a POSIX extended
// regular expression. The error is [ErrContainer], with detail.
func ParseContainer(cdniuc string) (*Container, error) {
	if segment, ok := strings.CutPrefix(cdniuc, "hash:"); ok {
		return parseHash(segment)
	}
	if expression, ok := strings.CutPrefix(cdniuc, "regex:"); ok {
		return parseExpression(expression)
	}
	return nil, &refusal{ErrContainer, "it is neither hash: nor regex:"}
}

func parseHash(segment string) (*Container, error) {
	name, encoded, _ := strings.Cut(segment, ";")
	newHash := hashes[name]
	if newHash == nil {
		return nil, &refusal{ErrContainer, "its hash is none of sha-256, sha-384 and sha-512 in full"}
	}
	// The decoder skips line breaks.
	digest, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") || len(digest) != newHash().Size() {
		return nil, &refusal{ErrContainer, "its hash is not base64url of the right length"}
	}
	return &Container{digest: string(digest), newHash: newHash}, nil
}

// Matches reports whether the container is for a URI that [Target.URI] has made. An
// expression has to match the whole of it.
func (c *Container) Matches(uri string) bool {
	if c.newHash != nil {
		h := c.newHash()
		h.Write([]byte(uri))
		return string(h.Sum(nil)) == c.digest
	}
	// The longest of the leftmost matches. If any match is the whole, it is this one.
	at := c.expression.FindStringIndex(uri)
	return at != nil && at[0] == 0 && at[1] == len(uri)
}
