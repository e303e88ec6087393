// Package memory is the store download_token.stores.memory: it remembers which tokens
// were used in the memory of the process, and keeps in Caddy's storage what it needs
// to go on after a restart. What it promises is in package rules.
//
// engine is the store itself. A ledger holds its entries: a table finds them, and
// trees have them in the order in which they are given up. durable is an engine and
// what it keeps in storage. [Memory] is the module.
package memory

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
)

func init() {
	caddy.RegisterModule(Memory{})
}

// DefaultCapacity is the number of tokens that a memory store remembers.
const DefaultCapacity = 1_000_000

// Memory remembers used tokens in the memory of this process. It keeps them
// across config reloads and, by a snapshot in Caddy's storage, across clean
// restarts. After a crash it refuses, as unproven, what was issued before the
// last token that was honoured. It does not share them with other servers.
//
// When it is full it forgets first what has expired, then what expires soonest;
// the tokens of that signing key that expire no later are refused as unproven
// from then on, so that being full never makes a token usable twice.
type Memory struct {
	// The number of tokens to remember. About 60 bytes of memory are used for
	// each token that has been used and has not expired. Default: 1000000.
	Capacity int `json:"capacity,omitempty"`

	storage certmagic.Storage
	logger  *zap.Logger
	name    string
	store.Tenant[*durable]
}

// pool holds the open stores of the process.
var pool store.Pool[*durable]

// CaddyModule returns the Caddy module information.
func (Memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "download_token.stores.memory",
		New: func() caddy.Module { return new(Memory) },
	}
}

// Provision sets the default.
func (m *Memory) Provision(ctx caddy.Context) error {
	if m.Capacity == 0 {
		m.Capacity = DefaultCapacity
	}
	m.storage, m.logger = ctx.Storage(), ctx.Logger()
	return nil
}

// Validate checks the capacity.
func (m *Memory) Validate() error {
	if m.Capacity < 1 {
		return fmt.Errorf("capacity must be at least 1, not %d", m.Capacity)
	}
	return nil
}

// Open implements [store.Module]. Storage is touched only when the store is started: a
// configuration that fails to load, or is only validated, must leave no trace.
func (m *Memory) Open(name string) (store.Handle, error) {
	m.name = name
	return m.Join(&pool, name, settings{m}), nil
}

// settings are those of a module. They implement [store.Settings].
type settings struct{ *Memory }

// Begin opens the store.
func (s settings) Begin() (*durable, error) {
	k, err := keep(s.storage, s.name)
	if err != nil {
		return nil, err
	}
	return begin(k, s.Capacity, time.Now(), s.logger)
}

// Claim makes sure that an open store can move to the storage of the module.
func (s settings) Claim(open *durable) error {
	k, err := keep(s.storage, s.name)
	if err != nil {
		return err
	}
	return open.claim(k)
}

// Apply brings the settings into force for a store that is open.
func (s settings) Apply(open *durable) error {
	k, err := keep(s.storage, s.name)
	if err != nil {
		return err
	}
	if err := open.claim(k); err != nil {
		return err
	}
	open.SetCapacity(s.Capacity, time.Now())
	return open.move(k)
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	memory {
//		capacity <n>
//	}
func (m *Memory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the type
	if d.NextArg() {
		return d.Errf("store memory: unexpected argument '%s'; settings go into a block", d.Val())
	}
	seen := false
	for d.NextBlock(d.Nesting()) {
		if d.Val() != "capacity" {
			return d.Errf("store memory: unrecognized subdirective '%s'; it has only capacity", d.Val())
		}
		if seen {
			return d.Err("store memory: capacity specified more than once")
		}
		seen = true
		var text string
		if !d.AllArgs(&text) {
			return d.Err("store memory: capacity takes one argument, the number of tokens to remember")
		}
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil || n < 1 {
			return d.Errf("store memory: capacity must be a whole number of at least 1, not '%s'", text)
		}
		m.Capacity = n
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Memory)(nil)
	_ caddy.Validator       = (*Memory)(nil)
	_ caddy.CleanerUpper    = (*Memory)(nil)
	_ caddyfile.Unmarshaler = (*Memory)(nil)
	_ store.Module          = (*Memory)(nil)
)
