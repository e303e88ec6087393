package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/session"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("download_token_session", parseSessionDirective)
	httpcaddyfile.RegisterDirectiveOrder("download_token_session", httpcaddyfile.Before, "respond")
}

// parseSessionDirective sets up the handler that keeps a token in a cookie. It has
// the subdirectives of download_token that say which tokens are believed, so that
// one snippet serves both. Syntax:
//
//	download_token_session [<matcher>] {
//		key <alg> <secret|PEM> {
//			kid <id>
//			issuer <iss>
//		}
//		jwks <https URL|file> {
//			issuer <iss>
//			alg <alg>...
//			refresh <duration>
//		}
//		issuer <iss>...
//		audience <aud>...
//		header_typ <typ>...
//		require <claim> [<value>...]
//		max_ttl <duration>
//		leeway <duration>
//
//		origin <origin>...
//	}
//
// key, jwks and require may be repeated; each of the others may be given once.
func parseSessionDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	s := new(session.Session)
	return s, unmarshal(h.Dispenser, s, &s.Config, sessionSubdirectives)
}

// sessionSubdirectives are those that only the session has.
var sessionSubdirectives = map[string]func(*caddyfile.Dispenser, *session.Session) error{
	"origin": list(func(s *session.Session) *[]string { return &s.Origin }, "origin https://app.example.com"),
}
