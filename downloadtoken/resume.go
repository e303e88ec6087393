package downloadtoken

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/problem"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// errPartial: the first answer is a part of something that could not be
// resumed, so the whole has to be sent instead.
var errPartial = errors.New("download_token: a part of a file that cannot be resumed")

// grantKeys are what the grants of a use of a token are found by. The zero value
// of each is none.
type grantKeys struct {
	resume rules.GrantKey // of the whole window of resume
	press  rules.GrantKey // of the seconds after the button was pressed
}

func (k grantKeys) list() (keys []rules.GrantKey) {
	for _, key := range [...]rules.GrantKey{k.resume, k.press} {
		if key != (rules.GrantKey{}) {
			keys = append(keys, key)
		}
	}
	return keys
}

// grantKeys pins the grants to the path as it was judged: behind handle_path, files
// of several folders have one r.URL.Path.
func (o *oneTime) grantKeys(spent rules.Key, v *visit, judged string) (k grantKeys) {
	network := networkOf(problem.ClientIP(v.r))
	if o.resume != nil {
		client := network
		if o.resume.Roam {
			client = ""
		}
		k.resume = rules.NewGrantKey(spent, judged, client, "")
	}
	v.page = rules.NewGrantKey(spent, judged, network, "")
	if v.press != "" && isPress(v.press, v.page, v.now) {
		k.press = rules.NewGrantKey(spent, judged, network, v.press)
	}
	return k
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

// resume serves a request from a grant that an earlier one has opened.
func (h *Handler) resume(v *visit, grant store.Grant, next caddyhttp.Handler) error {
	d := h.newDelivery(v)
	d.grant = grant
	return d.serve(next)
}

// brokeOff tells why a download broke off; of a budget that is used up, once for
// each grant.
func (h *Handler) brokeOff(v *visit, m *meter) {
	if !errors.Is(m.broke, errBudget) {
		countOutcome("failed")
		h.logger.Error("download broken off: the store failed",
			zap.String("fingerprint", v.fingerprint.String()),
			zap.Error(m.broke))
		return
	}
	grant := m.grant
	if !grant.Exhausted() {
		return
	}
	countOutcome("budget")
	line := "download broken off: as many bytes were sent as the grant allows"
	if h.oneTime.resume != nil {
		line += "; for clients that read here and there, write: resume <window> random"
	}
	h.logger.Info(line,
		append(budgetFields(grant),
			zap.String("reason", "budget"),
			zap.String("fingerprint", v.fingerprint.String()),
			zap.String("path", token.Redact(v.path)),
			zap.String("client_ip", problem.ClientIP(v.r)))...)
}

// budgetFields say how much of a grant was used.
func budgetFields(grant store.Grant) []zap.Field {
	terms := grant.Terms()
	sent := terms.Budget() - grant.Left()
	return []zap.Field{
		zap.Int64("bytes_sent", sent),
		zap.Int64("file_size", terms.Size),
		zap.Float64("copies_sent", float64(sent*100/terms.Size)/100),
		zap.Int("copies", terms.Copies),
	}
}

// terms are those of the grant that this answer opens when it spends the token;
// nil if it opens none.
func (d *delivery) terms() *rules.Terms {
	keys, resume, now := d.v.grants, d.h.oneTime.resume, d.h.now()
	body, known := bodyOf(d.status, d.Header())
	t := rules.Terms{ETag: body.etag, Size: body.size, Begins: now}
	switch {
	case resume != nil && known:
		t.Key, t.Copies, t.Ends = keys.resume, resume.Copies, now.Add(time.Duration(resume.Window))
		if exp := d.v.token.Claims.ExpiresAt; exp.Before(t.Ends) {
			t.Ends = exp
		}
	case keys.press != rules.GrantKey{}:
		if !known { // then whole answers are counted, not bytes
			t.ETag, t.Size = "", 0
		}
		t.Key, t.Copies, t.Ends = keys.press, pressCopies, now.Add(pressWindow)
	default:
		return nil
	}
	return &t
}

// body is what an answer says about the file that it is (a part of).
type body struct {
	etag string
	size int64 // of the whole
	part int64 // of what this answer has of it
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
		b.part = b.size
	case http.StatusPartialContent:
		b.part, b.size, err = parseContentRange(header.Get("Content-Range"))
	default:
		return b, false
	}
	return b, err == nil && b.size > 0
}

// parseContentRange reads "bytes first-last/size" (RFC 9110 section 14.4): how many
// bytes of how many.
func parseContentRange(text string) (part, size int64, err error) {
	span, total, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 || !strings.HasPrefix(text, "bytes ") {
		return 0, 0, strconv.ErrSyntax
	}
	first, err := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	if err := errors.Join(err, err2, err3); err != nil {
		return 0, 0, err
	}
	if first < 0 || last < first || size <= last {
		return 0, 0, strconv.ErrRange
	}
	return last - first + 1, size, nil
}
