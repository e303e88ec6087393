package downloadtoken

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// placeholders are the values that this package gives to a request's placeholders.
// They are computed when they are asked for. A request has one of them, though it may
// come past several directives: the last one counts.
type placeholders struct {
	accepted    *visit
	user        string // of the first token that was accepted and has one
	reason      string
	fingerprint token.Fingerprint
}

// All placeholders begin with placeholderPrefix. ownPlaceholders is how the
// placeholders of an earlier directive are found; it is no name that a configuration
// can use.
const (
	placeholderPrefix = "http.download_token."
	ownPlaceholders   = placeholderPrefix + "\x00"
)

// placeholders are those of the request.
func (v *visit) placeholders() *placeholders {
	repl := replacerOf(v)
	if earlier, ok := repl.Get(ownPlaceholders); ok {
		if p, ok := earlier.(*placeholders); ok {
			return p
		}
	}
	repl.Map(v.own.value)
	return &v.own
}

func replacerOf(v *visit) *caddy.Replacer {
	return v.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// publish sets the placeholders that describe an accepted token.
func (v *visit) publish() {
	p := v.placeholders()
	p.accepted, p.reason, p.fingerprint = v, "", v.fingerprint
	if p.user == "" {
		p.user = v.user()
	}
}

// user is who the token is for; "" if it does not say.
func (v *visit) user() string {
	if subject := v.subject(); subject != "" {
		return subject
	}
	user, _ := v.token.Claims.String("user")
	return user
}

// refuse sets the placeholders that a refused token has.
func (p *placeholders) refuse(v *visit, reason string) {
	p.reason, p.fingerprint = reason, v.fingerprint
}

// userID is shared with the handlers that authenticate. What they set wins.
const userID = "http.auth.user.id"

// value looks a placeholder up, for [caddy.Replacer.Map].
func (p *placeholders) value(name string) (any, bool) {
	if name == userID {
		return p.user, p.user != ""
	}
	name, ours := strings.CutPrefix(name, placeholderPrefix)
	if !ours {
		return nil, false
	}
	switch name {
	case "\x00":
		return p, true
	case "reason":
		return p.reason, true
	case "fingerprint":
		if p.fingerprint == (token.Fingerprint{}) { // there was no token, and there need not be one
			return "", true
		}
		return p.fingerprint.String(), true
	}
	if p.accepted == nil {
		return nil, false
	}
	claims := &p.accepted.token.Claims
	switch name {
	case "sub":
		return p.accepted.subject(), true
	case "nonce":
		return p.accepted.nonce, true
	case "scope":
		text, _ := claims.String("scope")
		return text, true
	case "issuer":
		return claims.Issuer, true
	case "expires":
		return claims.ExpiresAt.UTC().Format(time.RFC3339), true
	}
	if name, ok := strings.CutPrefix(name, "claim."); ok {
		return scalar(claims, name)
	}
	return nil, false
}

// scalar is a claim that is a string, a number or a boolean, as text.
func scalar(claims *token.Claims, name string) (any, bool) {
	if text, ok := claims.String(name); ok {
		return text, true
	}
	raw, _ := claims.Raw(name)
	switch raw.Kind() {
	case '0', 't', 'f':
		return string(raw), true
	}
	return nil, false
}
