// Package caddyfile is the Caddyfile grammar of this plugin: the directive
// download_token, its place among the other directives, and the global option
// of the same name. It only reads; what the settings mean is documented with
// the JSON fields in package downloadtoken.
package caddyfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("download_token", parseDirective)
	// After what may rewrite the path (rewrite, uri, try_files) or ask another
	// server (forward_auth), and before everything that reads the URL.
	httpcaddyfile.RegisterDirectiveOrder("download_token", httpcaddyfile.After, "forward_auth")
	httpcaddyfile.RegisterGlobalOption("download_token", parseGlobalOption)
}

// parseDirective sets up the handler from Caddyfile tokens. Syntax:
//
//	download_token [<matcher>] {
//		from query|path|header|cookie <name>...
//		from basic [<user>...]
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
//		ip_claim <claim>
//
//		profile rfc9246 {
//			attribute <name>
//			decrypt <alg> <base64:...|JWK|private PEM> {
//				kid <id>
//			}
//			renew <alg> <secret|private PEM> {
//				kid <id>
//			}
//		}
//
//		scope any {
//			allow read|create|modify|rename...
//		}
//		scope template <scope> <path pattern> {
//			claim <name>
//			list
//			allow read|create|modify|rename...
//		}
//		scope claims <path pattern> {
//			allow read|create|modify|rename...
//		}
//		scope path [<claim> [<prefix>]] {
//			allow read|create|modify|rename... [<prefix>]
//		}
//		scope path_permissions [<slug>] {
//			account <id>
//		}
//		path_prefix <path>
//
//		methods <method>...|webdav {
//			root <path>
//			fs <name>
//			strip_prefix <path>
//		}
//
//		one_time [<claim>...] {
//			spend response|request
//			resume <window> [<copies>|random] {
//				roam
//				past_exp
//			}
//			uses <n>
//			uses claim <name> [<max>]
//			per token|path [<index file>...]
//		}
//		store <name>
//
//		carry cookie [<name>] {
//			same_site lax|none|strict
//			partitioned
//		}
//		carry playlists {
//			ttl <duration>
//			sign_key <alg> <secret|private PEM>
//		}
//		carry listings [only]
//
//		attachment [<filename>]
//		confirm [always] [<template file>]
//		page {
//			title <name of the site>
//			contact <text|mail address|URL>
//		}
//		challenge <scheme> [<realm>]
//		status <code> [<reason>...]
//		cache off|<entries>
//		optional
//		forward
//	}
//
// from, key, jwks, require, scope, carry and status may be repeated, carry once for each
// kind; each of the others may be given once.
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	return unmarshalHandler(h.Dispenser)
}

// repeatable are the subdirectives that may be given more than once.
var repeatable = map[string]bool{"carry": true, "claim": true, "decrypt": true, "from": true, "key": true, "jwks": true, "require": true, "scope": true, "status": true}

// subdirectives are those that only this directive has.
var subdirectives = map[string]func(*caddyfile.Dispenser, *downloadtoken.Handler) error{
	"from":        parseFrom,
	"profile":     parseProfile,
	"ip_claim":    word(func(h *downloadtoken.Handler) *string { return &h.IPClaim }, "ip_claim ip"),
	"scope":       parseScope,
	"path_prefix": word(func(h *downloadtoken.Handler) *string { return &h.PathPrefix }, "path_prefix /pub"),
	"methods":     parseMethods,
	"one_time":    parseOneTime,
	"store":       word(func(h *downloadtoken.Handler) *string { return &h.Store }, "store default"),
	"carry":       parseCarry,
	"attachment":  parseAttachment,
	"confirm":     parseConfirm,
	"page":        parsePage,
	"challenge":   parseChallenge,
	"status":      parseStatus,
	"cache":       parseCache,
	"optional":    flag(func(h *downloadtoken.Handler) *bool { return &h.Optional }),
	"forward":     flag(func(h *downloadtoken.Handler) *bool { return &h.Forward }),
}

// unmarshalHandler reads the whole directive.
func unmarshalHandler(d *caddyfile.Dispenser) (*downloadtoken.Handler, error) {
	h := new(downloadtoken.Handler)
	return h, unmarshal(d, h, &h.Config, subdirectives)
}

// unmarshal reads a directive into v: its own subdirectives, and those that say
// which tokens are believed into c.
func unmarshal[T any](
	d *caddyfile.Dispenser, v T, c *verification.Config, own map[string]func(*caddyfile.Dispenser, T) error,
) error {
	known := into(c, verificationSubdirectives)
	maps.Copy(known, into(v, own))
	return unmarshalBlock(d, known)
}

// into is what the subdirectives do to v.
func into[T any](v T, subdirectives map[string]func(*caddyfile.Dispenser, T) error) map[string]func(*caddyfile.Dispenser) error {
	known := make(map[string]func(*caddyfile.Dispenser) error, len(subdirectives))
	for name, parse := range subdirectives {
		known[name] = func(d *caddyfile.Dispenser) error { return parse(d, v) }
	}
	return known
}

// unmarshalBlock reads a directive that consists of a block of subdirectives.
func unmarshalBlock(d *caddyfile.Dispenser, known map[string]func(*caddyfile.Dispenser) error) error {
	d.Next() // consume directive name
	directive := d.Val()
	if d.NextArg() {
		return d.Errf("%s: unexpected argument '%s'; settings go into a block, one a line", directive, d.Val())
	}
	return unmarshalOptions(d, directive, known)
}

// unmarshalOptions reads the block of a directive, or of a subdirective.
func unmarshalOptions(d *caddyfile.Dispenser, directive string, known map[string]func(*caddyfile.Dispenser) error) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] && !repeatable[name] {
			return d.Errf("%s: specified more than once; write all of it on one line, or remove one", name)
		}
		seen[name] = true
		parse, ok := known[name]
		if place := places[name]; !ok && place != "" {
			return d.Errf("%s: '%s' is not written here; put it into the block of %s", directive, name, place)
		} else if !ok {
			names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			return d.Errf("%s: unrecognized subdirective '%s'; write one of %s", directive, name, names)
		}
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// places are the blocks of subdirectives that are easily put into another one.
var places = map[string]string{
	"allow": "a scope", "methods": "download_token", "resume": "one_time", "spend": "one_time", "uses": "one_time",
	"max_size": "download_token_upload", "content_type": "download_token_upload", "mkdir": "download_token_upload",
}
