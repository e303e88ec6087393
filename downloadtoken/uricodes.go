package downloadtoken

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// signedURIs counts by what RFC 9246 sections 4.5 and 6.4 have in logs.
var signedURIs = metrics.Counters("uri_signing_total",
	"Requests judged with profile rfc9246, by the code that RFC 9246 has for the result.", "code")

// The fields of RFC 9246 section 4.5.
const (
	fieldCode   = "s-uri-signing"
	fieldReason = "s-uri-signing-deny-reason"
)

// uriCode is a code as logs have it.
func uriCode(reason string) string { return fmt.Sprintf("%03d", cdni.Code(reason)) }

// noteRefusal has the lines about the request say for which code of RFC 9246 it was
// refused.
func (v *visit) noteRefusal(d *denial) {
	if v.uri == nil {
		return
	}
	v.uri.refused = d.reason
	v.fields = append(v.fields, zap.String(fieldCode, uriCode(d.reason)), zap.String(fieldReason, d.reason))
}

// noteCode counts the request, and completes its line in the access log, when it ends.
func (v *visit) noteCode() {
	if v.uri == nil {
		return
	}
	reason := v.uri.refused
	if v.passes {
		reason = "missing" // so nothing was verified
	}
	code := uriCode(reason)
	signedURIs.WithLabelValues(code).Inc()
	fields, ok := v.r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	fields.Set(zap.String(fieldCode, code))
	if v.uri.refused != "" {
		fields.Set(zap.String(fieldReason, v.uri.refused))
	}
}

// provisionCodes has each code stand at zero.
func (p *profile) provisionCodes() {
	signedURIs.WithLabelValues(uriCode(""))
	for _, reason := range Reasons() {
		signedURIs.WithLabelValues(uriCode(reason))
	}
}

// statuses are the configured ones and, in the last place, those of the profile, by which
// every 401 is a 403 (RFC 9246 sections 1.3 and 3). p may be nil.
func (p *profile) statuses(configured []Status) []Status {
	if p == nil {
		return configured
	}
	return append(configured[:len(configured):len(configured)], Status{Code: http.StatusForbidden})
}

// policy is how answers go out. A token that can be used again leaves nothing behind that
// must not be kept.
func (v *visit) policy() *response.Policy {
	if v.uri != nil && v.oneTime == nil {
		return &v.h.profile.answers
	}
	return &v.h.answers
}
