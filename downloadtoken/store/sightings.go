package store

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// sightings remember the one-time tokens that were shown to this process lately, by what
// the log and people call them. Stores know tokens by other keys, which do not follow
// from a fingerprint.
type sightings struct {
	shards [sightingShards]struct {
		mu    sync.Mutex
		slots [sightingSlots]sighting
	}
}

// A token has one place, of which it takes the place of another: 8192 are remembered at
// most.
const (
	sightingShards = 64
	sightingSlots  = 128
)

// sighting is what operators ask a store about.
type sighting struct {
	fingerprint token.Fingerprint
	store       string
	showing     rules.Presentation
	grants      []rules.GrantKey
	first, last time.Time
	spent       time.Time // zero: it was not, as far as this process knows
}

// seen is for all configurations, so that reloads change nothing.
var seen sightings

// at locks the place of a token.
func (s *sightings) at(f token.Fingerprint) (slot *sighting, unlock func()) {
	bits := binary.BigEndian.Uint64(f[:])
	shard := &s.shards[bits%sightingShards]
	shard.mu.Lock()
	return &shard.slots[bits/sightingShards%sightingSlots], shard.mu.Unlock
}

// note remembers that a token is asked about.
func (s *sightings) note(store string, q *Query, now time.Time) {
	if q.Fingerprint == (token.Fingerprint{}) {
		return
	}
	slot, unlock := s.at(q.Fingerprint)
	defer unlock()
	if slot.fingerprint != q.Fingerprint || slot.store != store {
		*slot = sighting{fingerprint: q.Fingerprint, store: store, first: now}
	}
	slot.showing, slot.last = q.Presentation, now
	if len(q.Grants) > 0 {
		slot.grants = q.Grants
	}
}

// noteSpent remembers when a token was used, for the first time.
func (s *sightings) noteSpent(f token.Fingerprint, now time.Time) {
	slot, unlock := s.at(f)
	defer unlock()
	if slot.fingerprint == f && slot.spent.IsZero() {
		slot.spent = now
	}
}

// find returns what is remembered of a token.
func (s *sightings) find(f token.Fingerprint) (found sighting, ok bool) {
	slot, unlock := s.at(f)
	defer unlock()
	return *slot, f != token.Fingerprint{} && slot.fingerprint == f
}

// NoteSpent remembers, for the admin API, when the token of a query was used. Only the
// first time of each token counts.
func (a *App) NoteSpent(f token.Fingerprint, now time.Time) { seen.noteSpent(f, now) }
