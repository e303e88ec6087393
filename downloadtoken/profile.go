package downloadtoken

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
)

// ProfileRFC9246 is the only profile that there is.
const ProfileRFC9246 = "rfc9246"

// Profile has the tokens be those of a standard: RFC 9246, URI Signing for Content
// Delivery Network Interconnection. What a token opens is then the URI container in its
// claim `cdniuc`, and nothing else; there are no `scope` lines, and no `from` lines either.
//
// The container is compared with the URI that the client asked for, before any rewrite,
// and has to match the whole of it. A token with a `jti` can be used once for each path,
// as with [OneTime] and `per` set to `path`, which may be configured besides, to let
// downloads be resumed. A token that has an `iss` needs one that is configured. Stricter
// than the standard, `exp` is required.
//
// Refusals are answered with 403 unless [Status] says otherwise. The access log gets the
// fields `s-uri-signing` and `s-uri-signing-deny-reason` of RFC 9246 section 4.5.
type Profile struct {
	// The standard: `rfc9246`.
	Name string `json:"name"`

	// The name of the package attribute, under which the token is looked for: in the
	// query, in the path (RFC 6570 section 3.2.7), and in a cookie. Letters, digits, dots,
	// hyphens and underscores. Default: `URISigningPackage`.
	Attribute string `json:"attribute,omitempty"`

	// The keys for what is encrypted in a token, `sub` and `cdniip`. A token that has one
	// of these claims, and none of the keys fits, is refused. Default: none.
	Decrypt []DecryptKey `json:"decrypt,omitempty"`

	// The key that signs what a token is renewed to (RFC 9246 section 3). It must sign
	// nothing else. A token that asks for its renewal, by `cdniets` and `cdnistt`, is
	// served without being renewed if there is none. Default: none.
	Renew *RenewKey `json:"renew,omitempty"`
}

// DecryptKey is a key for JSON Web Encryption (RFC 7516).
type DecryptKey struct {
	// How the content key is found, and the only way in which this key is used (RFC 7518
	// section 4.1): dir, A128KW, A256KW, RSA-OAEP-256 or ECDH-ES.
	Alg string `json:"alg"`

	// A JSON Web Key, a private key in PEM or, for dir and the key wraps, `base64:` and
	// the encoded bytes. Placeholders that are known when the configuration is loaded are
	// replaced, such as `{env.CDNI_SECRET}` and `{file./etc/caddy/cdni.jwk}`.
	Key string `json:"key"`

	// The `kid` of what it decrypts. Default: any, or that of the JSON Web Key.
	KeyID string `json:"kid,omitempty"`
}

// RenewKey is a key that signs renewed tokens.
type RenewKey struct {
	CarryKey

	// The `kid` of the tokens. Default: `renewed`.
	KeyID string `json:"kid,omitempty"`
}

// profile is [Profile], ready for use.
type profile struct {
	attribute string
	keys      *cdni.Keys
	renewals  *children       // nil: nothing is renewed
	unrenewed sync.Once       // for the warning
	answers   response.Policy // to tokens that can be used again
}

// provisionProfile checks what belongs together, and sets the defaults that the profile
// has for other settings.
func (h *Handler) provisionProfile() error {
	p := h.Profile
	if p == nil {
		return nil
	}
	if p.Attribute == "" {
		p.Attribute = cdni.Attribute
	}
	switch {
	case p.Name != ProfileRFC9246:
		return fmt.Errorf("profile: there is no '%s'; write %s", p.Name, ProfileRFC9246)
	case !plainName.MatchString(p.Attribute):
		return fmt.Errorf("profile: attribute '%s' is not a name; write letters and digits, such as: attribute %s", p.Attribute, cdni.Attribute)
	case len(h.From) > 0: // what is taken out of the URI for the container, and out of the request, must be the same
		return errors.New("from: with profile rfc9246 the token is under the package attribute, in the query, the path or a cookie; " +
			"remove the from lines, and for another name than URISigningPackage write attribute into profile")
	case len(h.ScopeRaw) > 0:
		return errors.New("scope: with profile rfc9246 a token opens what its claim cdniuc says and nothing else; remove the scope lines")
	case h.Leeway > 0:
		return errors.New("leeway: RFC 9246 sections 2.1.4 and 2.1.5 allow none; remove it, and keep the clocks in step")
	case h.Carry != nil:
		return errors.New("carry: with profile rfc9246 a token is carried on by its renewal; remove carry, write renew and a key into profile, " +
			"and make tokens with cdniets and cdnistt")
	}
	for _, kind := range []token.Kind{token.Query, token.Path} {
		h.From = append(h.From, Source{In: string(kind), Name: []string{p.Attribute}})
	}
	if h.OneTime == nil {
		h.OneTime = new(OneTime)
	}
	o := h.OneTime
	if len(o.Claim) > 0 && !slices.Equal(o.Claim, []string{"jti"}) {
		return errors.New("one_time: with profile rfc9246 the nonce is in jti; leave out the names of claims")
	}
	o.Claim, o.profiled = []string{"jti"}, true
	if o.Per == "" {
		o.Per = "path"
	}
	h.profile = &profile{attribute: p.Attribute}
	var err error
	h.profile.keys, err = p.decrypters()
	return err
}

