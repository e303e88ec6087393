package nonce

import (
	"context"
	"fmt"
)

// marker moves marks forward in storage, ahead of the tokens. Any number of
// requests may need a mark at once; one of them writes for all that are
// waiting, and the others see whether that was enough.
type marker struct {
	persist func(Marks) error
	kept    Marks           // in storage
	wanted  map[Signer]mark // by requests that wait for the next write
	flight  *flight         // the write under way
}

// flight is one write. err may be read once done is closed.
type flight struct {
	marks Marks
	done  chan struct{}
	err   error
}

// markedLocked reports whether a crash right now would leave the token covered.
func (m *Memory) markedLocked(s *showing) bool {
	return m.persist == nil || m.kept.cover(s)
}

// advanceLocked takes part in one write and returns, locked again, for the
// caller to look once more. It fails with ErrUnavailable if a write that was to
// cover the token failed, or the request ended first.
func (m *Memory) advanceLocked(ctx context.Context, s *showing) error {
	f := m.flight
	if f != nil && f.marks.cover(s) {
		if err := m.awaitLocked(ctx, f); err != nil {
			return err
		}
		return f.err
	}
	if m.wanted == nil {
		m.wanted = make(map[Signer]mark)
	}
	m.wanted[s.signer] = m.wanted[s.signer].max(s.ahead())
	if f != nil {
		return m.awaitLocked(ctx, f)
	}
	return m.flyLocked()
}

func (m *Memory) awaitLocked(ctx context.Context, f *flight) error {
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// flyLocked writes everything that is wanted. It leaves no flight behind even
// if Persist panics: that counts as a failure for those who wait.
func (m *Memory) flyLocked() error {
	f := &flight{marks: m.kept.raised(m.wanted), done: make(chan struct{}), err: ErrUnavailable}
	m.flight, m.wanted = f, nil
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		if f.err == nil {
			m.kept = f.marks
		}
		m.flight = nil
		close(f.done)
	}()
	if err := m.persist(f.marks); err != nil {
		f.err = fmt.Errorf("%w: marks not kept: %w", ErrUnavailable, err)
	} else {
		f.err = nil
	}
	return f.err
}
