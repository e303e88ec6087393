package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// A key that moves to another store meets one that has never heard of its tokens, or
// has not heard of them for a while. By a reload it cannot move ([App.Agree]), because
// both stores would be at work for a moment. By a restart it can: then Caddy's storage
// knows with which stores each key was used last, and what was issued before the move
// is refused as unproven.

// Placed is a [Module] whose store is the same wherever the place is, by any name,
// and another one at another place. One that is not keeps what it knows apart by name, and
// looks itself after keys that move between stores of its type.
type Placed interface {
	Module

	// Place is where the store keeps what it knows, as the configuration has it.
	Place() string
}

// place tells stores apart while Caddy runs.
func (a *App) place(name string) string {
	switch m := a.modules[name].(type) {
	case nil:
		return name
	case Placed:
		return string(m.CaddyModule().ID) + " " + m.Place()
	default:
		return string(m.CaddyModule().ID) + " " + name
	}
}

// lasting tells stores apart beyond a restart.
func (a *App) lasting(name string) string {
	if m, ok := a.modules[name]; ok && !isPlaced(m) {
		return string(m.CaddyModule().ID)
	}
	return a.place(name)
}

func isPlaced(m Module) bool {
	_, ok := m.(Placed)
	return ok
}

// placesTimeout bounds one access to storage.
const placesTimeout = 10 * time.Second

// places is, for each key, the stores it was used with last, and since when each of them
// may be asked about it: zero if it was the first one.
type places map[string]map[string]rules.Stamp

// move notes which keys the configuration uses with which stores, and finds those that
// have moved.
func (a *App) move(now time.Time) error {
	key, old, err := a.loadPlaces()
	if err != nil {
		return err
	}
	next := maps.Clone(old)
	if next == nil {
		next = make(places)
	}
	seen := make(map[string]bool)
	moved := false
	for use := range a.policies {
		id := hex.EncodeToString(use.signer[:])
		before := old[id]
		if !seen[id] {
			seen[id], next[id] = true, make(map[string]rules.Stamp)
		}
		since, known := before[a.names[use.store]]
		if !known && len(before) > 0 {
			since, moved = rules.StampOf(now), true
		}
		next[id][a.names[use.store]] = since
		if since != 0 {
			a.moved[use] = since.Time()
		}
	}
	if maps.EqualFunc(old, next, maps.Equal) {
		return nil
	}
	if moved {
		a.logger.Warn("keys have moved to another store: of those, one-time tokens issued before now are refused, " +
			"and revocations stay where they were, so make them again if they are still needed")
	}
	err = a.storePlaces(key, next)
	if err != nil && len(old) > 0 {
		return fmt.Errorf("%s, which says with which store each key was used, cannot be written, and would be believed later: %w", key, err)
	}
	if err != nil {
		a.logger.Warn("it will not be noticed if keys move to another store, because storage refuses to be written", zap.Error(err))
	}
	return nil
}

// loadPlaces reads what an earlier run has noted; nil is nothing. Several servers may
// share a storage.
func (a *App) loadPlaces() (key string, old places, err error) {
	instance, err := caddy.InstanceID()
	if err != nil { // then nothing is found that an earlier run has kept
		a.logger.Warn("this Caddy instance has no ID that lasts", zap.Error(err))
	}
	key = path.Join("download_token", "places", instance.String())
	ctx, cancel := context.WithTimeout(context.Background(), placesTimeout)
	defer cancel()
	encoded, err := a.storage.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return key, nil, nil
	}
	if err == nil {
		err = json.Unmarshal(encoded, &old)
	}
	if err != nil {
		return key, nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return key, old, nil
}

func (a *App) storePlaces(key string, all places) error {
	encoded, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), placesTimeout)
	defer cancel()
	if err := a.storage.Store(ctx, key, encoded); err != nil {
		return err
	}
	if files, ok := a.storage.(*certmagic.FileStorage); ok { // which syncs the file, but not its name
		if folder, err := os.Open(filepath.Dir(files.Filename(key))); err == nil {
			defer folder.Close()
			_ = folder.Sync() // there are systems without
		}
	}
	return nil
}

// movedAt is when the key began to be used with the store in this place, after it was
// used with another one; zero if it was not. Of keys that come with a set, only the set
// is known.
func (a *App) movedAt(place string, signer rules.Signer) (at time.Time) {
	if len(a.moved) == 0 {
		return time.Time{}
	}
	use := policyKey{place, signer}
	if _, known := a.policies[use]; known {
		return a.moved[use]
	}
	for other, since := range a.moved {
		if other.store == place && since.After(at) {
			at = since
		}
	}
	return at
}

// arrivals is a store as the requests of one configuration ask it: it is told since when
// it is the one that knows of a key. Until the configuration has started they wait.
type arrivals struct {
	Handle
	app   *App
	name  string
	place string
}

// Hold implements [Handle].
func (s arrivals) Hold(ctx context.Context) error {
	select {
	case <-s.app.started: // first, since ctx may have ended as well
		return s.Handle.Hold(ctx)
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-s.app.started:
		return s.Handle.Hold(ctx)
	case <-ctx.Done():
		return rules.ErrUnavailable
	}
}

// Admit implements [Store].
func (s arrivals) Admit(ctx context.Context, q Query, clock func() time.Time) (Use, error) {
	q.Moved = s.app.movedAt(s.place, q.Signer)
	seen.note(s.name, &q, clock())
	return s.Handle.Admit(ctx, q, clock)
}

// Look implements [Store].
func (s arrivals) Look(ctx context.Context, q Query, clock func() time.Time) (open *Open, err error) {
	q.Moved = s.app.movedAt(s.place, q.Signer)
	seen.note(s.name, &q, clock())
	return s.Handle.Look(ctx, q, clock)
}
