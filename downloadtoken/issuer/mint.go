package issuer

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

// minted is a token, and what the answer says about it.
type minted struct {
	text        string
	fingerprint token.Fingerprint
	issued      time.Time
	expires     time.Time // in whole seconds, as exp is
}

// minter makes tokens. It is not changed by use.
type minter struct {
	signer *sign.Signer
	claims []claim
	nonce  string // the claim that gets a random UUID; "" for none
	ttl    time.Duration
}

// mint signs a token for a request. [errClaim]: the request lacks something that
// the token must say. [token.ErrTooLarge]: the token would be longer than a server
// accepts.
func (m *minter) mint(repl *caddy.Replacer, now time.Time) (*minted, error) {
	var said sign.Claims
	for i := range m.claims {
		value, err := m.claims[i].fill(repl)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", m.claims[i].name, err)
		}
		if value != nil {
			said.Set(m.claims[i].name, value)
		}
	}
	precision := time.Second
	if m.nonce != "" {
		said.Nonce(m.nonce)
		precision = time.Millisecond // only where a store needs it
	} else {
		// Or all users who ask for the same within a second would get the same token, and
		// each could revoke it. A salt in the header leaves the claims as configured.
		said.Salt()
	}
	issued, expires := said.Stamp(now, m.ttl, precision)
	text, err := m.signer.Sign("JWT", &said)
	if err != nil {
		return nil, err
	}
	return &minted{text, token.FingerprintOf(text), issued, expires}, nil
}
