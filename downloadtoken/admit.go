package downloadtoken

import (
	"context"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
)

// admit asks the store: is the token revoked, and, if it can be used once, is it
// unused? It reserves the token, or joins the grant that an earlier request has
// opened with it. From here to the end of the request the store stays open.
func (v *visit) admit() error {
	h, ctx := v.h, v.r.Context()
	if err := h.store.Hold(ctx); err != nil {
		return err
	}
	v.held = true
	if err := v.again(); err != nil {
		return err
	}
	v.asks = v.wantsPage() && !v.pageOnly
	if v.oneTime != nil {
		return v.admitOnce()
	}
	if err := h.store.Revoked(ctx, v.revocable, v.judged); err != nil {
		return err
	}
	if v.writes { // it may not be what its sender wants, or come twice
		if err := unasked(v.r); err != nil {
			return err
		}
	}
	if v.unpressed {
		return confirm.ErrUnconfirmed
	}
	return nil
}

// wantsPage reports whether the request is to be answered with the page that asks.
func (v *visit) wantsPage() bool {
	c := v.h.Confirm
	if c == nil || v.confirmed || v.r.Method != http.MethodGet {
		return false
	}
	return c.Always || v.r.Header.Get("Range") == "" && confirm.AcceptsHTML(v.r.Header)
}

// admitOnce is admit for a token that can be used once. HEAD and the page look and
// leave no trace; only a browser that has been asked, or a client that is not one,
// may use the token, though every client may join an open grant.
func (v *visit) admitOnce() error {
	h, ctx := v.h, v.r.Context()
	q, err := v.oneTime.query(v)
	if err != nil {
		return err
	}
	if v.past {
		if err := v.stillOpen(q); err != nil {
			return err
		}
	}
	dropUnresumable(v.r.Header, v.oneTime.resume != nil)
	if v.leavesNoTrace() {
		_, err := v.look(q)
		return err
	}
	if err := unasked(v.r); err != nil {
		return err
	}
	mustJoin := v.asks || v.unpressed
	if mustJoin {
		joins, err := v.look(q)
		if err == nil && v.unpressed && !joins {
			err = confirm.ErrUnconfirmed
		}
		if err != nil || !joins {
			return err
		}
		v.asks = false
	}
	if v.use, err = h.store.Admit(ctx, q, h.now); err != nil {
		return err
	}
	if err := v.again(); err != nil {
		return err
	}
	v.grant = v.use.Grant()
	open := v.grant != nil && v.grant.Terms().IsOpen(v.judged)
	switch {
	case v.past && !open:
		return token.ErrExpired // since it was looked for, or since exp has come
	case v.grant != nil && !open:
		return rules.ErrReplayed // its window has ended meanwhile
	case open:
		v.follow()
		return nil
	case mustJoin:
		return confirm.ErrUnconfirmed // the grant has just ended
	case v.oneTime.onRequest:
		return v.commit(nil)
	}
	return nil
}

// look asks the store without a trace whether the token may be used. joins: an open
// grant would be joined.
func (v *visit) look(q store.Query) (joins bool, err error) {
	open, err := v.h.store.Look(v.r.Context(), q, v.h.now)
	if err == nil {
		err = v.again()
	}
	if err == nil && open == nil && v.past {
		err = token.ErrExpired
	}
	return open != nil, err
}

// commit spends the token, durably where the store is durable, and opens a grant if
// there are terms for one.
func (v *visit) commit(terms *rules.Terms) error {
	if v.spent && terms == nil {
		return nil
	}
	// A client that goes away while the store is at work must not leave it half done.
	grant, err := v.use.Commit(context.WithoutCancel(v.r.Context()), terms)
	if err != nil {
		return err
	}
	v.grant = grant
	if !v.spent {
		v.spent, v.began = true, v.h.now()
		v.h.app.NoteSpent(v.fingerprint, v.began)
		if line := v.h.logger.Check(zap.InfoLevel, "token spent"); line != nil {
			line.Write(
				zap.String("fingerprint", v.fingerprint.String()),
				zap.String("path", token.Redact(v.path)),
				zap.String("client_ip", problem.ClientIP(v.r)))
		}
		if v.h.emits(eventSpent) {
			v.h.emit(eventSpent, map[string]any{
				"fingerprint": v.fingerprint.String(), "path": token.Redact(v.path), "client_ip": problem.ClientIP(v.r),
			})
		}
	}
	v.follow()
	return nil
}

// dropUnresumable takes out of the request what would make parts that do not
// belong together, or a part that spends the whole.
func dropUnresumable(header http.Header, resume bool) {
	header.Del("Accept-Encoding") // it is chosen anew for every request
	if !resume || strings.Contains(header.Get("Range"), ",") || len(header.Values("Range")) > 1 {
		header.Del("Range")
		header.Del("If-Range")
	}
}
