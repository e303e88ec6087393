package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// durable is an engine and what it keeps in storage. It implements [store.Opened].
type durable struct {
	*engine
	revoked rules.Revocations
	logger  *zap.Logger
	now     func() time.Time
	// volatile is set if storage could not be written at the start. Nothing is
	// kept then, but for revocations, whose caller is told.
	volatile bool

	mu      sync.Mutex // held while kept is written to or replaced
	kept    kept
	session session
	marks   []byte // as last written
	sealed  bool   // no marks are written any more
	failing bool   // the last ones could not be written
}

// begin begins with what an earlier run left in storage, which is used up
// before the first token is honoured.
func begin(k kept, capacity int, now time.Time, logger *zap.Logger) (*durable, error) {
	f, err := k.find()
	if err != nil {
		return nil, err
	}
	m := &durable{kept: k, session: newSession(), logger: logger, now: time.Now}
	if err := m.loadRevocations(); err != nil {
		return nil, err
	}
	marks := f.marks
	if marks.IsZero() {
		marks = rules.NewMarks(now)
	}
	if err := m.takeOver(marks); err != nil {
		// A later start would believe what is there, and honour again what this
		// run does. It may be from just now: written, but not known to be.
		if k.forget() != nil {
			return nil, fmt.Errorf("storage has the marks of an earlier run and cannot be written: %w", err)
		}
		m.volatile = true
		logger.Warn("storage cannot be written, so used tokens are not remembered across restarts: "+
			"after each, tokens issued before are refused", zap.Error(err))
	}
	elsewhere, err := k.elsewhere()
	if err != nil {
		return nil, err
	}
	o := options{Capacity: capacity, Marks: marks, Elsewhere: elsewhere, Revoked: &m.revoked}
	if !m.volatile {
		o.Persist = m.persist
	}
	m.engine = newEngine(o)
	if f.snapshot != nil {
		err = m.Restore(f.snapshot, now)
	}
	switch {
	case f.marks.IsZero() && !m.volatile:
		logger.Warn("no marks of an earlier run were found, so this is a first start, or storage was lost: " +
			"one-time tokens issued before now are refused (without iat, those that expire within max_ttl from now); if storage was lost, so were the revocations")
	case err != nil, f.stale && f.snapshot == nil:
		logger.Warn("the last run did not end cleanly: of each signing key, tokens issued before its last used one are refused")
	}
	return m, nil
}

// takeOver makes the marks those of this session, which makes every snapshot
// worthless, and then removes it.
func (m *durable) takeOver(marks rules.Marks) error {
	if err := m.persist(marks); err != nil {
		return err
	}
	return m.kept.remove(keptSnapshot)
}

// errSealed: the store is about to be closed, and its successor may be open.
var errSealed = errors.New("the store is closed")

// persist writes marks; it is what [options] asks for.
func (m *durable) persist(marks rules.Marks) error {
	encoded, err := marks.MarshalBinary()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed {
		return errSealed
	}
	signed := m.session.sign(encoded)
	err = m.kept.store(keptMarks, signed)
	m.reportLocked(err)
	if err != nil {
		return err
	}
	m.marks = signed
	return nil
}

// reportLocked says when marks cannot be written any more, and when they can again.
// The refusals do not tell: clients that went away while storage hung are not counted.
func (m *durable) reportLocked(err error) {
	if m.engine == nil || (err != nil) == m.failing {
		return // at the start, the caller says more
	}
	m.failing = err != nil
	if m.failing {
		m.logger.Error("marks cannot be written, so one-time tokens that need a new one are refused until they can", zap.Error(err))
	} else {
		m.logger.Info("marks can be written again")
	}
}

// claim takes hold of the storage that a new configuration is about to move to.
// What an earlier run left there is made worthless: a later start would believe
// it, and honour again what this run did elsewhere.
func (m *durable) claim(k kept) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	left, err := k.load(keptMarks)
	if err != nil {
		return err
	}
	if left != nil && bytes.Equal(left, m.marks) {
		return nil // it is the storage that is in use
	}
	return k.forget()
}

// move changes to the storage of a new configuration. A revocation that is being
// kept meanwhile is kept in one of the two, and then moved, or in the new one.
func (m *durable) move(k kept) error {
	return m.revoked.Rewrite(func(revocations []byte) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !m.volatile {
			if err := m.moveMarksLocked(k); err != nil {
				return err
			}
		}
		if revocations != nil {
			if err := k.store(keptRevocations, revocations); err != nil {
				return err
			}
		}
		m.kept = k
		return nil
	})
}

// moveMarksLocked leaves no marks where they were before, since they would only
// be right until the next token is honoured. Writing as a new session shows
// whether the old storage and the new one are two.
func (m *durable) moveMarksLocked(k kept) error {
	session := newSession()
	_, marks, _ := unsign(m.marks)
	signed := session.sign(marks)
	if err := k.store(keptMarks, signed); err != nil {
		return err
	}
	if err := k.remove(keptSnapshot); err != nil {
		return err
	}
	m.session, m.marks = session, signed
	left, err := m.kept.load(keptMarks)
	if err == nil && !bytes.Equal(left, signed) {
		err = m.kept.forget()
	}
	if err != nil {
		m.logger.Error("the storage that was used before could not be cleared; before it is used again, remove these, "+
			"or used tokens may be honoured again", zap.Strings("keys", []string{m.kept.key(keptMarks), m.kept.key(keptSnapshot)}), zap.Error(err))
	}
	return nil
}

// Stop implements [store.Opened]: it seals the store and writes the snapshot. It may
// be called again, when what was in flight the first time is settled.
func (m *durable) Stop() error {
	snapshot := m.Seal(m.now())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealed = true
	if m.volatile {
		return nil
	}
	return m.kept.store(keptSnapshot, m.session.sign(snapshot))
}

func (m *durable) loadRevocations() error {
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

// Revoked implements [store.Store].
func (m *durable) Revoked(_ context.Context, t func() rules.Revocable, now time.Time) error {
	if m.revoked.Revoked(t, now) {
		return rules.ErrRevoked
	}
	return nil
}

// Revoke implements [store.Store]. The revocation is in force, durably, when it
// returns nil.
func (m *durable) Revoke(_ context.Context, r rules.Revocation, now time.Time) error {
	defer m.wakeAll()
	return m.revoked.Add(r, now, m.writeRevocations)
}

// Reinstate implements [store.Store].
func (m *durable) Reinstate(_ context.Context, r rules.Revocation, now time.Time) error {
	defer m.wakeAll()
	return m.revoked.Remove(r, now, m.writeRevocations)
}

func (m *durable) writeRevocations(encoded []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.kept.store(keptRevocations, encoded); err != nil {
		return fmt.Errorf("%w: %w", rules.ErrUnavailable, err)
	}
	return nil
}

// Revocations implements [store.Store].
func (m *durable) Revocations(_ context.Context, now time.Time) ([]rules.Revocation, error) {
	return m.revoked.InForce(now), nil
}

var _ store.Opened = (*durable)(nil)
