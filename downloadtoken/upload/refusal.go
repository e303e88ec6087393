package upload

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// refusal is why nothing was stored. The reason is a text of package confirm.
type refusal struct {
	Status int
	Reason string
}

func (r *refusal) Error() string { return "download_token_upload: " + r.Reason }

// What [Upload] refuses.
var (
	refusedUnchecked = &refusal{http.StatusForbidden, "forbidden"} // there is no ticket
	refusedForbidden = &refusal{http.StatusForbidden, "forbidden"}
	refusedClaim     = &refusal{http.StatusForbidden, "claim"}
	refusedPath      = &refusal{http.StatusBadRequest, "name"}
	refusedName      = &refusal{http.StatusBadRequest, "name"}
	refusedForm      = &refusal{http.StatusBadRequest, "no_file"}
	refusedRequest   = &refusal{http.StatusBadRequest, "request"}
	refusedBroken    = &refusal{http.StatusBadRequest, "broken"}
	refusedSlow      = &refusal{http.StatusRequestTimeout, "broken"}
	refusedMethod    = &refusal{http.StatusMethodNotAllowed, "no_file_here"}
	refusedNoFolder  = &refusal{http.StatusConflict, "no_folder"}
	refusedExists    = &refusal{http.StatusPreconditionFailed, "exists"}
	refusedCondition = &refusal{http.StatusPreconditionFailed, "condition"}
	refusedSize      = &refusal{http.StatusRequestEntityTooLarge, "too_large"}
	refusedType      = &refusal{http.StatusUnsupportedMediaType, "type"}
	refusedCoding    = &refusal{http.StatusUnsupportedMediaType, "coding"}
	refusedDigest    = &refusal{http.StatusUnprocessableEntity, "digest"}
	refusedFull      = &refusal{http.StatusInsufficientStorage, "full"}
	refusedInternal  = &refusal{http.StatusInternalServerError, "failed"}
)

// because refuses for a reason that only the log tells.
func (x *exchange) because(r *refusal, cause error) error {
	x.failed = cause
	return r
}

// conclude sees to the answer if err is one.
func (x *exchange) conclude(err error) error {
	if x.root != nil {
		_ = x.root.Close()
	}
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	x.log(refused)
	header := x.w.Header()
	response.ForbidCaching(header)
	switch {
	case refused == refusedMethod && x.page.Folder:
		header.Set("Allow", "GET, HEAD, POST")
	case refused == refusedMethod:
		header.Set("Allow", "GET, HEAD")
	case refused == refusedCoding:
		header.Set("Accept-Encoding", "identity") // RFC 9110 section 12.5.3
	}
	if confirm.AcceptsHTML(x.r.Header) {
		x.page.State, x.page.Status = refused.Reason, refused.Status
		return x.page.Write(x.w, x.r)
	}
	if failure := caddyhttp.Error(refused.Status, refused); problem.HasErrorRoute(x.r, failure) {
		return failure
	}
	return problem.Write(x.w, refused.Status, refused.Reason, confirm.UploadDetail(refused.Reason))
}

// log tells why the file was refused.
func (x *exchange) log(refused *refusal) {
	line, log := "upload refused", x.u.logger.Info
	switch {
	case refused == refusedUnchecked:
		line, log = "upload refused: no download_token has let the request through; put one in front of download_token_upload, "+
			"with the lines methods GET HEAD PUT POST, and allow create in its scope", x.u.logger.Error
	case refused.Status >= http.StatusInternalServerError:
		log = x.u.logger.Error
	}
	log(line,
		zap.String("reason", refused.Reason),
		zap.String("method", x.r.Method),
		zap.String("path", token.Redact(x.r.URL.Path)),
		zap.String("fingerprint", replacerOf(x.r).ReplaceAll("{http.download_token.fingerprint}", "")),
		zap.String("client_ip", problem.ClientIP(x.r)),
		zap.Int("status", refused.Status),
		zap.NamedError("cause", x.failed))
}
