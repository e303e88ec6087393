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

// parsePage reads
//
//	page {
//		title <name of the site>
//		contact <text|mail address|URL>
//	}
func parsePage(d *caddyfile.Dispenser, h *downloadtoken.Handler) error {
	h.Page = new(downloadtoken.Page)
	if d.NextArg() {
		return d.Errf("page: unexpected argument '%s'; write title and contact into a block, one a line", d.Val())
	}
	err := unmarshalOptions(d, "page", into(h.Page, map[string]func(*caddyfile.Dispenser, *downloadtoken.Page) error{
		"title":   word(func(p *downloadtoken.Page) *string { return &p.Title }, `title "Example Files"`),
		"contact": word(func(p *downloadtoken.Page) *string { return &p.Contact }, "contact help@example.com"),
	}))
	if err == nil && *h.Page == (downloadtoken.Page{}) {
		return d.Err("page: says nothing; write title or contact into its block")
	}
	return err
}
