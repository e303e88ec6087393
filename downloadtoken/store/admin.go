package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin serves what operators need of the stores through Caddy's admin API:
//
// GET /download_token/stores answers with the stores that are in use, by name.
//
// POST /download_token/revoke takes tokens back. The body is JSON and names
// exactly one thing: `nonce`, `token` (the token itself), `fingerprint` (of a
// token, as log lines have it), `sub` (or `user`), `kid`, or `issued_before` (RFC
// 3339). It may also name the `store` (default: default), the `issuer` that is
// meant (default: any), and until when the revocation is needed, as a time
// (`until`) or a duration (`for`, such as 24h; default: for ever). When it is
// answered with 200 the revocation is in force for every following request, and
// survives reload, restart and crash. A store that has [rules.MaxRevocations] of
// them in force takes no more (507).
//
// GET /download_token/revocations answers with the revocations in force of the
// stores that are in use, by name, the newest first.
//
// POST /download_token/reinstate takes such a revocation back: the one that names the
// same of the same issuer. 404: there is none.
//
// GET /download_token/tokens/<fingerprint> answers what became of a one-time token that
// was shown to this process lately: its `state` in the store, when it was seen and spent,
// and what is left of its grant.
//
// Revoking does not end downloads that have begun.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.download_token",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes implements caddy.AdminRouter.
func (a Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/download_token/stores", Handler: caddy.AdminHandlerFunc(a.stores)},
		{Pattern: "/download_token/revocations", Handler: caddy.AdminHandlerFunc(a.revocations)},
		{Pattern: "/download_token/tokens/", Handler: caddy.AdminHandlerFunc(a.tokens)},
		{Pattern: "/download_token/reinstate", Handler: caddy.AdminHandlerFunc(a.reinstate)},
		{Pattern: "/download_token/revoke", Handler: caddy.AdminHandlerFunc(a.revoke)},
	}
}

// storeInfo describes a store. One that cannot be asked has its type and the error.
type storeInfo struct {
	Type           string    `json:"type"`
	Error          string    `json:"error,omitzero"`
	Entries        int       `json:"entries"`
	Reserved       int       `json:"reserved"`
	Capacity       int       `json:"capacity"`
	EvictedLive    uint64    `json:"evicted_live"`
	EvictedExpired uint64    `json:"evicted_expired"`
	Floor          time.Time `json:"floor,omitzero"`
	Revocations    int       `json:"revocations"`
	Epoch          time.Time `json:"epoch,omitzero"`
	ClockAhead     float64   `json:"clock_ahead_seconds,omitzero"`
}

func describe(ctx context.Context, module Module, store Store) storeInfo {
	info := storeInfo{Type: strings.TrimPrefix(string(module.CaddyModule().ID), "download_token.stores.")}
	now := time.Now()
	stats, err := store.Stats(ctx, now)
	if err == nil {
		var revocations []rules.Revocation
		revocations, err = store.Revocations(ctx, now)
		info.Revocations = len(revocations)
	}
	if err != nil {
		info.Error = err.Error()
		return info
	}
	info.Entries, info.Reserved, info.Capacity = stats.Entries, stats.Reserved, stats.Capacity
	info.EvictedLive, info.EvictedExpired = stats.EvictedLive, stats.EvictedExpired
	info.Floor, info.Epoch, info.ClockAhead = stats.Floor, stats.Epoch, stats.ClockAhead.Seconds()
	return info
}

func (Admin) stores(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return adminError(http.StatusMethodNotAllowed, errors.New("method not allowed; use GET"))
	}
	infos := make(map[string]storeInfo)
	err := eachStore(r.Context(), func(name string, module Module, store Store) error {
		infos[name] = describe(r.Context(), module, store)
		return nil
	})
	if err != nil {
		return err
	}
	return answerJSON(w, infos)
}

func (Admin) revocations(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return adminError(http.StatusMethodNotAllowed, errors.New("method not allowed; use GET"))
	}
	inForce := make(map[string][]rules.Revocation)
	err := eachStore(r.Context(), func(name string, _ Module, store Store) (err error) {
		inForce[name], err = store.Revocations(r.Context(), time.Now())
		return err
	})
	if err != nil {
		return err
	}
	return answerJSON(w, inForce)
}

// answerJSON ends with a line break, for terminals.
func answerJSON(w http.ResponseWriter, document any) error {
	w.Header().Set("Content-Type", "application/json")
	if err := json.MarshalWrite(w, document, json.Deterministic(true)); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// eachStore hands over every store that is in use, by name.
func eachStore(ctx context.Context, do func(name string, module Module, store Store) error) error {
	used := inUse()
	if used == nil {
		return errNotInUse()
	}
	for name, app := range used {
		store := app.open[name]
		err := store.Hold(ctx)
		if err == nil {
			err = do(name, app.modules[name], store)
			store.LetGo()
		}
		if err != nil {
			return adminError(http.StatusServiceUnavailable, fmt.Errorf("store %s: %w", name, err))
		}
	}
	return nil
}

// inUse is, for the name of each store that is in use, the app that has it, the running
// one first. It is nil if there is no app.
func inUse() (used map[string]*App) {
	for _, app := range apps.all() {
		if used == nil {
			used = make(map[string]*App)
		}
		for name := range app.open {
			if used[name] == nil {
				used[name] = app
			}
		}
	}
	return used
}

func adminError(status int, err error) error {
	return caddy.APIError{HTTPStatus: status, Err: err}
}

func errNotInUse() error {
	return adminError(http.StatusNotFound, errors.New("the running configuration has no download_token directive"))
}

// Interface guard
var _ caddy.AdminRouter = (*Admin)(nil)
