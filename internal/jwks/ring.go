package jwks

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Ring is a [token.KeySource] over fixed keys and JWK sets that change. Make it with
// [NewRing]. It may be used from many goroutines.
//
// For each kid and algorithm the first source decides: the fixed table, then the
// sets in their order. What a later set has under the same name is left out, with a
// warning to that set. [token.MaxKidless] counts over the whole ring.
type Ring struct {
	static *token.Table
	sets   []*Set

	merged atomic.Pointer[merger]
	mu     sync.Mutex // of those who merge
}

// A merger is one table of all sources, as they were.
type merger struct {
	from  []*token.Table // of each set
	table *token.Table
}

// NewRing makes a ring of a table, which may be nil, and any number of sets, which
// the caller starts.
func NewRing(static *token.Table, sets ...*Set) *Ring {
	if static == nil {
		static = new(token.Table)
	}
	r := &Ring{static: static, sets: slices.Clone(sets)}
	r.table() // for the warnings
	return r
}

// Lookup answers as [token.Table.Lookup] does, from the keys that are there. It never
// waits for a fetch.
func (r *Ring) Lookup(kid, alg string) ([]*token.Key, error) { return r.table().Lookup(kid, alg) }

// LookupContext is [Ring.Lookup], but if there is no such key, the sets that do not
// know the kid are read again, all at the same time, as [Set.LookupFresh] does and
// within its limits.
func (r *Ring) LookupContext(ctx context.Context, kid, alg string) ([]*token.Key, error) {
	if keys, err := r.Lookup(kid, alg); err == nil {
		return keys, nil
	}
	var flights []*flight
	for _, set := range r.sets {
		if flight := set.refetch(ctx, kid, alg); flight != nil {
			flights = append(flights, flight)
		}
	}
	return r.lookupAfter(ctx, flights, kid, alg)
}

// lookupAfter waits for flights, until one brings the key.
func (r *Ring) lookupAfter(ctx context.Context, flights []*flight, kid, alg string) ([]*token.Key, error) {
	keys, err := r.Lookup(kid, alg) // one may have landed since
	if len(flights) == 0 {
		return keys, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	landed := make(chan struct{}, len(flights))
	for _, flight := range flights {
		go func() {
			flight.wait(ctx)
			landed <- struct{}{}
		}()
	}
	for waiting := len(flights); err != nil && waiting > 0; waiting-- {
		<-landed
		keys, err = r.Lookup(kid, alg)
	}
	return keys, err
}

// IssuerBound tells whether any key or set is bound to this iss.
func (r *Ring) IssuerBound(iss string) bool {
	return r.static.IssuerBound(iss) || slices.ContainsFunc(r.sets, func(set *Set) bool { return set.IssuerBound(iss) })
}

// table merges the sources if one of them has changed. A fetch is rare, so that
// nearly always this compares a few pointers.
func (r *Ring) table() *token.Table {
	if m := r.merged.Load(); m != nil && r.isCurrent(m) {
		return m.table
	}
	r.mu.Lock()
	if m := r.merged.Load(); m != nil && r.isCurrent(m) {
		r.mu.Unlock()
		return m.table
	}
	m, complaints := r.merge()
	r.merged.Store(m)
	r.mu.Unlock()
	for i, set := range r.sets {
		set.warner.report(aboutRing, complaints[i])
	}
	return m.table
}

func (r *Ring) isCurrent(m *merger) bool {
	for i, set := range r.sets {
		if set.table.Load() != m.from[i] {
			return false
		}
	}
	return true
}

func (r *Ring) merge() (*merger, [][]complaint) {
	m := &merger{from: make([]*token.Table, len(r.sets)), table: new(token.Table)}
	complaints := make([][]complaint, len(r.sets))
	for _, key := range r.static.Keys() {
		_ = m.table.Add(key) // it was in such a table before
	}
	for i, set := range r.sets {
		m.from[i] = set.table.Load()
		if m.from[i] == nil {
			continue
		}
		for _, key := range m.from[i].Keys() {
			if key.ID == "" && has(m.table, key) {
				continue // twice the same costs a place among the few, and gains nothing
			}
			if err := m.table.Add(key); err != nil {
				complaints[i] = append(complaints[i], shadowed(key, err))
			}
		}
	}
	return m, complaints
}

func shadowed(key *token.Key, err error) complaint {
	if key.ID == "" {
		return complaint{unused(err), ""}
	}
	return complaint{"JWK is not used: a key or set that is configured before this one has its kid and the algorithm " + key.Alg, key.ID}
}
