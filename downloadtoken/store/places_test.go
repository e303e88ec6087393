package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// named is a module whose stores are known by name, at one that keeps them at a place.
type named struct{ Module }

func (named) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: "named"} }

type at struct {
	named
	place string
}

func (a at) Place() string { return a.place }

// run is an app of a new process that uses keys with stores: key, store, key, store.
func run(t *testing.T, storage certmagic.Storage, modules map[string]Module, uses ...any) *App {
	t.Helper()
	a := &App{
		storage: storage, logger: zap.NewNop(), modules: modules, open: make(map[string]Handle), policies: make(map[policyKey]Policy),
		names: make(map[string]string), moved: make(map[policyKey]time.Time), started: make(chan struct{}),
	}
	for i := 0; i < len(uses); i += 2 {
		if err := a.Agree(uses[i+1].(string), rules.Signer{byte(uses[i].(int))}, Policy{}); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestMoves(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	memory, file, other := map[string]Module{"s": named{}, "o": named{}}, map[string]Module{"s": at{place: "/a"}}, map[string]Module{"s": at{place: "/b"}, "o": at{place: "/a"}}
	never := time.Time{}
	clock := time.Unix(1_800_000_000, 0)
	for i, step := range []struct {
		what    string
		modules map[string]Module
		uses    []any
		want    []int // for each use: the step in which the key came there; -1: it was there first
	}{
		{"first", memory, []any{1, "s"}, []int{-1}},
		{"again", memory, []any{1, "s"}, []int{-1}},
		{"another name of a store that looks after it itself", memory, []any{1, "o"}, []int{-1}},
		{"to a file, with a new key", file, []any{1, "s", 2, "s"}, []int{3, -1}},
		{"again", file, []any{2, "s", 1, "s"}, []int{-1, 3}},
		{"one is not used", file, []any{2, "s"}, []int{-1}},
		{"and comes back", file, []any{1, "s"}, []int{3}},
		{"back to memory", memory, []any{1, "s"}, []int{7}},
		{"and to the file again", file, []any{1, "s", 2, "s"}, []int{8, -1}},
		{"the same file under another name", other, []any{1, "o", 2, "o"}, []int{8, -1}},
		{"another file", other, []any{1, "s", 2, "o"}, []int{10, -1}},
		{"one key with two", other, []any{1, "s", 1, "o"}, []int{10, 11}},
		{"and with one of them", other, []any{1, "s"}, []int{10}},
		{"and with the other", other, []any{1, "o"}, []int{13}},
	} {
		a := run(t, storage, step.modules, step.uses...)
		if err := a.move(clock.Add(time.Duration(i) * time.Hour)); err != nil {
			t.Fatal(err)
		}
		for n, want := range step.want {
			at := never
			if want >= 0 {
				at = clock.Add(time.Duration(want) * time.Hour)
			}
			if got := a.movedAt(a.place(step.uses[2*n+1].(string)), rules.Signer{byte(step.uses[2*n].(int))}); !got.Equal(at) {
				t.Errorf("%s: key %v moved to %v at %v, want %v", step.what, step.uses[2*n], step.uses[2*n+1], got, at)
			}
		}
		if len(a.moved) > 0 { // a key that came with a set
			var latest time.Time
			for _, at := range a.moved {
				if at.After(latest) {
					latest = at
				}
			}
			if got := a.movedAt(a.place(step.uses[1].(string)), rules.Signer{99}); len(a.names) == 1 && !got.Equal(latest) {
				t.Errorf("%s: unknown key: %v, want %v", step.what, got, latest)
			}
		}
	}
}

// TestPlacesStorage: where storage fails, nothing is believed later that is not so.
func TestPlacesStorage(t *testing.T) {
	storage := &failing{FileStorage: &certmagic.FileStorage{Path: t.TempDir()}}
	file, other := map[string]Module{"s": at{place: "/a"}}, map[string]Module{"s": at{place: "/b"}}
	move := func(modules map[string]Module) error { return run(t, storage, modules, 1, "s").move(time.Now()) }

	storage.store = errors.New("full")
	if err := move(file); err != nil {
		t.Errorf("with nothing that could be believed: %v", err)
	}
	storage.store = nil
	if err := move(file); err != nil {
		t.Fatal(err)
	}
	storage.store = errors.New("full")
	if err := move(file); err != nil {
		t.Errorf("with nothing to write: %v", err)
	}
	if err := move(other); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("with something that would be believed: %v", err)
	}
	storage.load = errors.New("gone")
	if err := move(file); err == nil {
		t.Error("what cannot be read was taken for nothing")
	}
	storage.load = nil
	damaged, err := filepath.Glob(filepath.Join(storage.Path, "download_token", "places", "*"))
	if err != nil || len(damaged) != 1 {
		t.Fatalf("%v, %v", damaged, err)
	}
	if err := os.WriteFile(damaged[0], []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := move(file); err == nil {
		t.Error("what is damaged was taken for nothing")
	}
}

type failing struct {
	*certmagic.FileStorage
	load, store error
}

func (f *failing) Load(ctx context.Context, key string) ([]byte, error) {
	if f.load != nil {
		return nil, f.load
	}
	return f.FileStorage.Load(ctx, key)
}

func (f *failing) Store(ctx context.Context, key string, value []byte) error {
	if f.store != nil {
		return f.store
	}
	return f.FileStorage.Store(ctx, key, value)
}

// TestNotByReload: while a configuration runs, its keys stay at their place, by whatever
// name the next one calls it.
func TestNotByReload(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	running := run(t, storage, map[string]Module{"s": at{place: "/a"}}, 1, "s")
	apps.start(running)
	apps.complete(running)
	defer apps.stop(running)
	for name, next := range map[string]struct {
		modules map[string]Module
		ok      bool
	}{
		"the same":     {map[string]Module{"s": at{place: "/a"}}, true},
		"another file": {map[string]Module{"s": at{place: "/b"}}, false},
		"another type": {map[string]Module{"s": named{}}, false},
	} {
		err := run(t, storage, next.modules).Agree("s", rules.Signer{1}, Policy{})
		if next.ok != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	renamed := run(t, storage, map[string]Module{"o": at{place: "/a"}})
	if err := renamed.Agree("o", rules.Signer{1}, Policy{}); err != nil {
		t.Errorf("another name: %v", err)
	}
}

// TestArrivalsWait: no request is judged before it is known which keys have moved.
func TestArrivalsWait(t *testing.T) {
	a := run(t, &certmagic.FileStorage{Path: t.TempDir()}, map[string]Module{"s": named{}}, 1, "s")
	s := arrivals{new(ledgerOf), a, "default", a.place("s")}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Hold(ctx); !errors.Is(err, rules.ErrUnavailable) {
		t.Errorf("before the start: %v", err)
	}
	time.AfterFunc(time.Millisecond, func() { close(a.started) })
	if err := s.Hold(t.Context()); err != nil {
		t.Errorf("after the start: %v", err)
	}
	if err := s.Hold(ctx); err != nil {
		t.Errorf("after the start, with a context that has ended: %v", err)
	}
}
