package downloadtoken

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// defaultSlug is what Upload calls the original of a file.
const defaultSlug = "raw"

// permissionScope opens what `access.pathPermissions` of an Upload (now
// Bytescale) token grants, if the token is for this account and this origin.
type permissionScope struct {
	slug    string
	account string
	logger  *zap.Logger
	warned  sync.Once
}

func (s *permissionScope) opens(v *visit, path string) opening {
	if !s.isForAccount(v) || !isForOrigin(v) {
		return closed
	}
	access, ok := v.token.Claims.Raw("access")
	if !ok {
		return closed // "The access permissions for the JWT. Required: No": none are granted
	}
	permissions, unknown, err := scope.ParsePermissions(access)
	if err != nil {
		return closed
	}
	if len(unknown) > 0 {
		s.warned.Do(func() {
			s.logger.Warn("a token has a match.scope other than This, Children or Grandchildren+; such entries open nothing",
				zap.String("fingerprint", v.fingerprint.String()))
		})
	}
	operation, granted := scope.Download, open
	switch {
	case strings.HasSuffix(path, "/"):
		operation, granted = scope.List, listingOnly
	case v.r.Method == http.MethodHead:
		operation = scope.Details
	}
	if permissions.Admits(path, s.slug, operation) {
		return granted
	}
	return closed
}

// isForAccount reports whether the token is for the configured account. The
// claim accountId is younger than the tokens, so it may be missing; but not
// where the vendor requires it, in Authorization.
func (s *permissionScope) isForAccount(v *visit) bool {
	if s.account == "" {
		return true
	}
	if !v.token.Claims.Has("accountId") {
		return v.source.Field() != "Authorization"
	}
	id, _ := v.token.Claims.String("accountId")
	return id == s.account
}

// isForOrigin reports whether the request comes from one of the origins that
// the claim allowedOrigins names. Without the claim every origin will do, and
// clients that have none; with it, a request whose origin is not known is
// refused.
func isForOrigin(v *visit) bool {
	if !v.token.Claims.Has("allowedOrigins") {
		return true
	}
	allowed, _ := v.token.Claims.Strings("allowedOrigins")
	origin := originOf(v.r)
	return origin != "" && slices.ContainsFunc(allowed, func(one string) bool {
		return strings.EqualFold(strings.TrimSuffix(one, "/"), origin)
	})
}

// originOf finds the origin (RFC 6454) of the page that made the request, or
// "". Browsers send Origin with fetch; with an image of a page they send
// Referer only; and without either, still whether it is a page of this site.
func originOf(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" {
		return origin
	}
	if referer, err := url.Parse(r.Header.Get("Referer")); err == nil && referer.Host != "" {
		return referer.Scheme + "://" + referer.Host
	}
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		return scheme + "://" + r.Host
	}
	return ""
}
