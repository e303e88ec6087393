package downloadtoken

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/internal/carry"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// carrying is next, with tokens in the playlists and listings that it answers with. What a
// listing leaves out does not depend on where the token came from.
func (v *visit) carrying(next caddyhttp.Handler) caddyhttp.Handler {
	c := v.h.carrier
	listings := c != nil && c.Listings != nil && (c.Listings.Only || v.carries())
	playlists := v.carries() && c.Playlists != nil
	if !playlists && !listings || v.errand != nil {
		return next
	}
	links, ok := v.links()
	if !ok && !(listings && c.Listings.Only) {
		return next
	}
	var rules []carry.Rule
	if playlists && ok {
		rules = append(rules, carry.Playlists(links))
	}
	if listings {
		rules = append(rules, v.listings(links, c.Listings.Only))
	}
	return carry.Rewrite(next, rules...)
}

// links puts the token into references to what it opens. Not ok: it is not known which
// paths of clients those are.
func (v *visit) links() (l *carry.Links, ok bool) {
	asked := &v.answer.Asked.URL
	m, ok := mountOf(asked, v.h.PathPrefix+v.path)
	if !ok {
		return nil, false
	}
	page := &url.URL{Scheme: "http", Host: v.r.Host, Path: asked.Path, RawPath: asked.RawPath}
	if v.r.TLS != nil {
		page.Scheme = "https"
	}
	copies := make(map[string]string) // by folder
	return &carry.Links{
		Page: page,
		Name: v.source.Name,
		Opens: func(u *url.URL) bool {
			path, err := scope.Path(u)
			if err != nil {
				return false
			}
			judged, ok := m.of(path)
			return ok && v.opens(reading(http.MethodGet, judged), judged) != scopes.Closed
		},
		Token: func(u *url.URL, index bool) string {
			if !v.carries() {
				return "" // it comes along by itself
			}
			if index || v.h.carrier.children == nil {
				return v.text
			}
			judged, _ := m.of(u.Path)
			folder := judged[:strings.LastIndexByte(judged, '/')+1]
			if _, made := copies[folder]; !made && len(copies) < maxCopied {
				copies[folder] = v.copyFor(folder)
			}
			return copies[folder]
		},
	}, true
}

// maxCopied is for how many folders a playlist has copies of the token, since each costs a
// signature. Segments in more are left as they are.
const maxCopied = 256

// copyFor is a short-lived copy of the token for a folder; "" if none can be made.
func (v *visit) copyFor(folder string) string {
	text, err := v.h.carrier.children.copyFor(folder, v.token, v.judged.Add(time.Duration(v.h.carrier.Playlists.TTL)))
	if err != nil {
		v.h.carrier.tooLong.Do(func() {
			v.h.logger.Warn("carry playlists: no short-lived copy of a token can be made, so its playlists are left as they are; "+
				"make shorter tokens", zap.String("fingerprint", v.fingerprint.String()), zap.Error(err))
		})
	}
	return text
}

// listings is the rule for the listings of folders. Without links, none of which something
// is to be left out goes out.
func (v *visit) listings(links *carry.Links, only bool) carry.Rule {
	return func(status int, header http.Header) (func([]byte) []byte, bool) {
		if !response.IsListing(status, header) {
			return nil, false
		}
		var rewrite func([]byte, *carry.Links, bool) []byte
		switch mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type")); mediaType {
		case "text/html":
			rewrite = carry.ListingHTML
		case "application/json":
			rewrite = carry.ListingJSON
		case "text/plain":
			if !only {
				return nil, false
			}
			rewrite = func(body []byte, l *carry.Links, _ bool) []byte { return carry.ListingText(body, l) }
		case "": // 304: it is asked for again
			return func(body []byte) []byte { return body }, only
		default:
			return nil, false
		}
		return func(body []byte) []byte {
			v.listing = true // which its new entity tag hides
			if links == nil {
				return nil
			}
			return rewrite(body, links, only)
		}, only
	}
}
