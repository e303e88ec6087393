package caddyfile

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

// verificationSubdirectives are those that say which tokens are believed. All
// directives that verify tokens have them.
var verificationSubdirectives = map[string]func(*caddyfile.Dispenser, *verification.Config) error{
	"key":        parseKey,
	"jwks":       parseJWKS,
	"issuer":     list(func(c *verification.Config) *[]string { return &c.Issuer }, "issuer https://app.example.com"),
	"audience":   list(func(c *verification.Config) *[]string { return &c.Audience }, "audience downloads"),
	"header_typ": list(func(c *verification.Config) *[]string { return &c.HeaderTyp }, "header_typ dl+jwt"),
	"require":    parseRequire,
	"max_ttl":    parseMaxTTL,
	"leeway":     parseLeeway,
}

// list reads a subdirective of one or more arguments.
func list[T any](field func(T) *[]string, example string) func(*caddyfile.Dispenser, T) error {
	return func(d *caddyfile.Dispenser, v T) error {
		name := d.Val()
		args := d.RemainingArgs()
		if len(args) == 0 {
			return usage(d, name, example)
		}
		*field(v) = args
		return noBlock(d, name)
	}
}

// duration reads a subdirective whose argument is a length of time.
func duration(d *caddyfile.Dispenser, example string) (caddy.Duration, error) {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return 0, usage(d, name, example)
	}
	length, err := caddy.ParseDuration(args[0])
	if err != nil || length < 0 {
		return 0, d.Errf("%s: '%s' is not a duration; write it like this: %s", name, args[0], example)
	}
	return caddy.Duration(length), noBlock(d, name)
}

func parseMaxTTL(d *caddyfile.Dispenser, c *verification.Config) (err error) {
	c.MaxTTL, err = duration(d, "max_ttl 10m")
	if err == nil && time.Duration(c.MaxTTL) < time.Second {
		return d.Err("max_ttl: must be at least 1s; leave it out for no limit")
	}
	return err
}

func parseLeeway(d *caddyfile.Dispenser, c *verification.Config) (err error) {
	c.Leeway, err = duration(d, "leeway 5s")
	return err
}

// parseKey reads
//
//	key <alg> <secret|PEM> {
//		kid <id>
//		issuer <iss>
//	}
func parseKey(d *caddyfile.Dispenser, c *verification.Config) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return usage(d, "key", "key HS256 {env.DOWNLOAD_SECRET}")
	}
	key := verification.TrustedKey{Alg: args[0], Key: args[1]}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var field *string
		option := d.Val()
		switch option {
		case "kid":
			field = &key.KeyID
		case "issuer":
			field = &key.Issuer
		default:
			return d.Errf("key: unrecognized option '%s'; it has kid and issuer", option)
		}
		if *field != "" {
			return d.Errf("key: %s specified more than once", option)
		}
		if !d.AllArgs(field) || *field == "" {
			return d.Errf("key: %s takes one argument", option)
		}
	}
	c.Key = append(c.Key, key)
	return nil
}

// parseJWKS reads
//
//	jwks <https URL|file> {
//		issuer <iss>
//		alg <alg>...
//		refresh <duration>
//	}
func parseJWKS(d *caddyfile.Dispenser, c *verification.Config) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return usage(d, "jwks", "jwks https://app.example.com/.well-known/jwks.json")
	}
	set := verification.JWKS{Location: args[0]}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("jwks: %s specified more than once", option)
		}
		seen[option] = true
		args := d.RemainingArgs()
		switch {
		case option != "issuer" && option != "alg" && option != "refresh":
			return d.Errf("jwks: unrecognized option '%s'; it has issuer, alg and refresh", option)
		case len(args) == 0, len(args) > 1 && option != "alg":
			return d.Errf("jwks: %s has the wrong number of arguments; write it like this: %s", option,
				map[string]string{"issuer": "issuer https://app.example.com", "alg": "alg RS256", "refresh": "refresh 15m"}[option])
		}
		switch option {
		case "issuer":
			set.Issuer = args[0]
		case "alg":
			set.Alg = args
		case "refresh":
			length, err := caddy.ParseDuration(args[0])
			if err != nil {
				return d.Errf("jwks: refresh: '%s' is not a duration; write it like this: refresh 15m", args[0])
			}
			set.Refresh = caddy.Duration(length)
		}
	}
	c.JWKS = append(c.JWKS, set)
	return nil
}

// parseRequire reads
//
//	require <claim> [<value>...]
func parseRequire(d *caddyfile.Dispenser, c *verification.Config) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return usage(d, "require", "require typ download")
	}
	c.Require = append(c.Require, verification.Requirement{Claim: args[0], Values: args[1:]})
	return noBlock(d, "require")
}
