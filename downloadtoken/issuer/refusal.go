package issuer

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
)

// What [Issuer] refuses.
var (
	refusedAnonymous = problem.New(http.StatusUnauthorized, "unauthenticated", "Sign in first: a token is made for a known user only.")
	refusedMethod    = problem.New(http.StatusMethodNotAllowed, "method", "POST makes a token, DELETE revokes one.")
	refusedBody      = problem.New(http.StatusRequestEntityTooLarge, "body", "The request needs no body, and this one is too large or incomplete.")
	refusedUUID      = problem.New(http.StatusUnprocessableEntity, "not_a_uuid", "The address must name a UUID, such as 123e4567-e89b-42d3-a456-426614174000.")
	refusedPath      = problem.New(http.StatusUnprocessableEntity, "bad_path", "No link can open this name: it has a backslash, a control character, a segment that is one or two dots, a doubled slash, or a space where a path must have none.")
	refusedClaim     = problem.New(http.StatusBadRequest, "claim", "The request lacks something that the token must say, or it does not fit into a token.")
	refusedNaming    = problem.New(http.StatusBadRequest, "malformed", "Name one token to revoke, whole and once, in the query parameter download_token.")
	refusedUnknown   = problem.New(http.StatusNotFound, "unknown", "There is no such token here, or it is another user's. Name it in the query parameter download_token, or by the URL that Location named.")
	refusedStore     = problem.New(http.StatusServiceUnavailable, "unavailable", "The server cannot revoke tokens at the moment. This one still works; try again in a few seconds.")
	refusedInternal  = problem.New(http.StatusInternalServerError, "internal", "The server cannot make tokens at the moment.")
)

// allowed are the methods for Allow.
const allowed = "POST, DELETE"

// deny refuses the request. The cause, if any, is for the log; it holds no secrets
// and no values. It answers, or returns an error if the server has an error route
// that will.
func (i *Issuer) deny(x *exchange, refused *problem.Refusal, cause error) error {
	log := i.logger.Info
	if refused.Status >= http.StatusInternalServerError {
		log = i.logger.Error
	}
	log("request refused",
		zap.String("reason", refused.Reason),
		zap.String("method", x.r.Method),
		zap.String("path", token.Redact(x.r.URL.Path)),
		zap.String("client_ip", problem.ClientIP(x.r)),
		zap.Int("status", refused.Status),
		zap.Error(cause))
	header := x.w.Header()
	switch refused {
	case refusedAnonymous:
		header.Set("WWW-Authenticate", "Bearer") // a 401 must have one (RFC 9110 section 15.5.2)
	case refusedMethod:
		header.Set("Allow", allowed)
	case refusedStore:
		header.Set("Retry-After", "5")
	}
	failure := caddyhttp.Error(refused.Status, errors.New("download_token_issuer: "+refused.Reason))
	// Caddy gives the original URL back to error routes, and they may show it.
	if !x.holdsToken && problem.HasErrorRoute(x.r, failure) {
		return failure
	}
	return problem.Write(x.w, refused.Status, refused.Reason, refused.Detail)
}
