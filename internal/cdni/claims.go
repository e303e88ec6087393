package cdni

import (
	"net/netip"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Claims are what RFC 9246 adds to a token that has verified.
type Claims struct {
	Container *Container
	Subject   string       // decrypted; "" if there is none
	Client    netip.Prefix // that the client's address has to lie in, if Bound
	Bound     bool         // there is a cdniip
	Renewal   *Renewal     // nil: the token asks for none
}

// Read reads them, with the keys for what is encrypted; nil if there are none. The
// error is one of the sentinels from [ErrVersion] to [ErrContainer], in this order, so
// that a token with several faults always gets the same one.
func Read(c *token.Claims, keys *Keys) (*Claims, error) { return nil, ErrContainer }

// Renewal says how the next token of a chain is made (RFC 9246 section 3).
type Renewal struct {
	Extension time.Duration // cdniets: how long the next token is valid, from the verification on
	Transport int           // cdnistt: how it reaches the client, [InCookie] or [InQuery]
	Depth     int           // cdnistd: how many segments of the path its cookie is for
}

// The values of [Renewal.Transport].
const (
	InCookie = 1
	InQuery  = 2
)

// CookiePath returns the Path of the cookie for a token that came with this escaped
// path: its first segments, as many as Depth says. It is not ok if the path has fewer,
// and then no token may be made (RFC 9246 section 2.1.14).
func (r *Renewal) CookiePath(escapedPath string) (path string, ok bool) { return "", false }
