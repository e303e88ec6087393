package downloadtoken

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

// errPartial: the first answer is a part of something that could not be
// resumed, so the whole has to be sent instead.
var errPartial = errors.New("download_token: a part of a file that cannot be resumed")

// grantKey is what the grant of this use is found by.
func (o *oneTime) grantKey(token nonce.Key, v *visit) nonce.GrantKey {
	client := ""
	if o.resume != nil && !o.resume.Roam {
		client = networkOf(clientIP(v.r))
	}
	return nonce.NewGrantKey(token, v.path, client)
}

// networkOf is what stays the same of a client's address: all of IPv4, and the
// /64 of IPv6, in which clients change their address at will (RFC 8981).
func networkOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	network, _ := addr.Prefix(64) // always fits
	return network.String()
}

// findGrant looks for an open grant.
func (o *oneTime) findGrant(store HeldStore, key nonce.GrantKey, now time.Time) (*nonce.Grant, bool) {
	if o.resume == nil {
		return nil, false
	}
	return store.Grants().Find(key, now)
}

// resume serves a request from a grant that an earlier one has opened.
func (h *Handler) resume(v *visit, grant *nonce.Grant, next caddyhttp.Handler) error {
	if err := grant.Join(v.r.Context(), v.now); err != nil {
		return h.deny(v, err)
	}
	defer grant.Leave()
	h.publish(v)
	d := h.newDelivery(v)
	d.meter = &meter{grant: grant, now: h.now}
	return d.serve(next)
}

// opener opens a grant when a token is spent.
type opener struct {
	grants *nonce.Grants
	key    nonce.GrantKey
	resume *Resume
	opened *nonce.Grant
}

// open opens the grant for an answer whose token has just been spent. nil: the
// answer cannot be resumed.
func (o *opener) open(status int, header http.Header, v *visit) *nonce.Grant {
	body, ok := bodyOf(status, header)
	if !ok {
		return nil
	}
	ends := v.now.Add(time.Duration(o.resume.Window))
	if exp := v.token.Claims.ExpiresAt; exp.Before(ends) {
		ends = exp
	}
	o.opened = o.grants.Open(o.key, nonce.Terms{ETag: body.etag, Size: body.size, Copies: o.resume.Copies, Ends: ends}, v.now)
	return o.opened
}

func (o *opener) leave() {
	if o.opened != nil {
		o.opened.Leave()
	}
}

// body is what an answer says about the file that it is (a part of).
type body struct {
	etag   string
	size   int64
	offset int64 // of the first byte of this answer
}

// bodyOf reads it out of the header; ok is false without a strong entity tag or
// a size.
func bodyOf(status int, header http.Header) (b body, ok bool) {
	b.etag = header.Get("Etag")
	if !strings.HasPrefix(b.etag, `"`) { // W/ is weak (RFC 9110 section 8.8.3)
		return b, false
	}
	var err error
	switch status {
	case http.StatusOK:
		b.size, err = strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	case http.StatusPartialContent:
		b.offset, b.size, err = parseContentRange(header.Get("Content-Range"))
	default:
		return b, false
	}
	return b, err == nil && b.size > 0
}

// parseContentRange reads "bytes first-last/size" (RFC 9110 section 14.4).
func parseContentRange(text string) (first, size int64, err error) {
	span, total, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	from, _, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 || !strings.HasPrefix(text, "bytes ") {
		return 0, 0, strconv.ErrSyntax
	}
	if first, err = strconv.ParseInt(from, 10, 64); err != nil {
		return 0, 0, err
	}
	size, err = strconv.ParseInt(total, 10, 64)
	if err == nil && (first < 0 || first >= size) {
		err = strconv.ErrRange
	}
	return first, size, err
}
