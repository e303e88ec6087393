// Package stores has the modules of the namespace download_token.stores: what
// remembers which one-time tokens were used and which tokens were revoked. They
// are thin; what they promise and how is in package nonce.
package stores

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
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
	// The number of tokens to remember. About 170 bytes of memory are used for
	// each token that has been used and has not expired. Default: 1000000.
	Capacity int `json:"capacity,omitempty"`

	storage certmagic.Storage
	logger  *zap.Logger
	name    string
	held    *shared
	running bool // started, and not let go
}

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

// Open implements [downloadtoken.StoreModule].
func (m *Memory) Open(name string) (downloadtoken.Store, error) {
	m.name, m.held = name, acquire("memory/"+name)
	return m.held, nil
}

// Start implements [downloadtoken.StoreModule]. Only now is storage touched: a
// configuration that fails to load, or is only validated, must leave no trace.
func (m *Memory) Start() error {
	err := m.held.start(m)
	m.running = err == nil
	return err
}

// begin opens the store with the settings of m.
func (m *Memory) begin() (*memory, error) {
	k, err := keep(m.storage, m.name)
	if err != nil {
		return nil, err
	}
	return startMemory(k, m.Capacity, time.Now(), m.logger)
}

// claim makes sure that an open store can move to the storage of m.
func (m *Memory) claim(open *memory) error {
	k, err := keep(m.storage, m.name)
	if err != nil {
		return err
	}
	return open.claim(k)
}

// apply brings the settings of m into force for a store that is open.
func (m *Memory) apply(open *memory) error {
	k, err := keep(m.storage, m.name)
	if err != nil {
		return err
	}
	if err := open.claim(k); err != nil {
		return err
	}
	open.SetCapacity(m.Capacity, time.Now())
	return open.move(k)
}

// Stopping implements [downloadtoken.StoreModule].
func (m *Memory) Stopping() error {
	if !m.held.isStarted() {
		return nil
	}
	return m.held.memory.stop()
}

// Cleanup lets go of the store; the last one to do so closes it.
func (m *Memory) Cleanup() error {
	if m.held == nil {
		return nil
	}
	held := m.held
	m.held = nil
	var err error
	if m.running {
		err = held.end(m)
	}
	return errors.Join(err, held.letGo())
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
	_ caddy.Provisioner         = (*Memory)(nil)
	_ caddy.Validator           = (*Memory)(nil)
	_ caddy.CleanerUpper        = (*Memory)(nil)
	_ caddyfile.Unmarshaler     = (*Memory)(nil)
	_ downloadtoken.StoreModule = (*Memory)(nil)
)
