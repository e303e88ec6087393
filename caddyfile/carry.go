package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// parseCarry reads
//
//	carry cookie [<name>] {
//		same_site lax|none|strict
//		partitioned
//	}
//	carry playlists {
//		ttl <duration>
//		sign_key <alg> <secret|private PEM>
//	}
//	carry listings [only]
func parseCarry(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err("carry: kind is missing; write one or more of these lines: carry cookie, carry playlists, carry listings")
	}
	if h.Carry == nil {
		h.Carry = new(downloadtoken.Carry)
	}
	c, kind, args := h.Carry, args[0], args[1:]
	switch {
	case kind == "cookie" && c.Cookie != nil, kind == "playlists" && c.Playlists != nil, kind == "listings" && c.Listings != nil:
		return d.Errf("carry: %s specified more than once; write all of it in one place, or remove one", kind)
	case kind != "cookie" && kind != "playlists" && kind != "listings":
		return d.Errf("carry: unknown kind '%s'; write cookie, playlists or listings", kind)
	case len(args) > 0 && (args[0] == "cookie" || args[0] == "playlists" || args[0] == "listings"):
		return d.Errf("carry: each kind has a line of its own; write another: carry %s", args[0])
	case kind == "cookie" && len(args) > 0 && cookieOptions[args[0]] != nil, kind == "playlists" && len(args) > 0 && playlistOptions[args[0]] != nil:
		return d.Errf("carry %s: %s belongs into the block, on a line of its own", kind, args[0])
	case kind == "cookie" && (len(args) > 1 || len(args) == 1 && args[0] == ""):
		return usage(d, "carry cookie", "carry cookie download_token")
	case kind == "cookie":
		c.Cookie = new(downloadtoken.CarryCookie)
		if len(args) == 1 {
			c.Cookie.Name = args[0]
		}
		return unmarshalOptions(d, "carry cookie", into(c.Cookie, cookieOptions))
	case kind == "playlists" && len(args) > 0:
		return d.Err("carry playlists: takes no arguments; how long tokens of segments live is said in its block, by lines such as: ttl 60s, and: sign_key HS256 {env.CARRY_SECRET}")
	case kind == "playlists":
		c.Playlists = new(downloadtoken.CarryPlaylists)
		return unmarshalOptions(d, "carry playlists", into(c.Playlists, playlistOptions))
	case kind == "listings" && (len(args) > 1 || len(args) == 1 && args[0] != "only"):
		return usage(d, "carry listings", "carry listings only")
	default:
		c.Listings = &downloadtoken.CarryListings{Only: len(args) == 1}
		return noBlock(d, "carry listings")
	}
}

var cookieOptions = map[string]func(*caddyfile.Dispenser, *downloadtoken.CarryCookie) error{
	"same_site":   word(func(c *downloadtoken.CarryCookie) *string { return &c.SameSite }, "same_site none"),
	"partitioned": flag(func(c *downloadtoken.CarryCookie) *bool { return &c.Partitioned }),
}

var playlistOptions = map[string]func(*caddyfile.Dispenser, *downloadtoken.CarryPlaylists) error{
	"ttl": func(d *caddyfile.Dispenser, c *downloadtoken.CarryPlaylists) (err error) {
		c.TTL, err = duration(d, "ttl 60s")
		return err
	},
	"sign_key": func(d *caddyfile.Dispenser, c *downloadtoken.CarryPlaylists) error {
		args := d.RemainingArgs()
		if len(args) != 2 {
			return usage(d, "sign_key", "sign_key HS256 {env.CARRY_SECRET}")
		}
		c.SignKey = &downloadtoken.CarryKey{Alg: args[0], Key: args[1]}
		return noBlock(d, "sign_key")
	},
}
