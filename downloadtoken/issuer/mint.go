package issuer

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// errTooLarge: the token would be one that nobody accepts.
var errTooLarge = errors.New("token would be too large")

// minted is a token, and what the answer says about it.
type minted struct {
	text        string
	fingerprint token.Fingerprint
	issued      time.Time
	expires     time.Time // in whole seconds, as exp is
}

// minter makes tokens. It is not changed by use.
type minter struct {
	signer *signer
	claims []claim
	nonce  string // the claim that gets a random UUID; "" for none
	ttl    time.Duration
}

// mint signs a token for a request. [errClaim]: the request lacks something that
// the token must say. [errTooLarge]: the token would be longer than a server
// accepts.
func (m *minter) mint(repl *caddy.Replacer, now time.Time) (*minted, error) {
	issued := now.Truncate(time.Second)
	if m.nonce != "" {
		// So that a store can tell a token from those before a restart without
		// waiting for the next second. Some libraries that compare with whole
		// seconds take such an iat for one in the future, so only where it is needed.
		issued = now.Truncate(time.Millisecond)
	}
	expires := now.Add(m.ttl).Truncate(time.Second)
	payload, err := m.payload(repl, issued, expires)
	if err != nil {
		return nil, err
	}
	salt := ""
	if m.nonce == "" {
		// Or all who ask for the same within a second would get the same token, and
		// each of them could revoke it. The claims are those that were configured.
		salt = rand.Text()[:16]
	}
	header, err := json.Marshal(struct {
		Alg  string `json:"alg"`
		Typ  string `json:"typ"`
		Kid  string `json:"kid,omitzero"`
		Salt string `json:"salt,omitzero"`
	}{m.signer.public.Alg, "JWT", m.signer.public.ID, salt})
	if err != nil {
		return nil, err
	}
	encoding := base64.RawURLEncoding
	signed := encoding.EncodeToString(header) + "." + encoding.EncodeToString(payload)
	if len(signed) > token.MaxLength {
		return nil, errTooLarge // not worth a signature
	}
	signature, err := m.signer.sign(signed)
	if err != nil {
		return nil, err
	}
	text := signed + "." + encoding.EncodeToString(signature)
	if len(text) > token.MaxLength {
		return nil, errTooLarge
	}
	return &minted{text, token.FingerprintOf(text), issued, expires}, nil
}

// payload writes the claims, in the order of the configuration.
func (m *minter) payload(repl *caddy.Replacer, issued, expires time.Time) ([]byte, error) {
	var payload bytes.Buffer
	out := jsontext.NewEncoder(&payload)
	errs := []error{out.WriteToken(jsontext.BeginObject)}
	member := func(name string, value jsontext.Value) {
		errs = append(errs, out.WriteToken(jsontext.String(name)), out.WriteValue(value))
	}
	for i := range m.claims {
		value, err := m.claims[i].fill(repl)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", m.claims[i].name, err)
		}
		if value != nil {
			member(m.claims[i].name, value)
		}
	}
	if m.nonce != "" {
		member(m.nonce, jsontext.Value(`"`+randomUUID()+`"`))
	}
	if issued.Nanosecond() == 0 {
		member("iat", fmt.Appendf(nil, "%d", issued.Unix()))
	} else {
		member("iat", fmt.Appendf(nil, "%d.%03d", issued.Unix(), issued.Nanosecond()/int(time.Millisecond)))
	}
	member("exp", fmt.Appendf(nil, "%d", expires.Unix()))
	errs = append(errs, out.WriteToken(jsontext.EndObject))
	return bytes.TrimSpace(payload.Bytes()), errors.Join(errs...)
}

// randomUUID makes a UUID of version 4 (RFC 9562 section 5.4).
func randomUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
