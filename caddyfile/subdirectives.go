package caddyfile

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

// usage is the error for wrong arguments of the current subdirective, or of
// option within it.
func usage(d *caddyfile.Dispenser, name, example string) error {
	return d.Errf("%s: wrong number of arguments; write it like this: %s", name, example)
}

// noBlock makes sure that nothing follows the arguments.
func noBlock(d *caddyfile.Dispenser, name string) error {
	if d.NextBlock(d.Nesting()) {
		return d.Errf("%s: takes no block, so '%s' means nothing here", name, d.Val())
	}
	return nil
}

// word reads a subdirective of exactly one argument.
func word[T any](field func(T) *string, example string) func(*caddyfile.Dispenser, T) error {
	return func(d *caddyfile.Dispenser, v T) error {
		name := d.Val()
		args := d.RemainingArgs()
		if len(args) != 1 || args[0] == "" {
			return usage(d, name, example)
		}
		*field(v) = args[0]
		return noBlock(d, name)
	}
}

// flag reads a subdirective that has no argument.
func flag[T any](field func(T) *bool) func(*caddyfile.Dispenser, T) error {
	return func(d *caddyfile.Dispenser, v T) error {
		name := d.Val()
		if d.NextArg() {
			return usage(d, name, name)
		}
		*field(v) = true
		return noBlock(d, name)
	}
}

// statusCode reads the argument that is a status code.
func statusCode(d *caddyfile.Dispenser, text, example string) (int, error) {
	code, err := strconv.Atoi(text)
	if err != nil {
		return 0, d.Errf("status: '%s' is not a status code; write it like this: %s", text, example)
	}
	return code, nil
}

// parseFrom reads
//
//	from query|path|header|cookie <name>...
//	from basic [<user>...]
func parseFrom(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) == 1 && args[0] != "basic" {
		return usage(d, "from", "from query download_token")
	}
	switch args[0] {
	case "query", "path", "header", "cookie", "basic":
	default:
		return d.Errf("from: unknown source '%s'; write query, path, header, cookie or basic", args[0])
	}
	h.From = append(h.From, downloadtoken.Source{In: args[0], Name: args[1:]})
	return noBlock(d, "from")
}

// parseScope reads
//
//	scope <kind> [<args>...] {
//		...
//	}
//
// The kind is a module that reads the rest.
func parseScope(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	if !d.NextArg() {
		return usage(d, "scope", "scope template dataset:{id} /datasets/{id}/*")
	}
	kind := d.Val()
	info, err := scopes.Kind(kind)
	if err != nil {
		return d.Errf("scope: %v", err)
	}
	module := info.New()
	unmarshaler, ok := module.(caddyfile.Unmarshaler)
	if !ok {
		return d.Errf("scope %s: cannot be used in a Caddyfile", kind)
	}
	rest := d.NewFromNextSegment()
	if err := unmarshaler.UnmarshalCaddyfile(rest); err != nil {
		return err
	}
	h.ScopeRaw = append(h.ScopeRaw, caddyconfig.JSONModuleObject(module, "type", kind, nil))
	return noBlock(rest, "scope")
}

// parseAttachment reads
//
//	attachment [<filename>]
func parseAttachment(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	args := d.RemainingArgs()
	if len(args) > 1 {
		return usage(d, "attachment", `attachment "Annual report.pdf"`)
	}
	h.Attachment = new(downloadtoken.Attachment)
	if len(args) == 1 {
		h.Attachment.Filename = args[0]
	}
	return noBlock(d, "attachment")
}

// parseChallenge reads
//
//	challenge <scheme> [<realm>]
func parseChallenge(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return usage(d, "challenge", `challenge Bearer "Project files"`)
	}
	h.Challenge = &downloadtoken.Challenge{Scheme: args[0]}
	if len(args) == 2 {
		h.Challenge.Realm = args[1]
	}
	return noBlock(d, "challenge")
}

// parseCache reads
//
//	cache off|<entries>
func parseCache(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	const example = "cache 50000"
	args := d.RemainingArgs()
	if len(args) != 1 {
		return usage(d, "cache", example)
	}
	h.Cache = -1
	if args[0] != "off" {
		entries, err := strconv.Atoi(args[0])
		if err != nil || entries < 1 {
			return d.Errf("cache: '%s' is not a number of tokens; write off, or it like this: %s", args[0], example)
		}
		h.Cache = entries
	}
	return noBlock(d, "cache")
}

// parseStatus reads
//
//	status <code> [<reason>...]
func parseStatus(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	const example = "status 410 replayed"
	args := d.RemainingArgs()
	if len(args) == 0 {
		return usage(d, "status", example)
	}
	code, err := statusCode(d, args[0], example)
	if err != nil {
		return err
	}
	h.Status = append(h.Status, downloadtoken.Status{Code: code, Reason: args[1:]})
	return noBlock(d, "status")
}
