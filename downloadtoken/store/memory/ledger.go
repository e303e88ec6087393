package memory

import (
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// owner is what is known of a signer. It outlives the signer's entries.
type owner struct {
	policy   string      // how keys are built; "" until the first presentation
	known    bool        // policy is set
	floor    rules.Stamp // largest exp of any entry that was forgotten
	farthest rules.Stamp // largest exp of any entry there ever was
	root     uint32      // of the tree of its entries
	entries  int         // how many there are
	first    rules.Stamp // exp of the first of them
	keep     rules.Stamp // that one may be forgotten once the clock has passed this
	soonest  int32       // place in ledger.soonest
	largest  int32       // place in ledger.largest
}

// commonOwner stands for all signers beyond maxSigners.
const commonOwner = 0

// hold is the reservations of one entry, as long as it has any.
type hold struct {
	id    uint32 // none: the entry was forgotten meanwhile
	count uint32
}

// ledger holds the entries, finds them by key, and knows which to give up
// first. It does no locking and never looks at a clock of its own.
//
// A table finds entries, and trees order them, one for each owner. Two queues rank
// the owners that hold any: by the time at which their first entry may be forgotten,
// and by how many they hold.
type ledger struct {
	table
	nodes
	holds   map[uint32]*hold // by the number of the entry
	owners  []owner
	slots   map[rules.Signer]uint32
	soonest queue
	largest queue

	evictedLive, evictedExpired uint64
}

func newLedger() ledger {
	return ledger{
		table:  newTable(),
		nodes:  newNodes(),
		holds:  make(map[uint32]*hold),
		slots:  make(map[rules.Signer]uint32),
		owners: []owner{{soonest: nowhere, largest: nowhere}},
	}
}

// find is the number of the entry of a token, or none. alien: it is that of another
// signer. Of two whose keys have the same first half, the second is refused: its uses
// would be forgotten with the floor of the first.
func (l *ledger) find(s *rules.Showing) (id uint32, alien bool) {
	if id = l.lookup(tagOf(s.Key)); id == none {
		return none, false
	}
	slot, ok := l.slots[s.Signer]
	if !ok && len(l.slots) < rules.MaxSigners {
		return id, true
	}
	return id, l.ownerAt(id) != slot // commonOwner if it has no slot
}

// ownerAt is the owner of an entry.
func (l *ledger) ownerAt(id uint32) uint32 { return l.node(l.at(id).leaf).owner }

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

// add enters a token that has no entry.
func (l *ledger) add(slot uint32, t tag, expires, keep rules.Stamp) uint32 {
	id := l.insert(entry{tag: t, excess: excessOf(expires, keep)})
	o := &l.owners[slot]
	o.farthest = max(o.farthest, expires)
	o.entries++
	l.enqueue(slot, id, expires)
	l.rank(slot, expires)
	return id
}

// touch makes the entry the most recently used one and keeps it for as long as
// this showing of it needs: a second token with the same nonce may expire later
// than the first.
func (l *ledger) touch(id uint32, s *rules.Showing) {
	e, slot := l.at(id), l.ownerAt(id)
	o := &l.owners[slot]
	old := l.dequeue(id)
	expires := max(old, s.Expires)
	e.excess = excessOf(expires, max(e.excess.after(old), s.Keep))
	o.farthest = max(o.farthest, expires)
	l.enqueue(slot, id, expires)
	l.rank(slot, old)
}

// reserve adds a reservation to the entry. own is used if it is the first.
func (l *ledger) reserve(id uint32, own *hold) *hold {
	e, h := l.at(id), own
	if e.uses&isHeld == 0 {
		*h = hold{id: id}
		e.uses |= isHeld
		l.holds[id] = h
	} else {
		h = l.holds[id]
	}
	h.count++
	return h
}

// settle ends a reservation, and counts a use if it was one. It returns the entry,
// nil if that was forgotten.
func (l *ledger) settle(h *hold, used bool) *entry {
	if h.id == none {
		return nil
	}
	e := l.at(h.id)
	if h.count--; h.count == 0 {
		l.release(h.id)
	}
	if used {
		e.uses++
	}
	return e
}

// release forgets the hold of the entry.
func (l *ledger) release(id uint32) {
	l.at(id).uses &^= isHeld
	delete(l.holds, id)
}

// uses is how often the token of the entry was used, and is about to be.
func (l *ledger) uses(id uint32) (committed, reserved uint32) {
	e := l.at(id)
	if e.uses&isHeld != 0 {
		reserved = l.holds[id].count
	}
	return e.committed(), reserved
}

// drop takes out an entry that was never honoured, as if it had not been.
func (l *ledger) drop(id uint32) (slot uint32, expires rules.Stamp) {
	slot = l.ownerAt(id)
	if e := l.at(id); e.uses&isHeld != 0 {
		l.holds[id].id = none
		l.release(id)
	}
	expires = l.dequeue(id)
	l.delete(id)
	l.owners[slot].entries--
	l.rank(slot, expires)
	return slot, expires
}

// forget takes out the first entry of an owner and raises the floor over it, so that
// its token stays refused.
func (l *ledger) forget(slot uint32) {
	first, _ := l.first(l.owners[slot].root)
	_, expires := l.drop(first)
	o := &l.owners[slot]
	o.floor = max(o.floor, expires)
}

// forgetExpired forgets at most limit entries that have expired at now, and returns
// how many.
func (l *ledger) forgetExpired(now rules.Stamp, limit int) (forgotten int) {
	for forgotten < limit && l.hasExpired(now) {
		l.forget(l.soonest[0])
		l.evictedExpired++
		forgotten++
	}
	return forgotten
}

// hasExpired reports whether an entry can be forgotten at now without loss.
func (l *ledger) hasExpired(now rules.Stamp) bool {
	return len(l.soonest) > 0 && now > l.owners[l.soonest[0]].keep
}

// evict forgets the entry that is missed least: of the signer that holds most,
// the soonest to expire. A tie goes against the signer that wants the room, so
// that filling the store never costs one that holds less.
func (l *ledger) evict(wanting uint32) {
	slot := l.largest[0]
	if l.owners[wanting].entries >= l.owners[slot].entries {
		slot = wanting
	}
	l.forget(slot)
	l.evictedLive++
}

// expired counts the entries in a leaf that have expired at now; 0 if the node is not
// a leaf.
func (l *ledger) expired(in uint32, now rules.Stamp) (count int) {
	d := l.node(in)
	if !d.leaf {
		return 0
	}
	for i, exp := range d.exps[:d.n] {
		if exp >= now {
			break
		}
		if now > l.at(d.ids[i]).excess.after(exp) {
			count++
		}
	}
	return count
}

func (l *ledger) highestFloor() (floor rules.Stamp) {
	for i := range l.owners {
		floor = max(floor, l.owners[i].floor)
	}
	return floor
}

// rank puts the owner in its place among owners after its entries have changed, from
// this exp on.
func (l *ledger) rank(slot uint32, from rules.Stamp) {
	o := &l.owners[slot]
	if o.root != none && (o.soonest == nowhere || from <= o.first) {
		id, exp := l.first(o.root)
		o.first, o.keep = exp, l.at(id).excess.after(exp)
	}
	switch {
	case o.root != none && o.soonest == nowhere:
		push(&l.soonest, bySoonest{l}, slot)
		push(&l.largest, byLargest{l}, slot)
	case o.root != none:
		fix(l.soonest, bySoonest{l}, o.soonest)
		fix(l.largest, byLargest{l}, o.largest)
	case o.soonest != nowhere:
		remove(&l.soonest, bySoonest{l}, o.soonest)
		remove(&l.largest, byLargest{l}, o.largest)
	}
}
