package downloadtoken

import (
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/downloads"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// follow begins to count what this request sends of the download that its grant continues.
func (v *visit) follow() {
	if v.download == nil && v.grant != nil {
		v.download = v.h.app.Follow(v.h.storeName(), v.grant, v.about(), v.h.now())
	}
}

// about is what the report of a download says of its token.
func (v *visit) about() downloads.Report {
	return downloads.Report{
		Fingerprint: v.fingerprint.String(),
		Path:        token.Redact(v.path),
		Subject:     token.Redact(v.user()),
	}
}

// account counts what the request has delivered. A one-time download that no other
// request can continue ends with it.
func (v *visit) account() {
	sent := v.answer.Bytes()
	if sent > 0 {
		delivered.Add(float64(sent))
	}
	if v.download == nil && !v.spent || v.writes {
		return
	}
	answer, now := downloads.Answer{Sent: sent, Size: -1, Whole: v.whole}, v.h.now()
	if v.answer.Sent() {
		answer.First, answer.Size = response.Extent(v.answer.Status(), v.w.Header())
	}
	if v.download != nil {
		v.download.Leave(answer, v.grant.Left() <= 0, now)
		return
	}
	v.h.app.Delivered(downloads.Single(v.about(), answer, now.Sub(v.began)))
}

// tellDelivered tells what became of a one-time download. The line has the only value of
// a claim that is ever logged: who the token was for, because that is what it is read for.
func (h *Handler) tellDelivered(r downloads.Report) {
	h.logger.Info("delivered",
		zap.String("fingerprint", r.Fingerprint),
		zap.String("path", r.Path),
		zap.String("sub", r.Subject),
		zap.Int64("bytes_sent", r.Sent),
		zap.Int64("bytes_distinct", r.Distinct),
		zap.Bool("complete", r.Complete),
		zap.Duration("duration", r.Duration))
	if h.emits(eventDelivered) {
		h.emit(eventDelivered, map[string]any{
			"fingerprint": r.Fingerprint, "path": r.Path, "sub": r.Subject,
			"bytes_sent": r.Sent, "bytes_distinct": r.Distinct,
			"complete": r.Complete, "duration": r.Duration.Round(time.Millisecond).Seconds(),
		})
	}
}
