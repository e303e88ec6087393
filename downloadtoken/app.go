package downloadtoken

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

func init() {
	caddy.RegisterModule(App{})
}

// DefaultStore is the name of the store that is used if none is named.
const DefaultStore = "default"

// App holds the stores that remember which one-time tokens were used and which
// tokens were revoked. It need not be configured: the store `default` is a memory store unless said
// otherwise.
type App struct {
	// The stores by name, in lower case. Handlers that name the same store share what it
	// remembers, across sites and across config reloads. Default: one store named
	// `default`, of type `memory`.
	StoresRaw map[string]json.RawMessage `json:"stores,omitempty" caddy:"namespace=download_token.stores inline_key=type"`

	modules  map[string]StoreModule
	open     map[string]Store
	policies map[policyKey]policyUse
	onStart  []func()
	stage    stage // of the registry
}

// StoreModule is a module in the namespace download_token.stores. Provision and
// Open must not touch anything outside the process, because they also run for
// `caddy validate`.
type StoreModule interface {
	caddy.Module

	// Open returns the store of that name, which outlives the configuration. It
	// is called at most once, after Provision; Cleanup lets go of it again.
	Open(name string) (Store, error)

	// Start is called when the configuration takes over. It makes the store
	// ready, if it is new, and applies its settings.
	Start() error

	// Stopping is called when the process is about to exit, before requests in
	// flight are waited for. From then on the store honours nothing.
	Stopping() error
}

// Store is what several configurations share and several requests use.
type Store interface {
	// Hold waits until the store is ready, and keeps it from being closed while
	// a request is in flight that may outlive its configuration. A store that is
	// closed already answers [nonce.ErrUnavailable].
	Hold(ctx context.Context) (HeldStore, error)
}

// HeldStore is a store as long as it is held.
type HeldStore interface {
	nonce.Store

	// Revoked reports whether the token was taken back.
	Revoked(t nonce.Revocable, now time.Time) bool

	// Revoke takes tokens back, durably when it returns. What is taken back
	// already, for as long, costs nothing. [nonce.ErrRevocationsFull]: there is no
	// room until other revocations are over.
	Revoke(ctx context.Context, r nonce.Revocation, now time.Time) error

	// Revocations are those in force at now.
	Revocations(now time.Time) []nonce.Revocation

	// LetGo ends the hold, once.
	LetGo()
}

// policyKey is what must be used in one way only: the tokens of one signing key
// in one store.
type policyKey struct {
	store  string
	signer nonce.Signer
}

// policyUse is the way in which they are used.
type policyUse struct {
	policy    string
	uses      int
	usesClaim string

	// maxTTL matters for tokens without iat: after storage was lost, it tells
	// those that were issued before. 0 if iat is required.
	maxTTL time.Duration
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "download_token",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision loads the store modules.
func (a *App) Provision(ctx caddy.Context) error {
	a.modules = make(map[string]StoreModule)
	a.open = make(map[string]Store)
	a.policies = make(map[policyKey]policyUse)
	a.OnStart(func() { warnOfErrorRoutes(ctx, ctx.Logger()) })
	loaded := make(map[string]any)
	if a.StoresRaw != nil {
		mods, err := ctx.LoadModule(a, "StoresRaw")
		if err != nil {
			return fmt.Errorf("loading stores: %w", err)
		}
		loaded = mods.(map[string]any)
	}
	if _, ok := loaded[DefaultStore]; !ok {
		mod, err := ctx.LoadModuleByID("download_token.stores.memory", nil)
		if err != nil {
			return fmt.Errorf("loading the default store: %w", err)
		}
		loaded[DefaultStore] = mod
	}
	for name, mod := range loaded {
		m, ok := mod.(StoreModule)
		if !ok {
			return fmt.Errorf("store %s: module %T cannot be used as a store", name, mod)
		}
		if !validName(name) {
			return fmt.Errorf("store %s: a name has lower-case letters, digits, - and _", name)
		}
		a.modules[name] = m
	}
	return a.listen(ctx)
}

// validName reports whether name can be part of a key in any storage.
func validName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Start applies the configuration to the stores that are in use.
func (a *App) Start() error {
	for name := range a.open {
		if err := a.modules[name].Start(); err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
	}
	for _, f := range a.onStart {
		f()
	}
	apps.start(a)
	return nil
}

// OnStart has f called when the configuration takes over. f must not block.
func (a *App) OnStart(f func()) { a.onStart = append(a.onStart, f) }

// store opens the named store, once for all handlers.
func (a *App) store(name string) (Store, error) {
	if s, ok := a.open[name]; ok {
		return s, nil
	}
	m, ok := a.modules[name]
	if !ok {
		return nil, fmt.Errorf("store %s is not configured: write store %[1]s memory into a block of the global option download_token, or leave the line out for the default store", name)
	}
	s, err := m.Open(name)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	a.open[name] = s
	return s, nil
}

// Revoke takes tokens back in the named store, durably when it returns.
func (a *App) Revoke(ctx context.Context, store string, r nonce.Revocation) error {
	s, ok := a.open[store]
	if !ok {
		return fmt.Errorf("no download_token directive uses a store named %s", store)
	}
	held, err := s.Hold(ctx)
	if err != nil {
		return err
	}
	defer held.LetGo()
	return held.Revoke(ctx, r, time.Now())
}

// agree checks that all handlers use the tokens of a signing key in a store in
// the same way: a nonce that one of them spends per token and another per path
// could be used once with each.
func (a *App) agree(store string, signer nonce.Signer, use policyUse) error {
	key := policyKey{store, signer}
	if known, ok := a.policies[key]; ok && known != use {
		return fmt.Errorf("one_time: another download_token directive uses the same key with store %s, but with other nonce claims, "+
			"uses, per, or (where iat is not required) max_ttl; make them equal, or give one of them a key of its own", store)
	}
	if apps.usedElsewhere(signer, store) {
		return fmt.Errorf("store: the running configuration uses the same key with another store, or one before it has, and both would "+
			"honour a token; go on using that one, or restart Caddy to change to %s", store)
	}
	a.policies[key] = use
	return nil
}

// uses reports whether one-time tokens of the key are used in any store.
func (a *App) uses(signer nonce.Signer) bool {
	for key := range a.policies {
		if key.signer == signer {
			return true
		}
	}
	return false
}

// usesIn reports whether one-time tokens of the key are used in the store.
func (a *App) usesIn(signer nonce.Signer, store string) bool {
	_, ok := a.policies[policyKey{store, signer}]
	return ok
}

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
