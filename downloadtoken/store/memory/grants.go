package memory

import (
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// maxGrants is how many grants are kept at a time. Beyond it, downloads are
// served all the same, but cannot be resumed.
const maxGrants = 100_000

// grants are those of a store, guarded by its lock.
type grants struct {
	all map[rules.GrantKey]*grant
	// opening counts, for each key, the uses that may yet open a grant under it.
	opening map[rules.GrantKey]int
	sealed  bool // nothing is opened any more
}

func newGrants() grants {
	return grants{all: make(map[rules.GrantKey]*grant), opening: make(map[rules.GrantKey]int)}
}

// find returns the grant if its window has not ended at now.
func (s *grants) find(k rules.GrantKey, now rules.Stamp) (*grant, grantState) {
	g, ok := s.all[k]
	if !ok {
		return nil, grantClosed
	}
	state := g.state(now)
	if state == grantClosed {
		delete(s.all, k)
		return nil, grantClosed
	}
	return g, state
}

// open opens a grant and joins it. It returns nil if there is no room.
func (s *grants) open(t rules.Terms) *grant {
	if s.sealed || t.Size > 0 && t.ETag == "" || !t.Begins.Before(t.Ends) {
		return nil
	}
	// A few for each one that comes: what is closed does not pile up, and no request
	// pays for all of it.
	s.forget(t.Begins, 16)
	if len(s.all) >= maxGrants {
		return nil
	}
	g := newGrant(t)
	if g.admit(t.Begins) != nil {
		return nil
	}
	g.slots <- struct{}{}
	s.all[t.Key] = g
	return g
}

// forget looks at some grants, no matter which, and forgets those that are
// closed. When there are too many, it also gives up those that have sent a whole
// copy and are not drawn on: their downloads are most likely complete.
func (s *grants) forget(now time.Time, some int) {
	full := len(s.all) >= maxGrants
	for k, g := range s.all {
		if some--; some < 0 {
			return
		}
		if g.state(rules.StampOf(now)) == grantClosed || full && g.isDone() {
			delete(s.all, k)
		}
	}
}

// isDone reports whether as much as a whole copy was sent and no request draws.
func (g *grant) isDone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.users == 0 && (g.terms.Size == 0 || g.left <= g.terms.Budget()-g.terms.Size)
}
