package caddyfile

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// parseConfirm reads
//
//	confirm [always] [<template file>]
func parseConfirm(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	h.Confirm = new(downloadtoken.Confirm)
	args := d.RemainingArgs()
	if len(args) > 0 && args[0] == "always" {
		h.Confirm.Always = true
		args = args[1:]
	}
	if len(args) > 1 || len(args) == 1 && args[0] == "" {
		return usage(d, "confirm", "confirm always /etc/caddy/download.html")
	}
	if len(args) == 1 {
		h.Confirm.Template = args[0]
	}
	return noBlock(d, "confirm")
}
