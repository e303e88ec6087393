package downloadtoken

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
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
	case d.v.opening == scopes.ListingOnly && !d.mayBeSeen():
		d.stopped = errScope
	case d.grant != nil:
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
	terms := d.terms()
	if (terms == nil || terms.Size == 0) && d.status == http.StatusPartialContent && d.h.oneTime.resume != nil {
		return errPartial
	}
	grant, err := d.spending.commit(d.v.r.Context(), terms)
	if err != nil {
		return err
	}
	if terms == nil {
		d.spending.use.Release() // there will be no grant to wait for
	}
	if grant != nil && terms.Size > 0 {
		d.meter = &meter{ctx: d.v.r.Context(), grant: grant}
	}
	return nil
}

// continues checks that an answer from a grant is for the file that the grant
// was opened for, and that there is enough left for it. Answers without its bytes
// cost nothing.
func (d *delivery) continues() error {
	if d.status >= 300 {
		return nil
	}
	terms := d.grant.Terms()
	if terms.Size == 0 {
		return nil // whole answers are counted, and this one was
	}
	body, ok := bodyOf(d.status, d.Header())
	if !ok || body.etag != terms.ETag || body.size != terms.Size {
		return rules.ErrReplayed
	}
	m := &meter{ctx: d.v.r.Context(), grant: d.grant}
	if body.part > d.grant.Left() && !isOpenEnded(d.v.r.Header) {
		return rules.ErrBudget
	}
	if err := m.prepay(body.part); err != nil {
		return err
	}
	d.meter = m
	return nil
}

// isOpenEnded reports whether a range goes to the end of the file. Whoever asks
// for that often wants less, and breaks off.
func isOpenEnded(header http.Header) bool {
	return strings.HasSuffix(strings.TrimSpace(header.Get("Range")), "-")
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
