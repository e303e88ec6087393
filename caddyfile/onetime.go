package caddyfile

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// parseOneTime reads
//
//	one_time [<claim>...] {
//		spend response|request
//		resume <window> [<copies>|random] {
//			roam
//			past_exp
//		}
//		uses <n>
//		uses claim <name> [<max>]
//		per token
//		per path [<index file>...]
//	}
func parseOneTime(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	h.OneTime = &downloadtoken.OneTime{Claim: d.RemainingArgs()}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("one_time: %s specified more than once", option)
		}
		seen[option] = true
		args := d.RemainingArgs()
		var err error
		switch {
		case option == "resume":
			h.OneTime.Resume, err = parseResume(d, args)
		case option == "uses":
			err = parseUses(d, h.OneTime, args)
		case option == "per" && len(args) > 1:
			if args[0] != "path" {
				return d.Err("one_time: only per path takes more, the names of index files; write it like this: per path index.html")
			}
			h.OneTime.Per, h.OneTime.Index = args[0], args[1:]
		case option == "roam", option == "past_exp":
			err = d.Errf("one_time: %s belongs into a block of resume", option)
		case option != "spend" && option != "per":
			err = d.Errf("one_time: unrecognized option '%s'; it has spend, resume, uses and per", option)
		case len(args) != 1:
			err = d.Errf("one_time: %s takes one argument", option)
		default:
			err = parseOneTimeOption(d, h.OneTime, option, args[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseOneTimeOption(d *caddyfile.Dispenser, o *downloadtoken.OneTime, option, value string) error {
	switch option {
	case "spend":
		if value != "response" && value != "request" {
			return d.Errf("one_time: spend is response or request, not '%s'", value)
		}
		o.Spend = value
	case "per":
		if value != "token" && value != "path" {
			return d.Errf("one_time: per is token or path, not '%s'", value)
		}
		o.Per = value
	}
	return nil
}

// parseUses reads
//
//	uses <n>
//	uses claim <name> [<max>]
func parseUses(d *caddyfile.Dispenser, o *downloadtoken.OneTime, args []string) error {
	count := args
	if len(args) > 0 && args[0] == "claim" {
		if len(args) < 2 || len(args) > 3 {
			return d.Err("one_time: uses claim takes the name of a claim, and perhaps the most that it can say; write it like this: uses claim max_uses 5")
		}
		o.UsesClaim, count = args[1], args[2:]
		if len(count) == 0 {
			return nil
		}
	}
	if len(count) != 1 {
		return d.Err("one_time: uses takes one argument")
	}
	n, err := strconv.Atoi(count[0])
	if err != nil || n < 1 {
		return d.Errf("one_time: uses must be a whole number of at least 1, not '%s'", count[0])
	}
	o.Uses = n
	return nil
}

// parseResume reads
//
//	resume <window> [<copies>|random] {
//		roam
//		past_exp
//	}
func parseResume(d *caddyfile.Dispenser, args []string) (*downloadtoken.Resume, error) {
	if len(args) < 1 || len(args) > 2 {
		return nil, d.Err("one_time: resume takes a window, and perhaps a number of copies; write it like this: resume 1h 2")
	}
	window, err := caddy.ParseDuration(args[0])
	if err != nil {
		return nil, d.Errf("one_time: resume: '%s' is not a duration; write it like this: resume 1h", args[0])
	}
	r := &downloadtoken.Resume{Window: caddy.Duration(window)}
	if len(args) == 2 {
		switch r.Copies, err = strconv.Atoi(args[1]); {
		case args[1] == "random":
			r.Copies = downloadtoken.RandomCopies
		case args[1] == "roam", args[1] == "past_exp":
			return nil, d.Errf("one_time: resume: %s belongs into the block, on a line of its own", args[1])
		case err != nil || r.Copies < 1:
			return nil, d.Errf("one_time: resume: copies must be a whole number of at least 1, or random, not '%s'", args[1])
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch option := d.Val(); {
		case option == "roam" && !d.NextArg():
			r.Roam = true
		case option == "past_exp" && !d.NextArg():
			r.PastExp = true
		default:
			return nil, d.Errf("one_time: resume: unrecognized option '%s'; it has roam and past_exp, without an argument", option)
		}
	}
	return r, nil
}
