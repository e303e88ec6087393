// Package bolt is the store download_token.stores.bolt: it remembers which tokens were
// used in a file, written and synced before the first byte of an answer goes out, so
// that a crash costs nothing. What it promises is in package rules.
//
// engine is the store itself, a writer puts what is spent into the file. [Bolt] is the
// module.
package bolt

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
)

func init() {
	caddy.RegisterModule(Bolt{})
}

// Bolt remembers used tokens in a file on this machine. A token is in the file, synced,
// before the first byte of its answer goes out: after a crash nothing is honoured
// twice, and links that were not used work at once. Downloads that are open survive
// reloads and clean restarts, as with the memory store, and end with a crash. It does
// not share them with other servers.
//
// It has no capacity: while the disk is full, one-time requests are refused with 503,
// and use nothing up. Expired tokens make room for others; the file does not shrink.
type Bolt struct {
	// The absolute path of the file, which is made if there is none, readable by
	// Caddy's user alone. Its folder must exist, on a disk of this machine: network file
	// systems often do not lock or sync as they say. Only one process can have it
	// open. Placeholders are replaced once, at load. Required.
	File string `json:"file,omitempty"`

	path   string // File without placeholders
	logger *zap.Logger
	store.Tenant[*engine]
}

// pool holds the open stores of the process, by path.
var pool store.Pool[*engine]

// CaddyModule returns the Caddy module information.
func (Bolt) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "download_token.stores.bolt",
		New: func() caddy.Module { return new(Bolt) },
	}
}

// Provision finds out where the file is.
func (b *Bolt) Provision(ctx caddy.Context) error {
	path, err := caddy.NewReplacer().ReplaceOrErr(b.File, true, true)
	if err != nil {
		return fmt.Errorf("store bolt: %w", err)
	}
	b.path, b.logger = filepath.Clean(path), ctx.Logger()
	return nil
}

// Validate checks the path.
func (b *Bolt) Validate() error {
	if !filepath.IsAbs(b.path) {
		return fmt.Errorf("store bolt: the file must be an absolute path, such as /var/lib/caddy/tokens.bolt, not '%s'", b.path)
	}
	return nil
}

// Place implements [store.Placed].
func (b *Bolt) Place() string { return b.path }

// Open implements [store.Module]. Stores of two names in one file are one. The file is
// touched only when the store is started.
func (b *Bolt) Open(string) (store.Handle, error) {
	return b.Join(&pool, b.path, settings{b}), nil
}

// settings are those of a module. They implement [store.Settings]: there is nothing
// that a reload could change.
type settings struct{ *Bolt }

// Begin opens the file.
func (s settings) Begin() (*engine, error) { return openEngine(s.path, time.Now(), s.logger) }

// Claim has nothing to do.
func (settings) Claim(*engine) error { return nil }

// Apply has nothing to do.
func (settings) Apply(*engine) error { return nil }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	bolt <file>
func (b *Bolt) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the type
	if !d.AllArgs(&b.File) {
		return d.Err("store bolt: it takes one argument, the absolute path of its file, such as: store bolt /var/lib/caddy/tokens.bolt")
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("store bolt: unrecognized subdirective '%s'; it has none", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Bolt)(nil)
	_ caddy.Validator       = (*Bolt)(nil)
	_ caddy.CleanerUpper    = (*Bolt)(nil)
	_ caddyfile.Unmarshaler = (*Bolt)(nil)
	_ store.Placed          = (*Bolt)(nil)
)
