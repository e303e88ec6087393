package store

import (
	"slices"
	"sync"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// apps are the apps of this process.
var apps registry

// registry keeps the apps that have started and not stopped, in the order in
// which they started. For a moment in every reload there are two. Caddy starts
// all apps of the new configuration in any order, says that it is whole
// (the event `started`), and then stops those of the old one. If the new one
// fails, what had started of it is stopped, or only cleaned up if it was whole
// by then, and the old one goes on.
type registry struct {
	mu   sync.Mutex
	apps []*App
	past map[rules.Signer][]string // stores that the keys of apps before were used with
	last *App                      // the one that was running and stopped last
}

// stage is how far the life of an app has come.
type stage int

const (
	provisioned stage = iota // requests may come already: Caddy starts apps in any order
	started
	whole // all other apps of its configuration have started too
	stopped
)

func (r *registry) start(a *App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.stage = started
	r.apps = append(r.apps, a)
}

func (r *registry) complete(a *App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.stage == started {
		a.stage = whole
	}
}

// stop takes the app out, whether or not it had started, for good. If it was a
// running one, what it used its keys with is remembered for as long as there is
// another: its tokens may still be valid, and its last requests go on.
func (r *registry) stop(a *App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.stage == whole || r.runningLocked() == a {
		r.last = a
		if r.past == nil {
			r.past = make(map[rules.Signer][]string)
		}
		for key := range a.policies {
			if !slices.Contains(r.past[key.signer], key.store) {
				r.past[key.signer] = append(r.past[key.signer], key.store)
			}
		}
	}
	a.stage = stopped
	r.apps = slices.DeleteFunc(r.apps, func(other *App) bool { return other == a })
	if len(r.apps) == 0 {
		r.past = nil
	}
}

// lastRunning returns the app that was running and stopped last, nil if there is none.
func (r *registry) lastRunning() *App {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// isLast reports whether no app but this one has started and not stopped.
func (r *registry) isLast(a *App) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.apps) == 1 && r.apps[0] == a
}

// usedElsewhere reports whether the key was used with other stores only.
func (r *registry) usedElsewhere(signer rules.Signer, store string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if past := r.past[signer]; len(past) > 0 && !slices.Contains(past, store) {
		return true
	}
	return slices.ContainsFunc(r.apps, func(a *App) bool { return a.uses(signer) && !a.usesIn(signer, store) })
}

// running returns the app of the configuration that is running, nil if there is
// none: the newest that is whole. If none is known to be, it is the oldest: a
// first start, or another subscriber of the event has kept it from us.
func (r *registry) running() *App {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runningLocked()
}

func (r *registry) runningLocked() *App {
	for _, a := range slices.Backward(r.apps) {
		if a.stage == whole {
			return a
		}
	}
	if len(r.apps) > 0 {
		return r.apps[0]
	}
	return nil
}

// all returns all apps, the running one first.
func (r *registry) all() []*App {
	r.mu.Lock()
	defer r.mu.Unlock()
	running := r.runningLocked()
	if running == nil {
		return nil
	}
	all := []*App{running}
	for _, a := range r.apps {
		if a != running {
			all = append(all, a)
		}
	}
	return all
}

// superseded reports whether the app has stopped, or a newer one is whole.
func (r *registry) superseded(a *App) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.stage == stopped {
		return true
	}
	at := slices.Index(r.apps, a)
	return at >= 0 && slices.ContainsFunc(r.apps[at+1:], func(newer *App) bool { return newer.stage == whole })
}
