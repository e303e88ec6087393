package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/issuer"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("download_token_issuer", parseIssuerDirective)
	// Behind what authenticates the user; it answers, as respond does.
	httpcaddyfile.RegisterDirectiveOrder("download_token_issuer", httpcaddyfile.Before, "respond")
}

// parseIssuerDirective sets up the handler that makes tokens. Syntax:
//
//	download_token_issuer [<matcher>] {
//		key <alg> <secret|private PEM> {
//			kid <id>
//		}
//		ttl <duration>
//		one_time [<claim>]
//		claim <name> <value>
//		user <placeholder>
//		anonymous
//		require_uuid <placeholder>...
//		link <URL template>
//		status <code>
//		store <name>
//	}
//
// claim may be repeated; each of the others may be given once.
func parseIssuerDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	i := new(issuer.Issuer)
	return i, unmarshalBlock(h.Dispenser, into(i, issuerSubdirectives))
}

// issuerSubdirectives are those of the issuer.
var issuerSubdirectives = map[string]func(*caddyfile.Dispenser, *issuer.Issuer) error{
	"key":          parseSigningKey,
	"ttl":          parseTTL,
	"one_time":     parseNonceClaim,
	"claim":        parseClaim,
	"user":         word(func(i *issuer.Issuer) *string { return &i.User }, "user {http.request.header.Remote-User}"),
	"anonymous":    flag(func(i *issuer.Issuer) *bool { return &i.Anonymous }),
	"require_uuid": list(func(i *issuer.Issuer) *[]string { return &i.RequireUUID }, "require_uuid {re.dataset.1}"),
	"link":         word(func(i *issuer.Issuer) *string { return &i.Link }, "link https://files.example.com/report.pdf?download_token={token}"),
	"status":       parseIssuerStatus,
	"store":        word(func(i *issuer.Issuer) *string { return &i.Store }, "store default"),
}

// parseSigningKey reads
//
//	key <alg> <secret|private PEM> {
//		kid <id>
//	}
func parseSigningKey(d *caddyfile.Dispenser, i *issuer.Issuer) error {
	if i.Key != nil {
		return d.Err("key: specified more than once; a token is signed with one key, so remove the others")
	}
	args := d.RemainingArgs()
	if len(args) != 2 {
		return usage(d, "key", "key HS256 {env.DOWNLOAD_SECRET}")
	}
	i.Key = &issuer.SigningKey{Alg: args[0], Key: args[1]}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "kid" {
			return d.Errf("key: unrecognized option '%s'; it has only kid (iss is written like this: claim iss https://app.example.com)", d.Val())
		}
		if i.Key.KeyID != "" {
			return d.Err("key: kid specified more than once")
		}
		if !d.AllArgs(&i.Key.KeyID) || i.Key.KeyID == "" {
			return d.Err("key: kid takes one argument")
		}
	}
	return nil
}

func parseTTL(d *caddyfile.Dispenser, i *issuer.Issuer) (err error) {
	i.TTL, err = duration(d, "ttl 10m")
	return err
}

// parseNonceClaim reads
//
//	one_time [<claim>]
func parseNonceClaim(d *caddyfile.Dispenser, i *issuer.Issuer) error {
	args := d.RemainingArgs()
	switch {
	case len(args) > 1, len(args) == 1 && args[0] == "":
		return usage(d, "one_time", "one_time nonce")
	case len(args) == 1:
		i.OneTime = args[0]
	default:
		i.OneTime = "jti"
	}
	return noBlock(d, "one_time")
}

// parseClaim reads
//
//	claim <name> <value>
func parseClaim(d *caddyfile.Dispenser, i *issuer.Issuer) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return usage(d, "claim", "claim typ download")
	}
	i.Claim = append(i.Claim, issuer.Claim{Name: args[0], Value: args[1]})
	return noBlock(d, "claim")
}

// parseIssuerStatus reads
//
//	status <code>
func parseIssuerStatus(d *caddyfile.Dispenser, i *issuer.Issuer) error {
	if i.Status != 0 {
		return d.Err("status: specified more than once; remove one")
	}
	args := d.RemainingArgs()
	if len(args) != 1 {
		return usage(d, "status", "status 200")
	}
	code, err := statusCode(d, args[0], "status 200")
	if err != nil {
		return err
	}
	i.Status = code
	return noBlock(d, "status")
}
