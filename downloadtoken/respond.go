package downloadtoken

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// refusal is a denial as this directive answers it. What is the same each time is
// made at load.
type refusal struct {
	status     int
	challenges []string // WWW-Authenticate
	allow      string
	retryAfter string
	document   *problem.Document // for programs
	unstored   *problem.Document // for those that send a file; nil: the same
	outcome    prometheus.Counter
}

// provisionRefusals makes the answers to all denials.
func (h *Handler) provisionRefusals() (err error) {
	statuses := statusesOf(h.profile.statuses(h.Status))
	h.refusals = make(map[*denial]*refusal, len(denials))
	for _, d := range denials {
		f := &refusal{status: cmp.Or(statuses[d], d.status)}
		f.challenges = h.challenges(d, f.status)
		f.outcome = outcomeRefused[d.reason]
		if f.document, err = problem.NewDocument(f.status, string(d.told), confirm.Detail(string(d.told))); err != nil {
			return err
		}
		if d.err == errScope {
			if f.unstored, err = problem.NewDocument(f.status, string(d.told), confirm.UploadDetail("forbidden")); err != nil {
				return err
			}
		}
		switch {
		case f.status == http.StatusMethodNotAllowed:
			f.allow = h.methods()
		case d.told == toldInUse, d.told == toldReloaded, d.told == toldSoon:
			f.retryAfter = "1"
		case d == unavailable:
			f.retryAfter = "5"
		}
		h.refusals[d] = f
	}
	return nil
}

// deny refuses the request for the reason that err stands for. It answers, or
// returns an error if the server has an error route that will.
func (v *visit) deny(err error) error {
	err = v.refusal(err)
	d := denialOf(err)
	f := v.h.refusals[d]
	if v.fingerprint == (token.Fingerprint{}) { // it was not verified
		v.fingerprint = token.FingerprintOf(v.text)
	}
	v.placeholders().refuse(v, d.reason)
	v.noteRefusal(d)
	level := zap.DebugLevel
	if !d.departed(v.r) { // answered all the same: it may have closed only its sending side
		level = zap.InfoLevel
		f.outcome.Inc()
		if v.h.emits(eventDenied) {
			v.h.emit(eventDenied, map[string]any{
				"reason": d.reason, "fingerprint": v.fingerprint.String(), "path": token.Redact(v.r.URL.Path),
				"client_ip": problem.ClientIP(v.r), "status": f.status,
			})
		}
	}
	if line := v.h.logger.Check(level, "request refused"); line != nil {
		fields := append(v.fields,
			zap.String("reason", d.reason),
			zap.String("fingerprint", v.fingerprint.String()),
			zap.String("path", token.Redact(v.r.URL.Path)),
			zap.String("client_ip", problem.ClientIP(v.r)),
			zap.Int("status", f.status))
		if detail := d.detailOf(err); detail != "" {
			fields = append(fields, zap.String("detail", detail))
		}
		line.Write(fields...)
	}

	header := v.w.Header()
	response.ForbidCaching(header)
	v.h.answers.Vary(header)
	if len(f.challenges) > 0 {
		header["Www-Authenticate"] = slices.Clone(f.challenges) // each on a line of its own, as simple clients need it
	}
	if f.allow != "" {
		header.Set("Allow", f.allow)
	}
	if f.retryAfter != "" {
		header.Set("Retry-After", f.retryAfter)
	}
	if v.r.ProtoMajor == 1 && v.r.Header.Get("Expect") != "" {
		header.Set("Connection", "close") // else the server waits for the body, and the client for the answer
	}
	// Caddy gives error routes the CONNECT back, and a reverse_proxy among them
	// would open the tunnel.
	if v.r.Method != http.MethodConnect && len(problem.ErrorRoutes(v.r)) > 0 {
		failure := caddyhttp.Error(f.status, errors.New("download_token: "+string(d.told)))
		if problem.HasErrorRoute(v.r, failure) {
			return failure
		}
	}
	if confirm.AcceptsHTML(v.r.Header) {
		return v.show(d.told, f.status)
	}
	document := f.document
	switch v.r.Method {
	case http.MethodPut, http.MethodPost, http.MethodPatch:
		document = cmp.Or(f.unstored, document)
	}
	document.Write(v.w)
	return nil
}

// challenges builds WWW-Authenticate. A 401 must have one (RFC 9110 section
// 15.5.2); Bearer has error codes for 400 and 403 as well (RFC 6750 section 3.1).
func (h *Handler) challenges(d *denial, status int) []string {
	var lines []string
	for _, c := range h.asked() {
		var params []string
		if c.Realm != "" {
			params = append(params, "realm="+quoted(c.Realm))
		}
		withCode := c.Scheme == "Bearer" && d.oauth != ""
		if withCode {
			params = append(params, `error="`+d.oauth+`"`)
		}
		if status == http.StatusUnauthorized || withCode && (status == http.StatusBadRequest || status == http.StatusForbidden) {
			lines = append(lines, strings.TrimSpace(c.Scheme+" "+strings.Join(params, ", ")))
		}
	}
	return lines
}

// asked are the challenges: the configured one, or those that go with the sources.
// Programs such as git and wget send a password only after one for Basic.
func (h *Handler) asked() []Challenge {
	bearer := Challenge{Scheme: "Bearer"}
	basic := Challenge{Scheme: "Basic", Realm: basicRealm}
	switch {
	case h.Challenge != nil && strings.EqualFold(h.Challenge.Scheme, basic.Scheme) && h.Challenge.Realm == "":
		return []Challenge{basic}
	case h.Challenge != nil:
		return []Challenge{*h.Challenge}
	case !slices.ContainsFunc(h.sources, func(s token.Source) bool { return s.Kind == token.Basic }):
		return []Challenge{bearer}
	case slices.Contains(h.sources, token.Source{Kind: token.Header, Name: "Authorization"}):
		return []Challenge{basic, bearer}
	}
	return []Challenge{basic}
}

// basicRealm is the realm where none is configured. Basic must have one (RFC 7617
// section 2); programs show it where they ask for the password.
const basicRealm = "Downloads"

// quoted writes s as a quoted-string (RFC 9110 section 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
