package scopes

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Allow reads the rest of an `allow` line, which may be repeated, into the words for
// [github.com/caddy-download-token/caddy-download-token/downloadtoken/scope.ParseAllowance].
// Syntax:
//
//	allow read|create|modify|rename...
func Allow(d *caddyfile.Dispenser, words []string) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.Err("scope: allow takes one or more of read, create, modify, rename, such as: allow read create")
	}
	return append(words, args...), nil
}
