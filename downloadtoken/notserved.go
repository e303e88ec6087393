package downloadtoken

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
)

// What a person is told whose token was accepted, and who got an error of the site
// instead of the file. Nothing is said about the link: it depends on the store whether
// it still works, and that was not asked.
const (
	toldNoFile    told = "no_file"
	toldSiteError told = "site_error"
)

// notServed is for an accepted token that the next handlers have answered with an
// error: a status of theirs, or err, with nothing sent. It leaves the only line by
// which the link can be found, since Caddy logs a 404 at level DEBUG.
func (v *visit) notServed(status int, err error) error {
	if err != nil {
		status = statusOf(err)
	}
	if isMissing(status) {
		outcomeNotFound.Inc()
	} else {
		outcomeSiteError.Inc()
	}
	v.h.logger.Info("not served",
		zap.Int("status", status),
		zap.String("fingerprint", v.fingerprint.String()),
		zap.String("path", token.Redact(v.path)),
		zap.String("client_ip", problem.ClientIP(v.r)))
	return v.showError(err)
}

// isMissing reports whether the site has no such file.
func isMissing(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// statusOf is the status that Caddy gives an error.
func statusOf(err error) int {
	if failure, ok := errors.AsType[caddyhttp.HandlerError](err); ok && failure.StatusCode != 0 {
		return failure.StatusCode
	}
	return http.StatusInternalServerError
}

// showError answers a person with a page, because a browser's own would show the
// whole link. Programs, and error routes of the site, get the error.
func (v *visit) showError(err error) error {
	status := http.StatusInternalServerError
	if err != nil {
		status = statusOf(err)
	}
	if err == nil || status < http.StatusBadRequest || v.r.Method != http.MethodGet ||
		!confirm.AcceptsHTML(v.r.Header) || problem.HasErrorRoute(v.r, err) {
		return err
	}
	if status >= http.StatusInternalServerError { // Caddy would have logged it
		v.h.logger.Error("the site failed", zap.Int("status", status), zap.String("error", v.withoutClaims(token.Redact(err.Error()))))
	}
	told := toldSiteError
	if isMissing(status) {
		told = toldNoFile
	}
	return v.show(told, status)
}

// show answers with a page that says why there is no file.
func (v *visit) show(t told, status int) error {
	page := confirm.Page{State: string(t), Status: status}
	if v.fingerprint != (token.Fingerprint{}) {
		page.Reference = v.fingerprint.String()
	}
	if t == toldExpired && v.token != nil { // there is none before its signature is verified
		page.Ends = v.token.Claims.ExpiresAt
	}
	return v.h.pages.Write(v.w, v.r, page)
}

// withoutClaims puts the names of placeholders in the place of the values that
// publish gave to the site: an error may quote them, such as the name of an upstream
// that is made of one. Of values that begin the same, the longest counts. What is
// shorter than three bytes stands in any text by chance.
func (v *visit) withoutClaims(text string) string {
	names := []string{"http.download_token.nonce", "http.download_token.scope", "http.download_token.sub", "http.download_token.issuer", userID}
	for _, claim := range v.token.Claims.Names() {
		names = append(names, placeholderPrefix+"claim."+claim)
	}
	var quoted [][2]string
	for _, name := range names {
		if value, _ := replacerOf(v).GetString(name); len(value) > 2 {
			quoted = append(quoted, [2]string{value, "{" + name + "}"})
		}
	}
	slices.SortStableFunc(quoted, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	var pairs []string
	for _, pair := range quoted {
		pairs = append(pairs, pair[:]...)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
