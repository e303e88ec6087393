package cdni

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Claims are what RFC 9246 adds to a token that has verified.
type Claims struct {
	Container *Container
	Subject   string       // decrypted; "" if there is none
	Client    netip.Prefix // that the client's address has to lie in, if Bound; masked
	Bound     bool         // there is a cdniip
	Renewal   *Renewal     // nil: the token asks for none
}

// Read reads them, with the keys for what is encrypted; nil if there are none. The
// error is one of the sentinels from [ErrVersion] to [ErrContainer], in this order, so
// that a token with several faults always gets the same one.
//
// No extension is understood, so a token with cdnicrit is always refused: what may stand
// in it is only what extensions have defined. A subject that is not encrypted, or for a
// key that is not there, is refused, too: it cannot be told from one that was forged.
func Read(c *token.Claims, keys *Keys) (*Claims, error) {
	read := new(Claims)
	if raw, present := c.Raw("cdniv"); present && string(raw) != "1" {
		return nil, &refusal{ErrVersion, "cdniv is not 1"}
	}
	if c.Has("cdnicrit") {
		return nil, &refusal{ErrCritical, "cdnicrit asks for claims that are not understood"}
	}
	if c.Has("sub") {
		var ok bool
		if read.Subject, ok = keys.decrypt(c.Subject); !ok {
			return nil, &refusal{ErrSubject, "sub is no JWE in compact form for a key that is known"}
		}
	}
	if read.Bound = c.Has("cdniip"); read.Bound {
		encrypted, _ := c.String("cdniip")
		text, ok := keys.decrypt(encrypted)
		if !ok {
			return nil, &refusal{ErrClientIP, "cdniip is no JWE in compact form for a key that is known"}
		}
		if read.Client, ok = prefixOf(text); !ok {
			return nil, &refusal{ErrClientIP, "cdniip holds neither an address nor a range"}
		}
	}
	var err error
	if read.Renewal, err = readRenewal(c); err != nil {
		return nil, err
	}
	cdniuc, ok := c.String("cdniuc")
	if !ok {
		return nil, &refusal{ErrContainer, "cdniuc is missing, or no string"}
	}
	if read.Container, err = ParseContainer(cdniuc); err != nil {
		return nil, err
	}
	return read, nil
}

// prefixOf reads an address or a range in CIDR notation. Appendix A.2 has a range in
// brackets.
func prefixOf(text string) (prefix netip.Prefix, ok bool) {
	if inside, bracketed := strings.CutPrefix(text, "["); bracketed {
		address, length, closed := strings.Cut(inside, "]")
		if !closed || length != "" && length[0] != '/' {
			return netip.Prefix{}, false
		}
		text = address + length
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err == nil && !prefix.Addr().Is4In6() // which would hold no IPv4 address
}

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

// maxExtension is the most seconds of a cdniets, as far as any exp can lie ahead.
const maxExtension = 1 << 33

func readRenewal(c *token.Claims) (*Renewal, error) {
	seconds, hasExtension := c.Raw("cdniets")
	transport, hasTransport := c.Raw("cdnistt")
	if hasExtension != hasTransport {
		return nil, &refusal{ErrRenewal, "of cdniets and cdnistt only one is there"}
	}
	r := new(Renewal)
	if depth, present := c.Raw("cdnistd"); present {
		n, err := strconv.ParseUint(string(depth), 10, 31)
		if err != nil {
			return nil, &refusal{ErrRenewal, "cdnistd is not a whole number from 0 on"}
		}
		r.Depth = int(n)
	}
	if !hasTransport {
		return nil, nil
	}
	extension, err := strconv.ParseFloat(string(seconds), 64)
	if err != nil || extension < 0 || extension >= maxExtension {
		return nil, &refusal{ErrRenewal, "cdniets is not a number of seconds"}
	}
	r.Extension = time.Duration(extension * float64(time.Second))
	switch string(transport) {
	case "0": // no renewal
		return nil, nil
	case "1":
		r.Transport = InCookie
	case "2":
		r.Transport = InQuery
	default:
		return nil, &refusal{ErrRenewal, "cdnistt is none of 0, 1 and 2"}
	}
	if r.Extension <= 0 {
		return nil, &refusal{ErrRenewal, "cdniets is 0, and the next token would never be valid"}
	}
	return r, nil
}

// CookiePath returns the Path of the cookie for a token that came with this escaped
// path, from which the token has been taken: its first segments, as many as Depth says.
// It is not ok if the path has fewer, and then no token may be made (RFC 9246 section
// 2.1.14), or if a cookie cannot have the Path, because a semicolon would end it.
func (r *Renewal) CookiePath(escapedPath string) (path string, ok bool) {
	if r.Depth == 0 {
		return "/", true
	}
	segments := strings.Split(escapedPath, "/")
	if segments[0] != "" || len(segments)-1 < r.Depth {
		return "", false
	}
	path = strings.Join(segments[:r.Depth+1], "/")
	unfit := func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ';' }
	return path, !strings.ContainsFunc(path, unfit)
}
