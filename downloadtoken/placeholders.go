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
	p := new(placeholders)
	repl.Map(p.value)
	return p
}

func replacerOf(v *visit) *caddy.Replacer {
	return v.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// publish sets the placeholders that describe an accepted token. Only
// {http.auth.user.id} is shared with other handlers, so an earlier one keeps it.
func (v *visit) publish() {
	p := v.placeholders()
	p.accepted, p.reason, p.fingerprint = v, "", v.fingerprint
	user := v.token.Claims.Subject
	if user == "" {
		user, _ = v.token.Claims.String("user")
	}
	repl := replacerOf(v)
	if id, _ := repl.GetString("http.auth.user.id"); id == "" && user != "" {
		repl.Set("http.auth.user.id", user)
	}
}

// refuse sets the placeholders that a refused token has.
func (p *placeholders) refuse(v *visit, reason string) {
	p.reason, p.fingerprint = reason, v.fingerprint
}

// value looks a placeholder up, for [caddy.Replacer.Map].
func (p *placeholders) value(name string) (any, bool) {
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
		return p.fingerprint.String(), true
	}
	if p.accepted == nil {
		return nil, false
	}
	claims := &p.accepted.token.Claims
	switch name {
	case "sub":
		return claims.Subject, true
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
	return nil, false
}
