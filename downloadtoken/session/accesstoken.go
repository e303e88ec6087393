package session

import (
	"errors"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/internal/problem"
)

// What [Session] refuses. The reasons are the codes of the answers.
var (
	refusedMethod  = problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "PUT begins a session, DELETE ends it.")
	refusedOrigin  = problem.New(http.StatusForbidden, "origin_not_allowed", "Pages of this site may not begin or end a session here.")
	refusedRequest = problem.New(http.StatusBadRequest, "invalid_request", `The body must be JSON such as {"accessToken": "..."}, and set-cookie true or false.`)
	refusedSize    = problem.New(http.StatusRequestEntityTooLarge, "too_large", "The access token is too large.")
	refusedToken   = problem.New(http.StatusForbidden, "access_token_invalid", "The access token is not valid here.")
	refusedExpired = problem.New(http.StatusForbidden, "access_token_expired", "The access token has expired.")
)

// maxBody bounds the body of PUT.
const maxBody = 16 << 10

// accessToken is the answer to PUT.
type accessToken struct {
	AccessToken string `json:"accessToken"`
	TTLSeconds  int    `json:"ttlSeconds"`
}

// readAccessToken reads the body of PUT, a strict JSON object. Members that we do
// not know are ignored, for SDKs to come.
func readAccessToken(w http.ResponseWriter, r *http.Request) (text string, refused *problem.Refusal, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
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
func (s *Session) deny(w http.ResponseWriter, r *http.Request, refused *problem.Refusal, cause error) error {
	s.logger.Info("session refused",
		zap.String("reason", refused.Reason),
		zap.String("method", r.Method),
		zap.String("client_ip", problem.ClientIP(r)),
		zap.Int("status", refused.Status),
		zap.Error(cause))
	if refused == refusedMethod {
		w.Header().Set("Allow", allowed)
	}
	failure := caddyhttp.Error(refused.Status, errors.New("download_token_session: "+refused.Reason))
	if problem.HasErrorRoute(r, failure) {
		return failure
	}
	type told struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	return problem.WriteJSON(w, refused.Status, "application/json", struct {
		Error told `json:"error"`
	}{told{refused.Reason, refused.Detail}})
}
