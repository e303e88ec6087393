package token

import (
	"encoding/base64"
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

// readHeader reads the first part. It must be a strict JSON object: duplicate
// members, at any depth, and lone surrogates are [ErrMalformed], and names are
// compared byte by byte. Any crit is [ErrCritical]: no extension is understood here,
// and an empty list is forbidden (RFC 7515 4.1.11).
func (s *scratch) readHeader(encoded string) (h joseHeader, err error) {
	header, ok := s.object(encoded)
	if !ok {
		return joseHeader{}, errHeader
	}
	if _, present := header.find("crit"); present {
		return joseHeader{}, ErrCritical
	}
	alg, _ := header.find("alg")
	if h.alg, ok = unquote(alg); !ok || h.alg == "" {
		return joseHeader{}, errHeaderType
	}
	if kid, present := header.find("kid"); present {
		if h.kid, ok = unquote(kid); !ok {
			return joseHeader{}, errHeaderType
		}
	}
	if typ, present := header.find("typ"); present {
		if h.typ, ok = unquote(typ); !ok {
			return joseHeader{}, errHeaderType
		}
	}
	return h, nil
}

// A headerMemory holds headers under which a signature has verified, by their text. It
// says what they mean, and nothing about keys. Headers that a client can make up never
// come in, and more than a few push each other out.
type headerMemory struct {
	headers [16]atomic.Pointer[knownHeader]
	next    atomic.Uint32
}

type knownHeader struct {
	encoded string
	joseHeader
}

// maxKnownBytes is more than headers have without certificates in them.
const maxKnownBytes = 512

func (m *headerMemory) find(encoded string) (joseHeader, bool) {
	for i := range m.headers {
		known := m.headers[i].Load()
		if known == nil {
			break
		}
		if known.encoded == encoded {
			return known.joseHeader, true
		}
	}
	return joseHeader{}, false
}

func (m *headerMemory) remember(encoded string, header joseHeader) {
	if len(encoded) <= maxKnownBytes {
		i := (m.next.Add(1) - 1) % uint32(len(m.headers))
		m.headers[i].Store(&knownHeader{strings.Clone(encoded), header})
	}
}
