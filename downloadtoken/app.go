package downloadtoken

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

func init() {
	caddy.RegisterModule(App{})
}

// DefaultStore is the name of the store that is used if none is named.
const DefaultStore = "default"

// App holds the stores that remember which one-time tokens were used. It need
// not be configured: the store `default` is a memory store unless said
// otherwise.
type App struct {
	// The stores by name. Handlers that name the same store share what it
	// remembers, across sites and across config reloads. Default: one store named
	// `default`, of type `memory`.
	StoresRaw map[string]json.RawMessage `json:"stores,omitempty" caddy:"namespace=download_token.stores inline_key=type"`

	modules  map[string]StoreModule
	open     map[string]Store
	policies map[policyKey]policyUse
}

// StoreModule is a module in the namespace download_token.stores. Provision
// must not touch anything outside the process, because it also runs for `caddy
// validate`.
type StoreModule interface {
	caddy.Module

	// Open returns the store of that name, which outlives the configuration. It
	// is called at most once, after Provision; Cleanup lets go of it again.
	Open(name string) (Store, error)

	// Start is called when the configuration takes over, and applies its
	// settings to the store.
	Start() error
}

// Store is a [nonce.Store] that several configurations share.
type Store interface {
	nonce.Store

	// Hold keeps the store from being closed while a request is in flight that
	// may outlive its configuration. The request calls letGo when it is done. A
	// store that is closed already answers [nonce.ErrUnavailable].
	Hold() (letGo func(), err error)
}

// policyKey is what must be used in one way only: the tokens of one signing key
// in one store.
type policyKey struct {
	store  string
	signer nonce.Signer
}

// policyUse is the way in which they are used.
type policyUse struct {
	policy string
	uses   int
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
		a.modules[name] = m
	}
	return nil
}

// Start applies the configuration to the stores that are in use.
func (a *App) Start() error {
	for name := range a.open {
		if err := a.modules[name].Start(); err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
	}
	return nil
}

// Stop does nothing; the stores are let go of by their modules' Cleanup.
func (a *App) Stop() error { return nil }

// store opens the named store, once for all handlers.
func (a *App) store(name string) (Store, error) {
	if s, ok := a.open[name]; ok {
		return s, nil
	}
	m, ok := a.modules[name]
	if !ok {
		return nil, fmt.Errorf("store %s is not configured: add it to the global option download_token", name)
	}
	s, err := m.Open(name)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	a.open[name] = s
	return s, nil
}

// agree checks that all handlers use the tokens of a signing key in a store in
// the same way: a nonce that one of them spends per token and another per path
// could be used once with each.
func (a *App) agree(store string, signer nonce.Signer, policy string, uses int) error {
	key, use := policyKey{store, signer}, policyUse{policy, uses}
	if known, ok := a.policies[key]; ok && known != use {
		return fmt.Errorf("one_time: another download_token directive uses the same key with store %s, "+
			"but with other nonce claims, uses or per; make them equal, or give one of them a store of its own", store)
	}
	a.policies[key] = use
	return nil
}

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
