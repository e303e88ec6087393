package downloadtoken

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// carrier is [Carry], ready for use.
type carrier struct {
	*Carry
	children *children // nil: none are made
	tooLong  sync.Once // for the warning
}

// provisionCarry checks the settings. The cookie is the last source.
func (h *Handler) provisionCarry() error {
	if err := h.Carry.check(h); err != nil || h.Carry == nil {
		return err
	}
	h.carrier = &carrier{Carry: h.Carry}
	if c := h.Carry.Cookie; c != nil {
		h.sources = append(h.sources, token.Source{Kind: token.Carried, Name: c.Name})
	}
	return nil
}

// carries reports whether the token of the request is to be carried over to anything. One
// that has expired would open nothing.
func (v *visit) carries() bool {
	return v.h.carrier != nil && v.source.Kind == token.Query && !v.past
}

// maxCarried is how long a token may be that becomes a cookie. Browsers keep 4,096 bytes
// of the name and the value (RFC 6265bis section 5.6), some of the attributes as well.
const maxCarried = 3800

// cookie is Set-Cookie by which the token comes along with the requests for what the
// answer refers to; "" if it is not to.
func (v *visit) cookie() string {
	if !v.carries() || v.h.carrier.Cookie == nil || v.r.Method != http.MethodGet || v.within != "" {
		return ""
	}
	if len(v.text) > maxCarried {
		v.h.carrier.tooLong.Do(func() {
			v.h.logger.Warn(fmt.Sprintf("carry cookie: a token of %d bytes was not made a cookie, because browsers drop it; "+
				"make tokens of at most %d bytes", len(v.text), maxCarried), zap.String("fingerprint", v.fingerprint.String()))
		})
		return ""
	}
	c := v.h.carrier.Cookie
	sameSite := sameSites[c.SameSite]
	return (&http.Cookie{
		Name:        c.Name,
		Value:       v.text,
		Path:        v.cookiePath(),
		Expires:     v.token.Claims.ExpiresAt,
		HttpOnly:    true,
		SameSite:    sameSite,
		Partitioned: c.Partitioned,
		// Browsers drop the others of these without it.
		Secure: v.r.TLS != nil || sameSite == http.SameSiteNoneMode || c.Partitioned,
	}).String()
}

// cookiePath is the deepest path, as the client spells it, that holds everything that
// the token opens by the scope that has opened this request.
func (v *visit) cookiePath() string {
	asked := &v.answer.Asked.URL
	judged := v.h.PathPrefix + v.path
	m, ok := mountOf(asked, judged)
	if !ok {
		return "/"
	}
	depth := strings.Count(m.client, "/")
	if below := strings.Count(v.base(judged), "/") - strings.Count(m.judged, "/"); below > 0 {
		depth += below
	}
	path := scope.First(asked.EscapedPath(), depth)
	if i := strings.IndexByte(path, ';'); i >= 0 { // which would end it
		path = path[:strings.LastIndexByte(path[:i], '/')]
	}
	return cmp.Or(path, "/")
}

// base is where everything is that the token opens by the scope that opens the path.
func (v *visit) base(path string) string {
	q := scopes.Query{Token: v.token, Path: path, Operation: reading(http.MethodGet, path), From: v.source, Request: v.r}
	for _, s := range v.h.scopes {
		if s.Opens(q) != v.opening {
			continue
		}
		if based, ok := s.(scopes.Based); ok {
			return based.Base(q)
		}
		break
	}
	return ""
}

// mount is where the paths of clients are among those that scopes are asked about: what
// one and the other have in front of what they have in common.
type mount struct{ client, judged string }

// mountOf compares what was asked for with the path that was judged. Not ok: a rewrite
// has made so different a path of it that nothing can be said of others.
func mountOf(asked *url.URL, judged string) (m mount, ok bool) {
	path, err := scope.Path(asked)
	if err != nil {
		return m, false
	}
	inClient, inJudged := strings.LastIndexByte(path, '/')+1, strings.LastIndexByte(judged, '/')+1
	if name := path[inClient:]; name != "" && name != judged[inJudged:] { // "": an index file
		return m, false
	}
	same := 0
	for n := 1; n <= min(inClient, inJudged) && path[inClient-n] == judged[inJudged-n]; n++ {
		if path[inClient-n] == '/' {
			same = n
		}
	}
	return mount{path[:inClient-same], judged[:inJudged-same]}, true
}

// of is the path that scopes are asked about when a client asks for this one, which
// is a result of [scope.Path].
func (m mount) of(path string) (judged string, ok bool) {
	rest, ok := strings.CutPrefix(path, m.client)
	return m.judged + rest, ok && strings.HasPrefix(rest, "/")
}
