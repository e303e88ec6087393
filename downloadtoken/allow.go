package downloadtoken

import (
	"context"
	"net/http"
	"slices"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// allow decides, once, whether the answer may go out: it must be for the file
// that was authorised. Then it spends the token.
func (d *delivery) allow() error {
	if d.stopped != nil {
		return d.stopped
	}
	switch {
	case !scope.Suffix(d.authorised, d.v.r.URL.Path):
		d.stopped = errOtherFile
	case d.v.opening == listingOnly && !d.mayBeSeen():
		d.stopped = errScope
	case d.meter != nil:
		d.stopped = d.continues()
	case d.spends():
		d.stopped = d.spend()
	}
	return d.stopped
}

// spend spends the token and opens a grant, if there is to be one.
func (d *delivery) spend() error {
	if err := context.Cause(d.v.r.Context()); err != nil {
		return err
	}
	if d.opener != nil && d.status == http.StatusPartialContent {
		if _, ok := bodyOf(d.status, d.Header()); !ok {
			return errPartial
		}
	}
	if err := d.spending.commit(d.v.r.Context()); err != nil {
		return err
	}
	if d.opener != nil {
		if grant := d.opener.open(d.status, d.Header(), d.v); grant != nil {
			body, _ := bodyOf(d.status, d.Header())
			d.meter = &meter{grant: grant, now: d.h.now, offset: body.offset}
		}
	}
	return nil
}

// continues checks that an answer from a grant is for the file that the grant
// was opened for. Answers without its bytes cost nothing.
func (d *delivery) continues() error {
	if d.status >= 300 {
		return nil
	}
	terms := d.meter.grant.Terms()
	body, ok := bodyOf(d.status, d.Header())
	if !ok || body.etag != terms.ETag || body.size != terms.Size {
		return nonce.ErrReplayed
	}
	d.meter.offset = body.offset
	return nil
}

// mayBeSeen reports whether the answer is one for whoever may only see the
// listing: the listing itself, a redirect or an error. A listing is known by what
// it says of itself, not by what it lacks: file_server's listings vary by Accept,
// in just this line. That there is no entity tag proves nothing, templates takes
// it away.
func (d *delivery) mayBeSeen() bool {
	if d.status >= 300 && d.status != http.StatusNotModified {
		return true
	}
	return slices.Contains(d.Header().Values("Vary"), "Accept, Accept-Encoding") && d.Header().Get("Etag") == ""
}
