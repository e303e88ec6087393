package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// parseProfile reads
//
//	profile rfc9246 {
//		attribute <name>
//		decrypt <alg> <base64:...|JWK|private PEM> {
//			kid <id>
//		}
//		renew <alg> <secret|private PEM> {
//			kid <id>
//		}
//	}
func parseProfile(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return usage(d, "profile", "profile "+downloadtoken.ProfileRFC9246)
	}
	h.Profile = &downloadtoken.Profile{Name: args[0]}
	return unmarshalOptions(d, "profile", into(h.Profile, profileOptions))
}

var profileOptions = map[string]func(*caddyfile.Dispenser, *downloadtoken.Profile) error{
	"attribute": word(func(p *downloadtoken.Profile) *string { return &p.Attribute }, "attribute URISigningPackage"),
	"decrypt": func(d *caddyfile.Dispenser, p *downloadtoken.Profile) (err error) {
		var key downloadtoken.DecryptKey
		key.Alg, key.Key, key.KeyID, err = keyOf(d, "decrypt dir {env.CDNI_ENCRYPTION_KEY}")
		p.Decrypt = append(p.Decrypt, key)
		return err
	},
	"renew": func(d *caddyfile.Dispenser, p *downloadtoken.Profile) (err error) {
		p.Renew = new(downloadtoken.RenewKey)
		p.Renew.Alg, p.Renew.Key, p.Renew.KeyID, err = keyOf(d, "renew ES256 {file./etc/caddy/renew.pem}")
		return err
	},
}

// keyOf reads a key, and its ID in a block.
func keyOf(d *caddyfile.Dispenser, example string) (alg, key, kid string, err error) {
	name := d.Val()
	if !d.Args(&alg, &key) || d.NextArg() {
		return "", "", "", usage(d, name, example)
	}
	err = unmarshalOptions(d, name, into(&kid, map[string]func(*caddyfile.Dispenser, *string) error{
		"kid": word(func(kid *string) *string { return kid }, "kid 2027"),
	}))
	return alg, key, kid, err
}
