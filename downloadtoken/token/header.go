package token

import (
	"encoding/base64"
	"maps"
	"strings"
	"sync/atomic"
)

// base64url refuses set bits after the last byte, of which each pattern would be
// another spelling of the same token.
var base64url = base64.RawURLEncoding.Strict()

// A joseHeader is what we read of the header (RFC 7515 4.1). What it does not hold
// is ignored: jku, x5u, jwk and x5c would let the token choose its own key, and b64
// means something only together with crit (RFC 7797 6), which is refused.
type joseHeader struct {
	alg, kid, typ string
}

// parseHeader decodes the first part. It must be a strict JSON object: duplicate
// members, at any depth, and lone surrogates are [ErrMalformed], and names are
// compared byte by byte. Any crit is [ErrCritical]: no extension is understood here,
// and an empty list is forbidden (RFC 7515 4.1.11).
func parseHeader(encoded string) (h joseHeader, err error) {
	var o object
	if !o.parse(encoded) {
		return joseHeader{}, errHeader
	}
	if _, ok := o.member("crit"); ok {
		return joseHeader{}, ErrCritical
	}
	alg, _ := o.member("alg")
	kid, hasKid := o.member("kid")
	typ, hasTyp := o.member("typ")
	ok := false
	if h.alg, ok = textOf(alg); !ok || h.alg == "" {
		return joseHeader{}, errHeaderType
	}
	if h.kid, ok = textOf(kid); !ok && hasKid {
		return joseHeader{}, errHeaderType
	}
	if h.typ, ok = textOf(typ); !ok && hasTyp {
		return joseHeader{}, errHeaderType
	}
	return h, nil
}

// headers remembers what headers say, by their text, so that the few that a signer
// writes are read once. One enters when a signature under it has verified, so a forger
// cannot fill it; and it says nothing about keys, which are looked up each time.
type headers struct {
	known atomic.Pointer[map[string]joseHeader] // never changed, only replaced
}

// maxHeaders is how many are remembered; the rest are read each time.
const maxHeaders = 64

// read is parseHeader with a memory. known tells whether it was remembered.
func (h *headers) read(encoded string) (header joseHeader, known bool, err error) {
	if remembered := h.known.Load(); remembered != nil {
		if header, known = (*remembered)[encoded]; known {
			return header, true, nil
		}
	}
	header, err = parseHeader(encoded)
	return header, false, err
}

// remember keeps a header under which a signature has verified.
func (h *headers) remember(encoded string, header joseHeader) {
	before := h.known.Load()
	after := make(map[string]joseHeader)
	if before != nil {
		if len(*before) >= maxHeaders {
			return
		}
		maps.Copy(after, *before)
	}
	after[strings.Clone(encoded)] = header // the text would keep its whole token
	h.known.CompareAndSwap(before, &after) // if another was faster, this one comes again
}
