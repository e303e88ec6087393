package downloadtoken

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// gate decides whether the answer to a visit may go out, when all is known of it but
// its body.
type gate struct{ v *visit }

// Admit spends the token, or checks that the answer continues the download that a
// grant was opened for. See [response.Gate].
func (g gate) Admit(status int, header http.Header) (*response.Meter, error) {
	v := g.v
	switch {
	case v.ticket != nil && v.ticket.Page && !v.writes:
		return nil, nil // nothing that is stored: nothing is spent on it
	case v.pageOnly:
		return nil, errScope
	case v.opening == scopes.ListingOnly && !v.listing && !response.IsListing(status, header):
		return nil, errScope
	case v.grant != nil:
		return v.resume(status, header)
	case v.use != nil && status < 300:
		return v.spend(status, header)
	}
	return nil, nil
}

// spend spends the token and opens a grant, if there is to be one.
func (v *visit) spend(status int, header http.Header) (*response.Meter, error) {
	if v.writes {
		return nil, v.commit(nil) // even if the client has gone: it is done
	}
	if err := context.Cause(v.r.Context()); err != nil {
		return nil, err
	}
	terms := v.terms(status, header)
	if (terms == nil || terms.Size == 0) && status == http.StatusPartialContent && v.oneTime.resume != nil {
		return nil, response.ErrPartial
	}
	if err := v.commit(terms); err != nil {
		return nil, err
	}
	if terms == nil {
		v.use.Release() // there will be no grant to wait for
	}
	if v.grant == nil || terms.Size == 0 {
		return nil, nil
	}
	return response.NewMeter(v.r.Context(), v.grant), nil
}

// resume checks that an answer from a grant is for the file that the grant was opened
// for, and that there is enough left for it. Answers without its bytes cost nothing.
func (v *visit) resume(status int, header http.Header) (*response.Meter, error) {
	terms := v.grant.Terms()
	if status >= 300 || terms.Size == 0 { // then whole answers are counted, and this one was
		return nil, nil
	}
	body, ok := response.BodyOf(status, header)
	if !ok || body.ETag != terms.ETag || body.Size != terms.Size {
		return nil, rules.ErrReplayed
	}
	if body.Part > v.grant.Left() && !response.IsOpenEnded(v.r.Header) {
		return nil, rules.ErrBudget
	}
	m := response.NewMeter(v.r.Context(), v.grant)
	if err := m.Prepay(body.Part); errors.Is(err, response.ErrBudget) {
		return nil, rules.ErrBudget
	} else if err != nil {
		return nil, err
	}
	return m, nil
}

// terms are those of the grant that this answer opens when it spends the token;
// nil if it opens none.
func (v *visit) terms(status int, header http.Header) *rules.Terms {
	keys, resume := v.keys, v.oneTime.resume
	if resume == nil && (keys.press == rules.GrantKey{}) {
		return nil
	}
	now := v.h.now()
	body, known := response.BodyOf(status, header)
	switch {
	case resume != nil && known:
		ends := now.Add(time.Duration(resume.Window))
		if exp := v.token.Claims.ExpiresAt; !resume.PastExp && exp.Before(ends) {
			ends = exp
		}
		return &rules.Terms{Key: keys.resume, ETag: body.ETag, Size: body.Size, Copies: resume.Copies, Begins: now, Ends: ends}
	case keys.press != rules.GrantKey{}:
		if !known { // then whole answers are counted, not bytes
			body.ETag, body.Size = "", 0
		}
		return &rules.Terms{
			Key: keys.press, ETag: body.ETag, Size: body.Size, Copies: confirm.PressCopies,
			Begins: now, Ends: now.Add(confirm.PressWindow),
		}
	}
	return nil
}
