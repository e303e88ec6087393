// Package session is the handler download_token_session: it takes a token that
// another server has signed and sets it as a cookie, as the browser SDK of Upload
// (Bytescale) expects, so that an <img> can show a private file.
package session

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
)

func init() {
	caddy.RegisterModule(Session{})
}

// Session keeps a token in a cookie, as the browser SDK of Upload (Bytescale)
// asks for, so that pages can show private files in an <img>. It answers requests
// whose path ends in `/api/v1/access_tokens/<account ID>`, and passes all others
// on:
//
// PUT takes `{"accessToken": "<token>"}`, at most 16 KiB, verifies the token by the
// same rules as download_token, and answers `{"accessToken", "ttlSeconds"}`. It
// sets the cookie `access-token-<account ID>`, unless the query says
// `set-cookie=false`. A token that names an account in `accountId` must name this
// one. The cookie is not kept longer than the token lives.
//
// DELETE takes the cookie away. The token itself stays valid; revoke it if it
// must not.
//
// OPTIONS answers CORS preflights. A request that comes from another site than
// this one, or than `origin` names, is refused.
//
// The cookie is always Secure, which browsers accept from https and from
// localhost, and always HttpOnly. It is SameSite=None if there is an `origin`,
// because it is then meant to be sent from other sites, and Lax otherwise.
//
// Refusals have the form of the vendor's, `{"error": {"code", "message"}}`, or are
// errors if the server has an error route for them: 400 if the body is not what it
// should be, 403 for a token or an origin that is not accepted, 405, 413.
type Session struct {
	verification.Config

	// The sites whose pages may begin and end a session here, such as
	// `https://app.example.com`. Default: only this site's own.
	Origin []string `json:"origin,omitempty"`

	logger   *zap.Logger
	now      func() time.Time
	verifier *token.Verifier
	rules    token.Rules
	anchors  *trust.Anchors
}

// CaddyModule returns the Caddy module information.
func (Session) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.download_token_session",
		New: func() caddy.Module { return new(Session) },
	}
}

// Provision prepares the handler. It does no network I/O and writes nothing.
func (s *Session) Provision(ctx caddy.Context) error {
	s.logger = ctx.Logger()
	if s.now == nil {
		s.now = time.Now
	}
	for _, origin := range s.Origin {
		if err := checkOrigin(origin); err != nil {
			return err
		}
	}
	var err error
	s.rules = trust.Rules(&s.Config)
	s.verifier, s.anchors, err = trust.Open(ctx, &s.Config, s.logger, s.now())
	return err
}

// Cleanup lets go of the sets of keys.
func (s *Session) Cleanup() error { return s.anchors.Close() }

// sessionPath is where the SDK looks for this handler. The account becomes part
// of the cookie's name.
var sessionPath = regexp.MustCompile(`/api/v1/access_tokens/([A-Za-z0-9_-]{1,64})$`)

// ServeHTTP answers the request if its path is that of a session.
func (s *Session) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	match := sessionPath.FindStringSubmatch(r.URL.Path)
	if match == nil {
		return next.ServeHTTP(w, r)
	}
	account := match[1]
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	if !s.admitOrigin(w, r) {
		return s.deny(w, r, refusedOrigin, nil)
	}
	switch r.Method {
	case http.MethodPut:
		return s.begin(w, r, account)
	case http.MethodDelete:
		http.SetCookie(w, s.cookie(account, "", -1))
		w.WriteHeader(http.StatusNoContent)
		return nil
	case http.MethodOptions:
		header.Set("Allow", allowed)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return s.deny(w, r, refusedMethod, nil)
}

// begin verifies the token and sets the cookie.
func (s *Session) begin(w http.ResponseWriter, r *http.Request, account string) error {
	setCookie := true
	switch values := r.URL.Query()["set-cookie"]; {
	case len(values) == 0, slices.Equal(values, []string{"true"}):
	case slices.Equal(values, []string{"false"}):
		setCookie = false
	default:
		return s.deny(w, r, refusedRequest, errors.New("set-cookie is neither true nor false"))
	}
	text, refused, err := readAccessToken(w, r)
	if refused != nil {
		return s.deny(w, r, refused, err)
	}
	now := s.now()
	verified, err := s.verifier.Verify(r.Context(), text)
	if err == nil {
		err = s.rules.Accept(verified, now)
	}
	switch {
	case errors.Is(err, token.ErrExpired):
		return s.deny(w, r, refusedExpired, err)
	case err != nil:
		return s.deny(w, r, refusedToken, err)
	}
	if named, ok := verified.Claims.String("accountId"); verified.Claims.Has("accountId") && (!ok || named != account) {
		return s.deny(w, r, refusedToken, errors.New("token names another account"))
	}
	left := int(verified.Claims.ExpiresAt.Sub(now) / time.Second)
	if left < 1 {
		return s.deny(w, r, refusedExpired, errors.New("token expires within a second"))
	}
	if setCookie {
		cookie := s.cookie(account, text, left)
		if len(cookie.Name)+len(cookie.Value) > maxCookie {
			return s.deny(w, r, refusedSize, errors.New("token is too large for a cookie"))
		}
		http.SetCookie(w, cookie)
	}
	s.logger.Info("session begun",
		zap.String("fingerprint", verified.Fingerprint.String()),
		zap.Bool("cookie", setCookie),
		zap.String("client_ip", problem.ClientIP(r)))
	return problem.WriteJSON(w, http.StatusOK, "application/json", accessToken{text, left})
}

// maxCookie is what browsers keep of name and value together (RFC 6265bis section
// 5.6); they drop a larger cookie without a word.
const maxCookie = 4096

// cookie is the one that holds the token of an account. Max-Age below zero makes
// the browser forget it.
func (s *Session) cookie(account, value string, maxAge int) *http.Cookie {
	sameSite := http.SameSiteLaxMode
	if len(s.Origin) > 0 {
		sameSite = http.SameSiteNoneMode
	}
	return &http.Cookie{
		Name:     "access-token-" + account,
		Value:    value,
		Path:     "/",
		MaxAge:   maxAge,
		Secure:   true,
		HttpOnly: true,
		SameSite: sameSite,
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Session)(nil)
	_ caddy.CleanerUpper          = (*Session)(nil)
	_ caddyhttp.MiddlewareHandler = (*Session)(nil)
)
