// Package verification is the part of the configuration that says which tokens
// are believed, by which keys and by which rules. The handlers that verify
// tokens share it, so that one Caddyfile snippet fits them all.
package verification

import "github.com/caddyserver/caddy/v2"

// Config says which tokens are believed. Its members stand in the configuration
// of the handlers that embed it, next to their own.
type Config struct {
	// The keys that may have signed a token. At least one is required, here or in
	// a set.
	Key []TrustedKey `json:"key,omitempty"`

	// Sets of further keys, which are kept up to date.
	JWKS []JWKS `json:"jwks,omitempty"`

	// Accepted issuers (`iss`). If empty, any issuer is accepted whose
	// signature one of the keys verifies.
	Issuer []string `json:"issuer,omitempty"`

	// Accepted audiences (`aud`); one in common is enough. If empty, a token
	// that has an audience is refused, because it was meant for another site
	// (RFC 7519 section 4.1.3).
	Audience []string `json:"audience,omitempty"`

	// Accepted values of the JOSE header `typ` (RFC 8725 section 3.11), compared
	// without case and without the prefix `application/`. Use it when the same
	// key signs other kinds of token too. Default: any.
	HeaderTyp []string `json:"header_typ,omitempty"`

	// Claims that must be present, or equal to one of the given values.
	Require []Requirement `json:"require,omitempty"`

	// The longest life of a token: `exp` less `iat`, or less the current time if
	// it has no `iat`. Default: not limited. A short limit bounds what a leaked
	// link is worth. Required for one-time tokens, unless `iat` is among the
	// required claims.
	MaxTTL caddy.Duration `json:"max_ttl,omitempty"`

	// How far the clocks of issuer and server may differ when `exp` and `nbf` are
	// judged. The `iat` of a one-time token must never lie in the future. Default: 0.
	Leeway caddy.Duration `json:"leeway,omitempty"`
}

// TrustedKey is a key that may have signed a token.
type TrustedKey struct {
	// The signature algorithm (RFC 7518 section 3.1), and the only one this key
	// is used with: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384,
	// PS512, ES256, ES384, ES512 or EdDSA.
	Alg string `json:"alg"`

	// For HS*: the secret, as text, or as `base64:` and the encoded bytes; 32
	// bytes or more. For the others: the public key or X.509 certificate in PEM.
	//
	// Placeholders that are known when the configuration is loaded are
	// replaced, so the key need not stand in the configuration:
	// `{env.DOWNLOAD_SECRET}`, `{file./etc/caddy/download.pem}`. Prefer that: the
	// configuration can be read through the admin API, and the key is not shown.
	Key string `json:"key"`

	// The key's ID. A token that names a `kid` is verified with that key only, a
	// token without one only with keys that have none.
	KeyID string `json:"kid,omitempty"`

	// Binds the key to an issuer: it verifies only tokens whose `iss` is this,
	// and such tokens are verified with no other key. Default: not bound.
	Issuer string `json:"issuer,omitempty"`
}

// JWKS is a set of keys (RFC 7517 section 5) that is read again from time to
// time. It is loaded in the background: neither loading the configuration nor
// `caddy validate` waits for the network. While it cannot be read, the keys that
// were read last are used. A token with an unknown `kid` makes it be read at
// once, as often as its limits allow.
type JWKS struct {
	// An https URL, or the absolute path of a file. http is accepted for
	// localhost only, because a person who can change the answer can make tokens.
	Location string `json:"location"`

	// Binds all keys of the set to an issuer, as with `key`. Default: not bound.
	Issuer string `json:"issuer,omitempty"`

	// The algorithms of keys that name none. Default: the one algorithm that
	// fits an elliptic-curve key; RSA keys that name none are not used.
	Alg []string `json:"alg,omitempty"`

	// How often the set is read, and so how long a key that was removed from it is
	// still used. At least 10s. Default: 15m.
	Refresh caddy.Duration `json:"refresh,omitempty"`
}

// Requirement is a claim that a token must have.
type Requirement struct {
	// The name of the claim, case-sensitive.
	Claim string `json:"claim"`

	// The values of which the claim must equal one; if the claim is an array, one
	// of its elements. Default: any value but null.
	Values []string `json:"values,omitempty"`
}
