package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/downloads"
	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
)

func init() {
	caddy.RegisterModule(App{})
}

// DefaultName is the name of the store that is used if none is named.
const DefaultName = "default"

// App holds the stores that remember which one-time tokens were used and which
// tokens were revoked. It need not be configured: the store `default` is a memory store unless said
// otherwise.
type App struct {
	// The stores by name, in lower case. Handlers that name the same store share what it
	// remembers, across sites and across config reloads. Default: one store named
	// `default`, of type `memory`.
	StoresRaw map[string]json.RawMessage `json:"stores,omitempty" caddy:"namespace=download_token.stores inline_key=type"`

	storage  certmagic.Storage
	logger   *zap.Logger
	modules  map[string]Module
	open     map[string]Handle
	policies map[policyKey]Policy
	names    map[string]string       // of places: see lasting
	moved    map[policyKey]time.Time // keys that were used with another store before
	started  chan struct{}           // closed when it is
	onStart  []func()
	asked    map[string]bool          // names of OnStartOnce
	stage    stage                    // of the registry
	outlived map[string]time.Duration // see Outlive; by place

	delivered func(downloads.Report) // see OnDelivered
}

// Module is a guest module in the namespace download_token.stores. Provision and
// Open must not touch anything outside the process, because they also run for
// `caddy validate`.
type Module interface {
	caddy.Module

	// Open returns the store of that name, which outlives the configuration; a
	// [Pool] makes it so. It is called at most once, after Provision; Cleanup lets
	// go of it again.
	Open(name string) (Handle, error)

	// Start is called when the configuration takes over. It makes the store
	// ready, if it is new, and applies its settings.
	Start() error

	// Stopping is called when the process is about to exit, before requests in
	// flight are waited for. From then on the store honours nothing.
	Stopping() error
}

// policyKey is what must be used in one way only: the tokens of one signing key
// in the store of one place.
type policyKey struct {
	store  string
	signer rules.Signer
}

// Policy is the way in which a directive uses one-time tokens.
type Policy struct {
	Keys      string // how nonces become keys, see [rules.Presentation]
	Uses      int    // how often a token may be used
	UsesClaim string // the claim that says so; "" if none does

	// MaxTTL matters for tokens without iat: after storage was lost, it tells
	// those that were issued before. 0 if iat is required.
	MaxTTL time.Duration
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
	a.modules = make(map[string]Module)
	a.open = make(map[string]Handle)
	a.policies = make(map[policyKey]Policy)
	a.names, a.moved = make(map[string]string), make(map[policyKey]time.Time)
	a.started = make(chan struct{})
	a.storage, a.logger = ctx.Storage(), ctx.Logger()
	a.asked, a.outlived = make(map[string]bool), make(map[string]time.Duration)
	loaded := make(map[string]any)
	if a.StoresRaw != nil {
		mods, err := ctx.LoadModule(a, "StoresRaw")
		if err != nil {
			return fmt.Errorf("loading stores: %w", err)
		}
		loaded = mods.(map[string]any)
	}
	if _, ok := loaded[DefaultName]; !ok {
		mod, err := ctx.LoadModuleByID("download_token.stores.memory", nil)
		if err != nil {
			return fmt.Errorf("loading the default store: %w", err)
		}
		loaded[DefaultName] = mod
	}
	for name, mod := range loaded {
		m, ok := mod.(Module)
		if !ok {
			return fmt.Errorf("store %s: module %T cannot be used as a store", name, mod)
		}
		if !validName(name) {
			return fmt.Errorf("store %s: a name has lower-case letters, digits, - and _", name)
		}
		a.modules[name] = m
	}
	if err := metrics.Register(ctx, durations, failures, contents, grantsOpen); err != nil {
		return err
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
	if err := a.move(time.Now()); err != nil {
		return err
	}
	close(a.started)
	for _, f := range a.onStart {
		f()
	}
	apps.start(a)
	return nil
}

// OnStart has f called when the configuration takes over. f must not block.
func (a *App) OnStart(f func()) { a.onStart = append(a.onStart, f) }

// OnStartOnce is OnStart for what is to be done once for a configuration, whichever
// of those that use the name asks for it first.
func (a *App) OnStartOnce(name string, f func()) {
	if !a.asked[name] {
		a.asked[name] = true
		a.OnStart(f)
	}
}

// Open opens the named store, once for all handlers.
func (a *App) Open(name string) (Handle, error) {
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
	a.open[name] = arrivals{observe(name, s), a, name, a.place(name)}
	return a.open[name], nil
}

// Outlive notes that a grant in the named store may be open for as long as window after
// the exp of its token.
func (a *App) Outlive(store string, window time.Duration) {
	place := a.place(store)
	a.outlived[place] = max(a.outlived[place], window)
}

// Outlived is how long a grant in the named store may be open after the exp of its
// token, at most. 0: it ends with it.
func (a *App) Outlived(store string) time.Duration { return a.outlived[a.place(store)] }

// Revoke takes tokens back in the named store, durably when it returns: for as long as r
// says, and until the grants that are open by now have ended, where they may outlive
// their tokens.
func (a *App) Revoke(ctx context.Context, store string, r rules.Revocation) error {
	if ended := time.Now().Add(a.Outlived(store)); !r.Until.IsZero() && r.Until.Before(ended) {
		r.Until = ended.UTC()
	}
	return a.holding(ctx, store, func(s Handle) error { return s.Revoke(ctx, r, time.Now()) })
}

// reinstate takes a revocation back.
func (a *App) reinstate(ctx context.Context, store string, r rules.Revocation) error {
	return a.holding(ctx, store, func(s Handle) error { return s.Reinstate(ctx, r, time.Now()) })
}

// holding works with the named store.
func (a *App) holding(ctx context.Context, store string, work func(Handle) error) error {
	s, ok := a.open[store]
	if !ok {
		return fmt.Errorf("no download_token directive uses a store named %s", store)
	}
	if err := s.Hold(ctx); err != nil {
		return err
	}
	defer s.LetGo()
	return work(s)
}

// Agree checks that all handlers use the tokens of a signing key in a store in
// the same way: a nonce that one of them spends per token and another per path
// could be used once with each.
func (a *App) Agree(store string, signer rules.Signer, use Policy) error {
	place := a.place(store)
	key := policyKey{place, signer}
	if known, ok := a.policies[key]; ok && known != use {
		return fmt.Errorf("one_time: another download_token directive uses the same key with store %s, but with other nonce claims, "+
			"uses, per, or (where iat is not required) max_ttl; make them equal, or give one of them a key of its own", store)
	}
	if apps.usedElsewhere(signer, place) {
		return fmt.Errorf("store: the running configuration uses the same key with another store, or one before it has, and both would "+
			"honour a token; go on using that one, or restart Caddy to change to %s", store)
	}
	a.policies[key], a.names[place] = use, a.lasting(store)
	return nil
}

// uses reports whether one-time tokens of the key are used in any store.
func (a *App) uses(signer rules.Signer) bool {
	for key := range a.policies {
		if key.signer == signer {
			return true
		}
	}
	return false
}

// usesIn reports whether one-time tokens of the key are used in the store of the place.
func (a *App) usesIn(signer rules.Signer, place string) bool {
	_, ok := a.policies[policyKey{place, signer}]
	return ok
}

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
