package memory

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// configured is a store as a configuration has it, opened and started.
func configured(t testing.TB, s certmagic.Storage) (*Memory, store.Handle) {
	t.Helper()
	m := &Memory{Capacity: 100, storage: s, logger: zap.NewNop()}
	opened, err := m.Open(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	return m, opened
}

// settled gives the process an instance ID from long ago.
func settled(t *testing.T) {
	t.Helper()
	file := ownID(t)
	writeID(t, file, oneID)
	makeOld(t, file)
}

// slowShelf takes its time to store a snapshot.
type slowShelf struct {
	shelf
	storing, goOn chan struct{}
	once          sync.Once
}

func (s *slowShelf) Store(ctx context.Context, key string, value []byte) error {
	if len(value) > 24 && string(value[16:23]) == "dltsnap" {
		s.once.Do(func() { close(s.storing); <-s.goOn })
	}
	return s.shelf.Store(ctx, key, value)
}

// TestSuccessorWaits: the last request of a store that no configuration uses any
// more closes it, while the next configuration opens it again.
func TestSuccessorWaits(t *testing.T) {
	settled(t)
	s := &slowShelf{storing: make(chan struct{}), goOn: make(chan struct{})}
	old, held := configured(t, s)
	wantError(t, held.Hold(t.Context()), nil)
	used := token("a", 1)
	wantError(t, spendIn(held, used), nil)
	wantError(t, old.Cleanup(), nil)
	go held.LetGo()
	<-s.storing
	opened := make(chan store.Handle)
	go func() {
		m, next := configured(t, s)
		t.Cleanup(func() { _ = m.Cleanup() })
		opened <- next
	}()
	var next store.Handle
	select {
	case next = <-opened:
		t.Error("opened before the one before it was closed")
		close(s.goOn)
	case <-time.After(50 * time.Millisecond):
		close(s.goOn)
		next = <-opened
	}
	wantError(t, next.Hold(t.Context()), nil)
	defer next.LetGo()
	if err := spendIn(next, used); !errors.Is(err, rules.ErrReplayed) {
		t.Errorf("%v: the snapshot was not found", err)
	}
}

// spendIn has a store that is held honour a token, which was issued a minute
// from now so that it is after any start.
func spendIn(s store.Store, p rules.Presentation) error {
	p.Issued = time.Now().Add(time.Minute)
	u, err := s.Admit(context.Background(), store.Query{Presentation: p}, func() time.Time { return p.Issued })
	if err != nil {
		return err
	}
	_, err = u.Commit(context.Background(), nil)
	return err
}

// TestLateRequest: a request that still knows a store which was closed does not
// bring it back.
func TestLateRequest(t *testing.T) {
	settled(t)
	s := new(shelf)
	old, held := configured(t, s)
	wantError(t, old.Cleanup(), nil)
	if err := held.Hold(t.Context()); !errors.Is(err, rules.ErrUnavailable) {
		t.Errorf("held a store that was closed: %v", err)
	}
	next, _ := configured(t, s)
	defer next.Cleanup()
	if err := held.Hold(t.Context()); !errors.Is(err, rules.ErrUnavailable) {
		t.Errorf("held the next store: %v", err)
	}
}

// TestRequestsWait: a store that is not started answers nothing.
func TestRequestsWait(t *testing.T) {
	settled(t)
	m := &Memory{Capacity: 100, storage: new(shelf), logger: zap.NewNop()}
	opened, err := m.Open(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Cleanup()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := opened.Hold(ctx); !errors.Is(err, rules.ErrUnavailable) {
		t.Errorf("held: %v", err)
	}
	got := make(chan error)
	go func() {
		err := opened.Hold(t.Context())
		if err == nil {
			opened.LetGo()
		}
		got <- err
	}()
	wantError(t, m.Start(), nil)
	wantError(t, <-got, nil)
}

// TestSettingsOfAReloadThatFails: they never come into force.
func TestSettingsOfAReloadThatFails(t *testing.T) {
	settled(t)
	s, other := new(shelf), new(shelf)
	running, held := configured(t, s)
	defer running.Cleanup()
	failing, _ := configured(t, other)
	failing.Capacity = 7
	wantError(t, failing.Cleanup(), nil)
	wantError(t, held.Hold(t.Context()), nil)
	defer held.LetGo()
	if stats, err := held.Stats(t.Context(), time.Now()); err != nil || stats.Capacity != 100 {
		t.Errorf("capacity %d, %v", stats.Capacity, err)
	}
	if len(other.values) != 0 {
		t.Errorf("written: %v", other.values)
	}
}

// TestReloadToStorageThatCannotBeClaimed: it fails while it still can.
func TestReloadToStorageThatCannotBeClaimed(t *testing.T) {
	settled(t)
	s, other := new(shelf), new(shelf)
	running, _ := configured(t, s)
	defer running.Cleanup()
	k, err := keep(other, t.Name())
	wantError(t, err, nil)
	wantError(t, k.store(keptMarks, []byte("of an earlier run")), nil)
	other.readOnly = true
	failing := &Memory{Capacity: 100, storage: other, logger: zap.NewNop()}
	if _, err := failing.Open(t.Name()); err != nil {
		t.Fatal(err)
	}
	if failing.Start() == nil {
		t.Error("it started")
	}
	wantError(t, failing.Cleanup(), nil)
}

// TestOnlyOpened: a configuration that is only validated leaves no trace.
func TestOnlyOpened(t *testing.T) {
	settled(t)
	s := new(shelf)
	m := &Memory{Capacity: 100, storage: s, logger: zap.NewNop()}
	if _, err := m.Open(t.Name()); err != nil {
		t.Fatal(err)
	}
	wantError(t, m.Stopping(), nil)
	wantError(t, m.Cleanup(), nil)
	if len(s.values) != 0 {
		t.Errorf("written: %v", s.values)
	}
}
