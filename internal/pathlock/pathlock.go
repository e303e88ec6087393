// Package pathlock keeps requests apart that would change the same files at the same
// time, inside this process.
package pathlock

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Locks are locks on paths. The zero value is ready; it must not be copied.
type Locks struct {
	mu      sync.Mutex
	held    map[string]int // how many hold the path shared; exclusive: one does alone
	changed chan struct{}  // closed when something is released; nil: nothing waits
}

const exclusive = -1

// Exclusive locks paths for one request alone, with everything below them: all of them
// or none, so that no two requests wait for each other. Segments are divided by slashes;
// the case of letters makes no difference, because it makes none to some file systems. No
// path may be another one or below it. release must be called once.
//
// It waits for patience at most, and for no longer than ctx lives. Not ok: nothing is
// locked.
func (l *Locks) Exclusive(ctx context.Context, patience time.Duration, paths ...string) (release func(), ok bool) {
	return l.acquire(ctx, patience, exclusive, paths)
}

// Shared is Exclusive for requests that do not keep each other away from the paths
// themselves, only what would change them or a folder above.
func (l *Locks) Shared(ctx context.Context, patience time.Duration, paths ...string) (release func(), ok bool) {
	return l.acquire(ctx, patience, 1, paths)
}

func (l *Locks) acquire(ctx context.Context, patience time.Duration, how int, paths []string) (release func(), ok bool) {
	wanted := make(map[string]int)
	for _, path := range paths {
		path = strings.ToLower(path)
		wanted[path] = how
		for i := range len(path) {
			if path[i] == '/' {
				wanted[path[:i]] = 1
			}
		}
	}
	var timeout <-chan time.Time
	for {
		changed, ok := l.try(wanted)
		if ok {
			return sync.OnceFunc(func() { l.release(wanted) }), true
		}
		if timeout == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
}

// try takes all that is wanted if it is free. If not, changed is closed when it is worth
// to try again.
func (l *Locks) try(wanted map[string]int) (changed <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, how := range wanted {
		if held := l.held[path]; held == exclusive || held > 0 && how == exclusive {
			if l.changed == nil {
				l.changed = make(chan struct{})
			}
			return l.changed, false
		}
	}
	if l.held == nil {
		l.held = make(map[string]int)
	}
	for path, how := range wanted {
		l.held[path] += how
	}
	return nil, true
}

func (l *Locks) release(wanted map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, how := range wanted {
		if l.held[path] -= how; l.held[path] == 0 {
			delete(l.held, path)
		}
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}
