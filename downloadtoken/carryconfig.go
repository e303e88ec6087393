package downloadtoken

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Carry hands the token of a link on to what the page, playlist or listing refers to
// that the link opens, and never more than the token: what is carried opens what the
// token opens, as long as the token does, and is judged as the token is. It takes effect
// for a token that came in the query.
type Carry struct {
	// If set, the token also becomes a cookie.
	Cookie *CarryCookie `json:"cookie,omitempty"`

	// If set, the URIs in HLS (RFC 8216) and DASH (ISO/IEC 23009-1) playlists get the
	// token.
	Playlists *CarryPlaylists `json:"playlists,omitempty"`

	// If set, the links in the listings of `file_server browse` get the token.
	Listings *CarryListings `json:"listings,omitempty"`
}

// CarryCookie makes a cookie of the token of each GET that is answered with 2xx, so that
// what a page refers to opens, whatever kind of page it is. The cookie is HttpOnly, for
// this host only, Secure if the request came over TLS, and expires when the token does.
// Its Path is the deepest one that holds everything that the token opens by the scope
// that opened the page, so that links to two folders live side by side; a newer token for
// the same folder replaces the older.
//
// A token in a place that is configured under `from` decides before the cookie. Of
// several cookies, the one with the longest Path decides, which browsers send first (RFC
// 6265 section 5.4).
//
// A cookie is not set with answers that shared caches may keep, which a site that sends
// its own Cache-Control allows; nor of a token of more than 3,800 bytes, since browsers
// drop it.
type CarryCookie struct {
	// The name of the cookie. Default: `download_token`.
	Name string `json:"name,omitempty"`

	// With which requests of other sites the cookie is sent: `strict`, with none; `lax`,
	// when a person follows a link; `none`, with all, which pages that are embedded in
	// another site need. With `none`, the cookie is Secure. Default: `lax`.
	SameSite string `json:"same_site,omitempty"`

	// Keep a cookie of its own for each site that embeds the page (CHIPS). The cookie is
	// Secure. Default: false.
	Partitioned bool `json:"partitioned,omitempty"`
}

// CarryPlaylists puts tokens into the URIs of HLS and DASH playlists that lead to this
// host and that the token opens; other URIs, and all else, stay as they are.
type CarryPlaylists struct {
	// If set, segments and what else is no playlist get short-lived tokens: this server
	// signs a copy of the token that is good for the folder of the segment only, and for
	// so long, and never longer than the token. A segment URL that is copied is then of no
	// use soon. Each playlist that is fetched has new ones; for a player that fetches its
	// playlist once, as of a film, so long must be enough to play it. At least 1s.
	// Default: not set, the token itself.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// The key that signs them, which must sign nothing else: tokens by it open nothing but
	// what `ttl` made them for. Required with `ttl`.
	SignKey *CarryKey `json:"sign_key,omitempty"`
}

// CarryKey is a key that signs short-lived tokens.
type CarryKey struct {
	// The signature algorithm (RFC 7518 section 3.1). HS256 is the fastest, and since no
	// other server verifies the tokens, the others are worth no more.
	Alg string `json:"alg"`

	// For HS*: the secret, as text, or as `base64:` and the encoded bytes; 32 bytes or
	// more. For the others: the private key in PEM. Global placeholders such as
	// `{env.CARRY_SECRET}` are replaced at load.
	Key string `json:"key"`
}

// CarryListings puts the token into the links of a listing, in HTML or JSON, that lead
// to this host and that the token opens.
type CarryListings struct {
	// Leave out the entries that the token does not open, also of a token that came in a
	// header or cookie. A listing that cannot be read for that, or has more than 4 MiB, is
	// answered with 500. Default: false, they are shown, and lead to a refusal.
	Only bool `json:"only,omitempty"`
}

var sameSites = map[string]http.SameSite{
	"": http.SameSiteLaxMode, "lax": http.SameSiteLaxMode, "none": http.SameSiteNoneMode, "strict": http.SameSiteStrictMode,
}

// check finds what does not belong together. c may be nil.
func (c *Carry) check(h *Handler) error {
	switch {
	case c == nil:
		return nil
	case *c == Carry{}:
		return errors.New("carry: write what carries the token: cookie, playlists or listings")
	case !slices.ContainsFunc(h.sources, func(s token.Source) bool { return s.Kind == token.Query }):
		return errors.New("carry: carries tokens that come in the query, but no source is one; " +
			"add from query download_token, or remove carry: a token in a header or cookie comes along by itself")
	case h.OneTime != nil && h.OneTime.Per != "path":
		return errors.New("carry: with one_time, a token is used up by the page, and nothing that the page refers to could open; " +
			"write per path into a block of one_time, so that each file can be opened once, or remove one_time or carry")
	}
	if err := c.Cookie.check(h.From); err != nil {
		return err
	}
	return c.Playlists.check(h.OneTime != nil)
}

func (c *CarryCookie) check(from []Source) error {
	if c == nil {
		return nil
	}
	if c.Name == "" {
		c.Name = DefaultQuery
	}
	switch _, known := sameSites[c.SameSite]; {
	case !httpguts.ValidHeaderFieldName(c.Name):
		return fmt.Errorf("carry cookie: '%s' is not a valid name; write letters, digits and hyphens, such as: carry cookie access", c.Name)
	case len(c.Name) >= len(hostPrefix) && strings.EqualFold(c.Name[:len(hostPrefix)], hostPrefix):
		return fmt.Errorf("carry cookie: browsers keep no cookie '%s' with a Path, and each folder has one of its own; "+
			"leave out the prefix %s", c.Name, hostPrefix)
	case !known:
		return fmt.Errorf("carry cookie: same_site is lax, none or strict, not '%s'", c.SameSite)
	case slices.ContainsFunc(from, func(s Source) bool { return s.In == string(token.Cookie) && slices.Contains(s.Name, c.Name) }):
		return fmt.Errorf("carry cookie: from cookie has the name %s too, and they could not be told apart; "+
			"write another, such as: carry cookie carried", c.Name)
	}
	return nil
}

// hostPrefix begins the names of cookies that must have the Path / (RFC 6265bis section
// 4.1.3.2).
const hostPrefix = "__Host-"

func (c *CarryPlaylists) check(oneTime bool) error {
	switch {
	case c == nil || c.TTL == 0 && c.SignKey == nil:
		return nil
	case c.SignKey == nil:
		return errors.New("carry playlists: ttl needs a key that signs the short-lived tokens and nothing else; " +
			"add a line such as: sign_key HS256 {env.CARRY_SECRET}")
	case c.TTL == 0:
		return errors.New("carry playlists: sign_key signs short-lived tokens, but how long they live is missing; " +
			"add a line such as: ttl 60s")
	case time.Duration(c.TTL) < time.Second:
		return errors.New("carry playlists: ttl must be at least 1s, such as: ttl 60s")
	case oneTime:
		return errors.New("carry playlists: with one_time, a segment can be opened once anyway, " +
			"and two tokens for it could not be counted as one; remove ttl and sign_key, or one_time")
	}
	return nil
}
