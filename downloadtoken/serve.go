package downloadtoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// serve lets the next handlers answer. Their answer goes out through the gate.
func (v *visit) serve(next caddyhttp.Handler) error {
	d := v.delivery()
	d.Cookie = v.cookie()
	defer func() { // in a defer: what cannot be sent to its end ends in a panic
		if err := d.Meter().Broke(); err != nil {
			v.brokeOff(err)
		}
	}()
	return v.conclude(d, d.Serve(v.carrying(next)))
}

// delivery is what the next handlers write their answer to.
func (v *visit) delivery() *response.Delivery {
	v.issue()
	d := &v.answer
	d.Policy = v.policy()
	d.Gate = gate{v}
	d.InURL = v.source.Kind.InURL()
	d.Lifetime = v.token.Claims.ExpiresAt.Sub(v.judged)
	d.Spends = v.use != nil && v.grant == nil
	d.Writes = v.writes
	d.Renew = v.renewal()
	d.Begin(v.w, v.r)
	return d
}

// ask answers with the page, if the next handlers would serve something. What
// they answer otherwise, such as a redirect or 404, is the answer.
func (v *visit) ask(next caddyhttp.Handler) error {
	d := v.delivery()
	status, header, err := d.Probe(next)
	if status == 0 {
		return v.conclude(d, err)
	}
	outcomeAsked.Inc()
	page := confirm.Page{
		State:  "page",
		Status: http.StatusOK,
		Name:   confirm.FileName(header.Get("Content-Disposition"), v.path),
		Bytes:  -1,
	}
	if o := v.oneTime; o != nil {
		page.Uses, page.Press = o.uses, confirm.NewPress(v.page, v.judged)
	}
	if n, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil && n >= 0 && status < 300 {
		page.Bytes = n
	}
	v.h.answers.Vary(v.w.Header())
	return v.h.pages.Write(v.w, v.r, page)
}

// conclude counts what became of an accepted token, given the error that its
// delivery has returned, and sees to the answer if it is one.
func (v *visit) conclude(d *response.Delivery, err error) error {
	gone := errors.Is(v.r.Context().Err(), context.Canceled)
	switch {
	case d.Failed():
		outcomeFailed.Inc()
		v.h.logger.Error(d.Stopped().Error(),
			zap.String("fingerprint", v.fingerprint.String()),
			zap.String("authorised", token.Redact(v.path)),
			zap.String("path", token.Redact(v.r.URL.Path)))
		return v.showError(err)
	case d.Stopped() != nil:
		if errors.Is(err, rules.ErrBudget) {
			v.fields = budgetFields(v.grant)
		}
		return v.deny(err)
	case v.pageOnly && !v.ticket.Page && !d.Sent():
		// Not even that there is nothing.
		return v.deny(fmt.Errorf("%w: it may be written to and not read, and no download_token_upload behind has shown its page", errScope))
	case d.Unanswered():
		v.h.logger.Warn("no handler behind download_token has answered, so there is nothing to download; "+
			"add one that does, such as file_server",
			zap.String("fingerprint", v.fingerprint.String()),
			zap.String("path", token.Redact(v.path)))
		if !gone {
			outcomeFailed.Inc()
		}
		return nil
	case d.Sent() && (err == nil || gone) && d.Status() < http.StatusBadRequest:
		v.whole = err == nil && !gone
		if v.spent {
			outcomeSpent.Inc()
		} else {
			outcomeServed.Inc()
		}
		return err
	case gone:
		return err // whatever the next handlers say, the client did not wait for it
	case d.Sent() && err != nil, !d.Sent() && err == nil:
		outcomeFailed.Inc() // broken off
		return err
	}
	return v.notServed(d.Status(), err)
}

// brokeOff tells why a download broke off; of a budget that is used up, once for
// each grant.
func (v *visit) brokeOff(err error) {
	if !errors.Is(err, response.ErrBudget) {
		outcomeFailed.Inc()
		v.h.logger.Error("download broken off: the store failed",
			zap.String("fingerprint", v.fingerprint.String()),
			zap.Error(err))
		return
	}
	grant := v.grant
	if !grant.Exhausted() {
		return
	}
	outcomeRefused["budget"].Inc()
	line := "download broken off: as many bytes were sent as the grant allows"
	if v.oneTime.resume != nil {
		line += "; for clients that read here and there, write: resume <window> random"
	}
	v.h.logger.Info(line,
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