// decrypters reads the keys for what is encrypted.
func (p *Profile) decrypters() (*cdni.Keys, error) {
	var keys []cdni.Key
	for i, configured := range p.Decrypt {
		material, err := trust.Material(configured.Key)
		if err != nil {
			return nil, fmt.Errorf("profile: decrypt %d: %w", i+1, err)
		}
		keys = append(keys, cdni.Key{Alg: configured.Alg, ID: configured.KeyID, Secret: material})
	}
	read, err := cdni.NewKeys(keys...)
	if err != nil {
		return nil, fmt.Errorf("profile: decrypt: %w", err)
	}
	return read, nil
}

// signedURI is what a profile adds to a visit.
type signedURI struct {
	target  cdni.Target  // what the client asked for
	claims  *cdni.Claims // of the token, once it has been judged
	chain   time.Time    // until when at most the token is renewed, if it was; see renewal.go
	refused string       // the reason; "": it was not
}

// signedURI begins with what the request asks for; nil without a profile.
func (h *Handler) signedURI(r *http.Request) *signedURI {
	if h.profile == nil {
		return nil
	}
	return &signedURI{target: targetOf(r)}
}

// targetOf is what the client asked for, before any rewrite and with the package in it.
func targetOf(r *http.Request) cdni.Target {
	t := cdni.Target{Scheme: "http", Host: r.Host, RequestURI: r.RequestURI}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		t.RequestURI = original.RequestURI
	}
	// In absolute form nothing but a scheme stands in front: net/http takes x:/a?b://c/d for the path /a.
	if scheme, rest, absolute := strings.Cut(t.RequestURI, "://"); absolute && !strings.ContainsAny(scheme, "/?") {
		t.RequestURI = strings.TrimLeftFunc(rest, func(c rune) bool { return c != '/' && c != '?' })
	}
	if strings.Contains(t.Host, "%") { // the container's is decoded, and what Caddy takes for the site of this one is not
		t.Host = ""
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	if r.TLS != nil || trusted && r.Header.Get("X-Forwarded-Proto") == "https" {
		t.Scheme = "https"
	}
	return t
}

// checkTarget sees that the path that the client asked for is canonical, as that of the
// request is. A rewrite in front may have removed dot segments and doubled slashes, but not
// as the container's URI does: /a/b//../c is /a/c to Caddy and /a/b/c to RFC 3986.
func (v *visit) checkTarget() error {
	if v.h.profile == nil {
		return nil
	}
	escaped, _, _ := strings.Cut(v.uri.target.RequestURI, "?")
	escaped = token.StripPath(escaped, []string{v.h.profile.attribute})
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return fmt.Errorf("%w: it cannot be decoded", scope.ErrPath)
	}
	_, err = scope.Path(&url.URL{Path: path, RawPath: escaped})
	return err
}

// oneTimeFor is how the token can be used once; nil if it can be used as often as one
// likes, which with a profile the token decides.
func (h *Handler) oneTimeFor(t *token.Token) *oneTime {
	if h.profile != nil && !t.Claims.Has("jti") {
		return nil
	}
	return h.oneTime
}

// readProfile reads what the profile adds to a token that is acceptable otherwise.
func (v *visit) readProfile() (err error) {
	h, t := v.h, v.token
	switch {
	case v.uri == nil:
		return nil
	case t.Claims.Has("iss") && len(h.Issuer) == 0 && t.Key.Issuer == "": // RFC 9246 section 2.1.1
		return errUnsupportedIssuer
	}
	v.uri.claims, err = cdni.Read(&t.Claims, h.profile.keys)
	return err
}

var errUnsupportedIssuer = fmt.Errorf("%w: there is an iss, but no issuer is configured", token.ErrIssuer)

// contains is the one scope that there is with a profile: whether the path is that of the
// request, and the container of the token matches what the client asked for.
func (v *visit) contains(path string) scopes.Opening {
	if path != v.h.PathPrefix+v.path {
		return scopes.Closed
	}
	if uri, err := v.uri.target.URI(v.h.profile.attribute); err == nil && v.uri.claims.Container.Matches(uri) {
		return scopes.Open
	}
	return scopes.Closed
}

// bound reports whether the token is bound to other addresses by the profile.
func (v *visit) bound() bool {
	if v.uri == nil || !v.uri.claims.Bound {
		return false
	}
	client, err := netip.ParseAddr(problem.ClientIP(v.r))
	return err != nil || !v.uri.claims.Client.Contains(client.Unmap().WithZone(""))
}

// subject is whom the token is for; "" if it does not say.
func (v *visit) subject() string {
	if v.uri != nil {
		return v.uri.claims.Subject
	}
	return v.token.Claims.Subject
}
