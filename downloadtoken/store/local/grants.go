package local

import (
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// maxGrants is how many grants are kept at a time. Beyond it, downloads are
// served all the same, but cannot be resumed.
const maxGrants = 100_000

// Grants are those of a store. Make them with [NewGrants].
type Grants struct {
	all map[rules.GrantKey]*Grant
	// opening counts, for each key, the uses that may yet open a grant under it.
	opening map[rules.GrantKey]int
	sealed  bool // nothing is opened any more
}

// NewGrants returns an empty set.
func NewGrants() Grants {
	return Grants{all: make(map[rules.GrantKey]*Grant), opening: make(map[rules.GrantKey]int)}
}

// Find returns the first grant under one of the keys that is open at now. If there
// is none, opening says that a use may yet open one, and usedUp that there is one with
// nothing left.
func (s *Grants) Find(keys []rules.GrantKey, now rules.Stamp) (g *Grant, opening, usedUp bool) {
	for _, k := range keys {
		if g, ok := s.all[k]; ok {
			switch g.state(now) {
			case open:
				return g, false, false
			case exhausted:
				usedUp = true
			case closed:
				delete(s.all, k)
			}
		}
		opening = opening || s.opening[k] > 0
	}
	return nil, opening, usedUp
}

// Expect notes that a use may open a grant under one of the keys, until [Grants.Settle].
func (s *Grants) Expect(keys []rules.GrantKey) {
	for _, k := range keys {
		s.opening[k]++
	}
}

// Settle notes that a use opens no grant any more.
func (s *Grants) Settle(keys []rules.GrantKey) {
	for _, k := range keys {
		if s.opening[k]--; s.opening[k] == 0 {
			delete(s.opening, k)
		}
	}
}

// Busy counts the uses that may yet open a grant, once for each key, and the requests
// that have joined one.
func (s *Grants) Busy() (opening, joined int) {
	for _, n := range s.opening {
		opening += n
	}
	for _, g := range s.all {
		g.mu.Lock()
		joined += g.users
		g.mu.Unlock()
	}
	return opening, joined
}

// Open opens a grant and joins it. It returns nil if there is no room, or if the terms
// let nothing be resumed.
func (s *Grants) Open(t rules.Terms) *Grant {
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
func (s *Grants) forget(now time.Time, some int) {
	full := len(s.all) >= maxGrants
	for k, g := range s.all {
		if some--; some < 0 {
			return
		}
		if g.state(rules.StampOf(now)) == closed || full && g.isDone() {
			delete(s.all, k)
		}
	}
}
