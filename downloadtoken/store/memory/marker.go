package memory

import (
	"context"
	"fmt"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// marker moves marks forward in storage, ahead of the tokens. Requests that
// need a mark board the next write; one write at a time is under way, and takes
// all that have gathered meanwhile. They share its outcome, so that storage that
// fails slowly fails a crowd once and not one request after the other.
type marker struct {
	persist func(rules.Marks) error
	kept    rules.Marks // in storage
	current *write      // under way
	next    *write      // gathering
	writing bool        // a goroutine is there to take care of next
}

// write is one write of marks. err may be read once done is closed.
type write struct {
	wanted map[rules.Signer]rules.Mark
	marks  rules.Marks // set soon after it gets under way
	done   chan struct{}
	err    error
}

// markedLocked reports whether a crash right now would leave the token covered.
func (m *engine) markedLocked(s *rules.Showing) bool {
	return m.persist == nil || m.kept.Cover(s)
}

// advanceLocked waits for a write that covers the token and returns, locked
// again, for the caller to look once more. It fails with ErrUnavailable if the
// write failed or the request ended first.
func (m *engine) advanceLocked(ctx context.Context, s *rules.Showing) error {
	w := m.current
	if w == nil || !w.covers(s) {
		w = m.boardLocked(s)
	}
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", rules.ErrUnavailable, context.Cause(ctx))
	}
}

func (m *engine) boardLocked(s *rules.Showing) *write {
	if m.next == nil {
		m.next = &write{wanted: make(map[rules.Signer]rules.Mark), done: make(chan struct{})}
	}
	m.next.wanted[s.Signer] = m.next.wanted[s.Signer].Max(s.Ahead())
	if !m.writing {
		m.writing = true
		// Not in the request's own goroutine: the request may end before
		// storage answers, and those that boarded with it must not.
		go m.write()
	}
	return m.next
}

// write carries out writes until no request is waiting for one.
func (m *engine) write() {
	for w := m.depart(); w != nil; w = m.depart() {
		err := persist(m.persist, w.marks)
		m.mu.Lock()
		if err == nil {
			m.kept = w.marks
		}
		m.current = nil
		m.mu.Unlock()
		w.err = err
		close(w.done)
	}
}

// depart makes the next write the current one; nil if there is none.
func (m *engine) depart() *write {
	m.mu.Lock()
	w, kept := m.next, m.kept
	m.current, m.next, m.writing = w, nil, w != nil
	m.mu.Unlock()
	if w == nil {
		return nil
	}
	marks := kept.Raised(w.wanted) // copies those of all signers, so not under the lock
	m.mu.Lock()
	defer m.mu.Unlock()
	w.marks = marks
	return w
}

// covers reports whether the token is covered once the write is done.
func (w *write) covers(s *rules.Showing) bool {
	return w.wanted[s.Signer].Covers(s) || w.marks.Cover(s)
}

// persist turns whatever goes wrong in storage into ErrUnavailable. A panic
// does, too: it would end the process from here, and with it every download.
func persist(put func(rules.Marks) error, k rules.Marks) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: keeping marks panicked: %v", rules.ErrUnavailable, p)
		}
	}()
	if err := put(k); err != nil {
		return fmt.Errorf("%w: marks not kept: %w", rules.ErrUnavailable, err)
	}
	return nil
}
