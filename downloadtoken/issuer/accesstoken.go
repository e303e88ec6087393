package issuer

import (
	"errors"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/problem"
)

// What [Session] refuses. The reasons are the codes of the answers.
var (
	refusedSessionMethod = &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "PUT begins a session, DELETE ends it."}
	refusedOrigin        = &refusal{http.StatusForbidden, "origin_not_allowed", "Pages of this site may not begin or end a session here."}
	refusedRequest       = &refusal{http.StatusBadRequest, "invalid_request", `The body must be JSON such as {"accessToken": "..."}, and set-cookie true or false.`}
	refusedSize          = &refusal{http.StatusRequestEntityTooLarge, "too_large", "The access token is too large."}
	refusedToken         = &refusal{http.StatusForbidden, "access_token_invalid", "The access token is not valid here."}
	refusedExpired       = &refusal{http.StatusForbidden, "access_token_expired", "The access token has expired."}
)

// maxSessionBody bounds the body of PUT.
const maxSessionBody = 16 << 10

// accessToken is the answer to PUT.
type accessToken struct {
	AccessToken string `json:"accessToken"`
	TTLSeconds  int    `json:"ttlSeconds"`
}

// readAccessToken reads the body of PUT, a strict JSON object. Members that we do
// not know are ignored, for SDKs to come.
func readAccessToken(w http.ResponseWriter, r *http.Request) (text string, refused *refusal, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSessionBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return "", refusedSize, err
	}
	var asked struct {
		AccessToken string `json:"accessToken"`
	}
	if err != nil || json.Unmarshal(body, &asked) != nil || asked.AccessToken == "" {
		// The parser's own words may quote what it read.
		return "", refusedRequest, errors.New("body has no access token")
	}
	return asked.AccessToken, nil, nil
}

// deny refuses the request, in the vendor's form. The cause, if any, is for the
// log; it holds no secrets and no values.
func (s *Session) deny(w http.ResponseWriter, r *http.Request, refused *refusal, cause error) error {
	s.logger.Info("session refused",
		zap.String("reason", refused.reason),
		zap.String("method", r.Method),
		zap.String("client_ip", clientIP(r)),
		zap.Int("status", refused.status),
		zap.Error(cause))
	if refused == refusedSessionMethod {
		w.Header().Set("Allow", sessionMethods)
	}
	failure := caddyhttp.Error(refused.status, errors.New("download_token_session: "+refused.reason))
	if problem.HasErrorRoute(r, failure) {
		return failure
	}
	type told struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	return writeJSON(w, refused.status, plainJSON, struct {
		Error told `json:"error"`
	}{told{refused.reason, refused.detail}})
}
