package caddyfile

import (
	"math"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/upload"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("download_token_upload", parseUploadDirective)
	// Behind download_token, and before what answers all that it leaves.
	httpcaddyfile.RegisterDirectiveOrder("download_token_upload", httpcaddyfile.Before, "respond")
}

// parseUploadDirective sets up the handler that stores files. Syntax:
//
//	download_token_upload [<matcher>] {
//		root <path>
//		max_size <size>
//		content_type <type>...
//		mkdir
//	}
//
// Each may be given once, and the block be left out.
func parseUploadDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	u := new(upload.Upload)
	return u, unmarshalBlock(h.Dispenser, into(u, uploadSubdirectives))
}

// uploadSubdirectives are those of the handler that stores files.
var uploadSubdirectives = map[string]func(*caddyfile.Dispenser, *upload.Upload) error{
	"root":         word(func(u *upload.Upload) *string { return &u.Root }, "root /srv/inbox"),
	"max_size":     parseMaxSize,
	"content_type": list(func(u *upload.Upload) *[]string { return &u.ContentType }, "content_type image/* application/pdf"),
	"mkdir":        flag(func(u *upload.Upload) *bool { return &u.Mkdir }),
}

// parseMaxSize reads
//
//	max_size <size>
func parseMaxSize(d *caddyfile.Dispenser, u *upload.Upload) error {
	var text string
	if err := word(func(*upload.Upload) *string { return &text }, "max_size 100MiB")(d, u); err != nil {
		return err
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > math.MaxInt64 {
		return d.Errf("max_size: '%s' is not a size; write it like this: max_size 100MiB", text)
	}
	u.MaxSize = int64(size)
	return nil
}
