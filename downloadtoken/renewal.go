package downloadtoken

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
)

// A token that asks for it is renewed with each answer (RFC 9246 section 3): the client
// gets a copy of it that ends cdniets seconds after the token was verified, and with which
// it opens the next segment. A copy is judged as its parent is, see [children], so that
// the signer, which is part of what the store remembers a jti by, stays the same, and so
// does the fingerprint: what revokes the token ends its chain.
//
// The store forgets a used jti when the token that used it can be used no more. With a
// chain, that is when the chain has ended, and so a token that can be used once has a
// chain that ends: maxChain after its own exp. For the store, all tokens of the chain
// expire then.

// maxChain is for how long a token with a jti is renewed past its own exp.
const maxChain = 12 * time.Hour

// The header of renewed tokens.
const (
	renewedTyp = "renewed+jwt"
	renewedKid = "renewed"
)

// provisionRenewal reads the key that renews tokens. The cookie is the last source.
func (h *Handler) provisionRenewal(trusted []*token.Key) (err error) {
	if h.profile == nil {
		return nil
	}
	h.sources = append(h.sources, token.Source{Kind: token.Carried, Name: h.profile.attribute})
	key := h.Profile.Renew
	if key == nil {
		return nil
	}
	h.profile.renewals, err = h.newChildren("profile: renew", &key.CarryKey, renewedTyp, cmp.Or(key.KeyID, renewedKid), trusted)
	return err
}

// chains tells the store that chains are remembered. What was used before there was a key
// to renew with is not remembered for so long. p may be nil.
func (p *profile) chains(o *oneTime) {
	if p != nil && p.renewals != nil {
		o.chains = true
		o.policy += " renewed"
	}
}

// asksRenewal reports whether the token asks for its renewal, and there is a key for it.
func (v *visit) asksRenewal() bool {
	return v.uri != nil && v.uri.claims.Renewal != nil && v.h.profile.renewals != nil
}

// chainEnd is when the last token expires that a token can be renewed to that can be used
// once.
func (v *visit) chainEnd() time.Time {
	if v.uri.chain.IsZero() {
		return v.token.Claims.ExpiresAt.Truncate(time.Second).Add(maxChain)
	}
	return v.uri.chain
}

// prolong has the store remember what a token has used until its chain has ended.
func (v *visit) prolong(p *rules.Presentation) {
	if !v.asksRenewal() {
		return
	}
	p.Expires = v.chainEnd()
	if p.MaxTTL > 0 {
		p.MaxTTL += maxChain
	}
}

// renewal is what renews the token with an answer; nil if it is not to be renewed.
func (v *visit) renewal() func(status int, header http.Header) {
	if v.uri == nil || v.uri.claims.Renewal == nil || v.past {
		return nil
	}
	if v.h.profile.renewals == nil {
		v.unrenewed("there is no key for it; write renew and a key into profile", nil)
		return nil
	}
	return v.renew
}

func (v *visit) renew(status int, header http.Header) {
	name := v.h.profile.attribute
	switch r := v.uri.claims.Renewal; r.Transport {
	case cdni.InCookie:
		escaped, _, _ := strings.Cut(v.uri.target.RequestURI, "?")
		path, ok := r.CookiePath(token.StripPath(escaped, []string{name}))
		if !ok {
			return
		}
		text, expires := v.next()
		if text == "" {
			return
		}
		cookie := &http.Cookie{Name: name, Value: text, Path: path, Expires: expires, HttpOnly: true}
		if v.uri.target.Scheme == "https" { // players are on pages of other sites
			cookie.Secure, cookie.SameSite = true, http.SameSiteNoneMode
		}
		header.Add("Set-Cookie", cookie.String())
	case cdni.InQuery:
		to, err := url.Parse(header.Get("Location"))
		if status < 300 || err != nil || !v.isElsewhere(to) {
			return
		}
		text, _ := v.next()
		if text == "" {
			return
		}
		to.RawQuery = strings.TrimPrefix(token.StripQuery(to.RawQuery, []string{name})+"&"+name+"="+text, "&")
		header.Set("Location", to.String())
	}
}

// isElsewhere reports whether a redirect leads to another host, to which no cookie would
// come along.
func (v *visit) isElsewhere(to *url.URL) bool {
	here := url.URL{Host: v.uri.target.Host}
	return to.Host != "" && (to.Scheme == "" || to.Scheme == "http" || to.Scheme == "https") &&
		!strings.EqualFold(to.Hostname(), here.Hostname())
}

// next signs the next token of the chain; "" if the chain ends here, or the token would
// not be accepted.
func (v *visit) next() (text string, expires time.Time) {
	earlier := func(limit time.Time) {
		if limit.Before(expires) {
			expires = limit
		}
	}
	expires = v.judged.Add(v.uri.claims.Renewal.Extension)
	from := parentage{Folder: "/"}
	if v.oneTime != nil {
		earlier(v.chainEnd())
		from.Until = v.chainEnd().Unix()
	}
	if limit := v.h.rules.MaxTTL; limit > 0 {
		earlier(v.judged.Add(limit))
		if issued := v.token.Claims.IssuedAt; !issued.IsZero() {
			earlier(issued.Add(limit))
		}
	}
	if expires = expires.Truncate(time.Second); !expires.After(v.judged) {
		return "", expires
	}
	text, err := v.h.profile.renewals.copy(v.token, from, jsontext.Value(strconv.FormatInt(expires.Unix(), 10)))
	if err == nil && len(text) > maxCarried {
		text, err = "", fmt.Errorf("browsers drop cookies of more than %d bytes; make shorter tokens", maxCarried)
	}
	if err != nil {
		v.unrenewed("it is too long", err)
	}
	return text, expires
}

// unrenewed warns, once, that a token is not renewed.
func (v *visit) unrenewed(why string, err error) {
	v.h.profile.unrenewed.Do(func() {
		v.h.logger.Warn("a token that asks for its renewal is not renewed: "+why,
			zap.String("fingerprint", v.fingerprint.String()), zap.Error(err))
	})
}
