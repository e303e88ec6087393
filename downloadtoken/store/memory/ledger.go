package memory

import (
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// entry is a token that was reserved or committed. It holds no pointers: a
// million of them cost the garbage collector nothing.
type entry struct {
	key       rules.Key
	expires   rules.Stamp
	keep      rules.Stamp // may be forgotten once the clock has passed this
	used      uint64      // turn of the last reservation, for least recently used
	born      uint64      // turn in which this place was filled; 0 if it is free
	owner     uint32
	place     int32 // in the owner's queue
	committed uint32
	reserved  uint32
}

// owner is what is known of a signer. It outlives the signer's entries.
type owner struct {
	policy   string      // how keys are built; "" until the first presentation
	known    bool        // policy is set
	floor    rules.Stamp // largest exp of any entry that was forgotten
	farthest rules.Stamp // largest exp of any entry there ever was
	queue    queue       // the entries, soonest to expire first
	soonest  int32       // place in ledger.soonest
	largest  int32       // place in ledger.largest
}

// commonOwner stands for all signers beyond maxSigners.
const commonOwner = 0

// chunk is how many entries are allocated together. Growing by chunks means
// that nothing is ever copied, so no request pays for a million entries.
const chunk = 1024

// ledger holds the entries, finds them by key, and knows which to give up
// first. It does no locking and never looks at a clock of its own.
//
// Each owner's entries form a queue by exp. Two more queues rank the owners
// that hold any: by the time at which their first entry may be forgotten, and
// by how many they hold.
type ledger struct {
	index   map[rules.Key]uint32
	chunks  [][]entry
	free    []uint32
	filled  uint32 // entries ever placed, in use or free
	turn    uint64
	owners  []owner
	slots   map[rules.Signer]uint32
	soonest queue
	largest queue

	evictedLive, evictedExpired uint64
}

func newLedger() ledger {
	return ledger{
		index:  make(map[rules.Key]uint32),
		slots:  make(map[rules.Signer]uint32),
		owners: []owner{{soonest: nowhere, largest: nowhere}},
	}
}

func (l *ledger) at(id uint32) *entry { return &l.chunks[id/chunk][id%chunk] }

func (l *ledger) find(k rules.Key) (*entry, bool) {
	id, ok := l.index[k]
	if !ok {
		return nil, false
	}
	return l.at(id), true
}

// ownerOf finds the signer, and nil for one that was never seen.
func (l *ledger) ownerOf(s rules.Signer) *owner {
	if slot, ok := l.slots[s]; ok {
		return &l.owners[slot]
	}
	if len(l.slots) >= rules.MaxSigners {
		return &l.owners[commonOwner]
	}
	return nil
}

// floorFor is the floor that a presentation has to clear. Under another policy
// than the last one, any entry could be this token under another key.
func (o *owner) floorFor(policy string) rules.Stamp {
	if o == nil {
		return 0
	}
	if o.known && o.policy != policy {
		return max(o.floor, o.farthest)
	}
	return o.floor
}

// admit finds or adds the signer and makes policy its policy.
func (l *ledger) admit(s rules.Signer, policy string) (slot uint32) {
	slot, ok := l.slots[s]
	if !ok && len(l.slots) < rules.MaxSigners {
		slot = uint32(len(l.owners))
		l.owners = append(l.owners, owner{soonest: nowhere, largest: nowhere})
		l.slots[s] = slot
	}
	o := &l.owners[slot]
	o.floor = o.floorFor(policy)
	o.policy, o.known = policy, true
	return slot
}

func (l *ledger) add(slot uint32, s *rules.Showing) uint32 {
	var id uint32
	if n := len(l.free); n > 0 {
		id, l.free = l.free[n-1], l.free[:n-1]
	} else {
		id = l.filled
		l.filled++
		if int(id/chunk) == len(l.chunks) {
			l.chunks = append(l.chunks, make([]entry, chunk))
		}
	}
	l.turn++
	*l.at(id) = entry{key: s.Key, expires: s.Expires, keep: s.Keep, used: l.turn, born: l.turn, owner: slot}
	l.index[s.Key] = id
	o := &l.owners[slot]
	o.farthest = max(o.farthest, s.Expires)
	push(&o.queue, byExpiry{l}, id)
	l.rank(slot)
	return id
}

// touch makes the entry the most recently used one and keeps it for as long as
// this showing of it needs: a second token with the same nonce may expire later
// than the first.
func (l *ledger) touch(id uint32, s *rules.Showing) {
	e := l.at(id)
	l.turn++
	e.used = l.turn
	e.expires = max(e.expires, s.Expires)
	e.keep = max(e.keep, s.Keep)
	o := &l.owners[e.owner]
	o.farthest = max(o.farthest, e.expires)
	fix(o.queue, byExpiry{l}, e.place)
	l.rank(e.owner)
}

// drop takes out an entry that was never honoured, as if it had not been.
func (l *ledger) drop(id uint32) {
	e := l.at(id)
	remove(&l.owners[e.owner].queue, byExpiry{l}, e.place)
	l.rank(e.owner)
	delete(l.index, e.key)
	*e = entry{}
	l.free = append(l.free, id)
}

// forget takes out an entry and raises the floor over it, so that its token
// stays refused.
func (l *ledger) forget(id uint32) {
	e := l.at(id)
	o := &l.owners[e.owner]
	o.floor = max(o.floor, e.expires)
	l.drop(id)
}

// forgetExpired forgets at most limit entries that have expired at now.
func (l *ledger) forgetExpired(now rules.Stamp, limit int) {
	for range limit {
		if len(l.soonest) == 0 {
			return
		}
		first := l.owners[l.soonest[0]].queue[0]
		if now <= l.at(first).keep {
			return
		}
		l.forget(first)
		l.evictedExpired++
	}
}

// evict forgets the entry that is missed least: of the signer that holds most,
// the soonest to expire. A tie goes against the signer that wants the room, so
// that filling the store never costs somebody who holds less.
func (l *ledger) evict(wanting uint32) {
	slot := l.largest[0]
	if len(l.owners[wanting].queue) >= len(l.owners[slot].queue) {
		slot = wanting
	}
	l.forget(l.owners[slot].queue[0])
	l.evictedLive++
}

// live counts the entries that have not expired at now. Expired ones stand at
// the top of their queues, so only they are visited.
func (l *ledger) live(now rules.Stamp) int {
	n := len(l.index)
	for _, slot := range l.soonest {
		n -= l.expired(l.owners[slot].queue, 0, now)
	}
	return n
}

func (l *ledger) expired(q queue, i int, now rules.Stamp) int {
	if i >= len(q) || now <= l.at(q[i]).keep {
		return 0
	}
	return 1 + l.expired(q, 2*i+1, now) + l.expired(q, 2*i+2, now)
}

func (l *ledger) highestFloor() (floor rules.Stamp) {
	for i := range l.owners {
		floor = max(floor, l.owners[i].floor)
	}
	return floor
}

// rank puts the owner in its place among owners after its queue has changed.
func (l *ledger) rank(slot uint32) {
	o := &l.owners[slot]
	switch {
	case len(o.queue) > 0 && o.soonest == nowhere:
		push(&l.soonest, bySoonest{l}, slot)
		push(&l.largest, byLargest{l}, slot)
	case len(o.queue) > 0:
		fix(l.soonest, bySoonest{l}, o.soonest)
		fix(l.largest, byLargest{l}, o.largest)
	case o.soonest != nowhere:
		remove(&l.soonest, bySoonest{l}, o.soonest)
		remove(&l.largest, byLargest{l}, o.largest)
	}
}
