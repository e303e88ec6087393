package redis

import (
	"context"
	"sync"
	"time"
)

// late are settlements that the server has not confirmed. They are repeated, so that
// no token is lost because the server was busy for a moment.
type late struct {
	mu      sync.Mutex
	waiting []settlement
}

// settlement is a release that may be repeated.
type settlement struct {
	keys, args []string
	until      time.Time // when nothing that it settles can still be on its way
	done       bool      // at least once, without anything to be settled
}

// maxLate is how many are remembered. What is forgotten counts as spent.
const maxLate = 10_000

func (l *late) add(s settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) < maxLate {
		l.waiting = append(l.waiting, s)
	}
}

// settle repeats them: all, or only those that were never done.
func (l *late) settle(ctx context.Context, e *engine, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.waiting[:0]
	failed := false
	for _, s := range l.waiting {
		if !failed && (all || !s.done) {
			r, err := e.run(ctx, scriptRelease, s.keys, s.args)
			failed = err != nil
			if err == nil {
				s.done = true
				if r.number(1) == 1 || time.Now().After(s.until) {
					continue
				}
			}
		}
		kept = append(kept, s)
	}
	clear(l.waiting[len(kept):])
	l.waiting = kept
}
