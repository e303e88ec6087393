package downloadtoken

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

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin serves what operators need of the stores through Caddy's admin API:
//
// GET /download_token/stores answers with the stores that are in use, by name.
//
// POST /download_token/revoke takes tokens back. The body is JSON and names
// exactly one thing: `nonce`, `token` (the token itself), `sub` (or `user`),
// `kid`, or `issued_before` (RFC 3339). It may also name the `store` (default:
// default), the `issuer` that is meant (default: any), and until when the
// revocation is needed, as a time (`until`) or a duration (`for`, such as 24h;
// default: for ever). When it is answered with 200 the revocation is in force
// for every following request, and survives reload, restart and crash.
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
		{Pattern: "/download_token/revoke", Handler: caddy.AdminHandlerFunc(a.revoke)},
	}
}

// storeInfo describes a store.
type storeInfo struct {
	Type           string    `json:"type"`
	Entries        int       `json:"entries"`
	Reserved       int       `json:"reserved"`
	Capacity       int       `json:"capacity"`
	EvictedLive    uint64    `json:"evicted_live"`
	EvictedExpired uint64    `json:"evicted_expired"`
	Floor          time.Time `json:"floor,omitzero"`
	Revocations    int       `json:"revocations"`
}

func (Admin) stores(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return adminError(http.StatusMethodNotAllowed, errors.New("method not allowed; use GET"))
	}
	infos := make(map[string]storeInfo)
	err := eachStore(r.Context(), func(name string, module StoreModule, held HeldStore) {
		stats := held.Stats(time.Now())
		infos[name] = storeInfo{
			Type:           strings.TrimPrefix(string(module.CaddyModule().ID), "download_token.stores."),
			Entries:        stats.Entries,
			Reserved:       stats.Reserved,
			Capacity:       stats.Capacity,
			EvictedLive:    stats.EvictedLive,
			EvictedExpired: stats.EvictedExpired,
			Floor:          stats.Floor,
			Revocations:    held.Revocations(),
		}
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.MarshalWrite(w, infos, json.Deterministic(true))
}

// revokeRequest is the body of a revocation.
type revokeRequest struct {
	Store        string    `json:"store"`
	Nonce        string    `json:"nonce"`
	Token        string    `json:"token"`
	Subject      string    `json:"sub"`
	KeyID        string    `json:"kid"`
	IssuedBefore time.Time `json:"issued_before"`
	Issuer       string    `json:"issuer"`
	Until        time.Time `json:"until"`
	For          string    `json:"for"`
}

func (Admin) revoke(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return adminError(http.StatusMethodNotAllowed, errors.New("method not allowed; use POST"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return adminError(http.StatusRequestEntityTooLarge, err)
	}
	var request revokeRequest
	if err := json.Unmarshal(body, &request, json.RejectUnknownMembers(true)); err != nil {
		// the error may quote the body, which may have a token
		return adminError(http.StatusBadRequest, errors.New("the body is not JSON with store, nonce, token, sub, kid, issued_before, "+
			"issuer, until and for; times are in RFC 3339, such as 2026-01-31T12:00:00Z"))
	}
	revocation, err := request.revocation(time.Now())
	if err != nil {
		return adminError(http.StatusBadRequest, err)
	}
	if request.Store == "" {
		request.Store = DefaultStore
	}
	if err := revokeIn(r.Context(), request.Store, revocation); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = io.WriteString(w, "{\"revoked\":true}\n")
	return err
}

// revocation turns the request into what stores understand.
func (q revokeRequest) revocation(now time.Time) (nonce.Revocation, error) {
	r := nonce.Revocation{
		Nonce: q.Nonce, Subject: q.Subject, KeyID: q.KeyID,
		IssuedBefore: q.IssuedBefore, Issuer: q.Issuer, Until: q.Until,
	}
	if q.Token != "" {
		if strings.Count(q.Token, ".") != 2 {
			return r, errors.New("token: not a JSON Web Token; give the token itself, without the link around it")
		}
		r.Fingerprint = token.FingerprintOf(q.Token).String()
	}
	if q.For != "" {
		length, err := caddy.ParseDuration(q.For)
		if err != nil || length <= 0 {
			return r, errors.New("for: not a duration; write it like this: 24h")
		}
		if !q.Until.IsZero() {
			return r, errors.New("give either until or for")
		}
		r.Until = now.Add(length)
	}
	if !r.Until.IsZero() && !r.Until.After(now) {
		return r, errors.New("until: lies in the past, so nothing would be revoked")
	}
	if r.Check() != nil {
		return r, errors.New("name exactly one of nonce, token, sub, kid and issued_before")
	}
	return r, nil
}

// revokeIn takes tokens back in the store of that name. For a moment in a reload
// two configurations have one, which is the same unless its type has changed.
func revokeIn(ctx context.Context, name string, revocation nonce.Revocation) error {
	all := apps.all()
	if len(all) == 0 {
		return errNotInUse()
	}
	found := false
	for _, app := range all {
		if _, ok := app.open[name]; !ok {
			continue
		}
		found = true
		if err := app.Revoke(ctx, name, revocation); err != nil {
			return adminError(http.StatusServiceUnavailable, err)
		}
	}
	if !found {
		return adminError(http.StatusNotFound, fmt.Errorf("no download_token directive uses a store named %q", name))
	}
	return nil
}

// eachStore hands over every store that is in use, by name.
func eachStore(ctx context.Context, do func(name string, module StoreModule, held HeldStore)) error {
	all := apps.all()
	if len(all) == 0 {
		return errNotInUse()
	}
	seen := make(map[string]bool)
	for _, app := range all {
		for name, store := range app.open {
			if seen[name] {
				continue
			}
			seen[name] = true
			held, err := store.Hold(ctx)
			if err != nil {
				return adminError(http.StatusServiceUnavailable, fmt.Errorf("store %s: %w", name, err))
			}
			do(name, app.modules[name], held)
			held.LetGo()
		}
	}
	return nil
}

func adminError(status int, err error) error {
	return caddy.APIError{HTTPStatus: status, Err: err}
}

func errNotInUse() error {
	return adminError(http.StatusNotFound, errors.New("the running configuration has no download_token directive"))
}

// Interface guard
var _ caddy.AdminRouter = (*Admin)(nil)
