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

// settle repeats them, until the server does not answer. Requests do not wait for that.
func (l *late) settle(ctx context.Context, e *engine) {
	l.mu.Lock()
	due := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	var kept []settlement
	for i, s := range due {
		r, err := e.run(ctx, scriptRelease, s.keys, s.args)
		if err != nil {
			kept = append(kept, due[i:]...)
			break
		}
		if r.number(1) == 0 && time.Now().Before(s.until) {
			kept = append(kept, s)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, kept...)
}
