package stores

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

// memory is a memory store and what it keeps in storage.
type memory struct {
	*nonce.Memory
	revoked nonce.Revocations
	session session

	mu   sync.Mutex // held while kept is written to or replaced
	kept kept
	// volatile is set if storage could not be written at the start. Nothing is
	// kept then, but for revocations, whose caller is told.
	volatile bool
	marks    []byte // as last written
}

// startMemory begins with what an earlier run left in storage, which is used up
// before the first token is honoured.
func startMemory(k kept, capacity int, now time.Time, logger *zap.Logger) (*memory, error) {
	f, err := k.find()
	if err != nil {
		return nil, err
	}
	m := &memory{kept: k, session: newSession()}
	if err := m.loadRevocations(); err != nil {
		return nil, err
	}
	marks := f.marks
	if marks.IsZero() {
		marks = nonce.NewMarks(now)
	}
	if err := m.begin(marks); err != nil {
		if f.stale {
			// A later start would believe what is there, and honour again what
			// this run does.
			return nil, fmt.Errorf("storage has the marks of an earlier run and cannot be written: %w", err)
		}
		m.volatile = true
		logger.Warn("storage cannot be written, so used tokens are not remembered across restarts: "+
			"after each, tokens issued before are refused", zap.Error(err))
	}
	options := nonce.MemoryOptions{Capacity: capacity, Marks: marks}
	if !m.volatile {
		options.Persist = m.persist
	}
	m.Memory = nonce.NewMemory(options)
	if f.snapshot != nil {
		err = m.Restore(f.snapshot, now)
	}
	if err != nil || f.stale && f.snapshot == nil {
		logger.Warn("the last run did not end cleanly: of each signing key, tokens issued before its last used one are refused")
	}
	return m, nil
}

// begin makes the marks those of this session, which makes every snapshot
// worthless, and then removes it.
func (m *memory) begin(marks nonce.Marks) error {
	if err := m.persist(marks); err != nil {
		return err
	}
	return m.kept.remove(keptSnapshot)
}

// persist writes marks; it is what [nonce.MemoryOptions] asks for.
func (m *memory) persist(marks nonce.Marks) error {
	encoded, err := marks.MarshalBinary()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	signed := m.session.sign(encoded)
	if err := m.kept.store(keptMarks, signed); err != nil {
		return err
	}
	m.marks = signed
	return nil
}

// move changes to the storage of a new configuration.
func (m *memory) move(k kept) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.volatile {
		if err := k.store(keptMarks, m.marks); err != nil {
			return err
		}
		if err := k.remove(keptSnapshot); err != nil {
			return err
		}
	}
	if encoded, err := m.revoked.Encode(); err != nil {
		return err
	} else if m.revoked.Len() > 0 {
		if err := k.store(keptRevocations, encoded); err != nil {
			return err
		}
	}
	m.kept = k
	return nil
}

// stop seals the store and writes the snapshot. It may be called again, when
// what was in flight the first time is settled.
func (m *memory) stop() error {
	snapshot := m.Seal(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.volatile {
		return nil
	}
	return m.kept.store(keptSnapshot, m.session.sign(snapshot))
}

func (m *memory) loadRevocations() error {
	encoded, err := m.kept.load(keptRevocations)
	if err != nil || encoded == nil {
		return err
	}
	if err := m.revoked.Load(encoded); err != nil {
		// Taking them for none would give back what was taken.
		return fmt.Errorf("%s: %w; put it back from a backup, or remove it if no token that was revoked can still be valid",
			m.kept.key(keptRevocations), err)
	}
	return nil
}

// Revoked implements [downloadtoken.HeldStore].
func (m *memory) Revoked(t nonce.Revocable, now time.Time) bool { return m.revoked.Revoked(t, now) }

// Revoke implements [downloadtoken.HeldStore]. It is in force, durably, when it
// returns.
func (m *memory) Revoke(_ context.Context, r nonce.Revocation, now time.Time) error {
	err := m.revoked.Add(r, now, func(encoded []byte) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.kept.store(keptRevocations, encoded)
	})
	if err != nil && !errors.Is(err, nonce.ErrRevocation) {
		return fmt.Errorf("%w: %w", nonce.ErrUnavailable, err)
	}
	return err
}

// Revocations implements [downloadtoken.HeldStore].
func (m *memory) Revocations() int { return m.revoked.Len() }
