package memory

import (
	"hash/maphash"
	"math/bits"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// tag is the first half of a key, and what an entry is found by. A key is a SHA-256,
// so no one can make a token whose tag is that of a given other one (2^128 tries), and
// two tokens of one issuer that share a tag (2^64 tries) share their uses: that can
// only refuse. What it takes to keep signers apart is in [ledger.find].
type tag [16]byte

func tagOf(k rules.Key) tag { return tag(k[:len(tag{})]) }

// entry is a token that was reserved or committed, in 32 bytes without pointers.
// Its exp stands in the tree of its owner, and its reservations in [ledger.holds].
type entry struct {
	tag    tag
	excess excess
	uses   uint32 // committed, and isHeld
	next   uint32 // entry in the same bucket, or free place
	leaf   uint32 // node that has its exp
}

// isHeld is the bit of uses that says that the entry has reservations.
const isHeld = 1 << 31

func (e *entry) committed() uint32 { return e.uses &^ isHeld }

// none is the number of no entry and of no node.
const none = 0

// chunk is how many places or buckets are allocated together. Growing by chunks
// means that nothing is ever copied, so no request pays for a million entries.
const chunk = 1024

// table holds entries under numbers that they keep, and finds them by tag. It is a
// hash table with chains that grows by linear hashing: one bucket is split in two for
// each entry that is added, so that there is no step in which much is moved. It is
// keyed with a random seed, so that no one can fill one bucket on purpose. It never
// shrinks; places are used again.
type table struct {
	seed    maphash.Seed
	places  []*[chunk]entry
	buckets []*[chunk]uint32 // the first entry of each chain
	split   uint32           // buckets in use
	count   int              // entries
	filled  uint32           // places that were ever used
	free    uint32           // the first free place among them
}

func newTable() table {
	return table{seed: maphash.MakeSeed(), buckets: []*[chunk]uint32{new([chunk]uint32)}, split: 1}
}

// at is the entry of that number, which stays where it is.
func (t *table) at(id uint32) *entry { return &t.places[id/chunk][id%chunk] }

// bucket is where the chain begins that the tag belongs to.
func (t *table) bucket(of tag) *uint32 {
	n := uint32(maphash.Bytes(t.seed, of[:])) & (1<<bits.Len32(t.split-1) - 1)
	if n >= t.split {
		n -= 1 << (bits.Len32(t.split-1) - 1) // not split yet
	}
	return &t.buckets[n/chunk][n%chunk]
}

// lookup is the number of the entry, or none.
func (t *table) lookup(of tag) uint32 {
	id := *t.bucket(of)
	for id != none {
		e := t.at(id)
		if e.tag == of {
			break
		}
		id = e.next
	}
	return id
}

// insert adds an entry that is not there.
func (t *table) insert(e entry) (id uint32) {
	if id = t.free; id != none {
		t.free = t.at(id).next
	} else {
		t.filled++
		id = t.filled
		if int(id/chunk) == len(t.places) {
			t.places = append(t.places, new([chunk]entry))
		}
	}
	if t.count++; t.count > int(t.split) {
		t.grow()
	}
	*t.at(id) = e
	t.link(id)
	return id
}

func (t *table) link(id uint32) {
	e := t.at(id)
	first := t.bucket(e.tag)
	e.next, *first = *first, id
}

// delete takes the entry out of its chain and frees its place.
func (t *table) delete(id uint32) {
	e := t.at(id)
	link := t.bucket(e.tag)
	for *link != id {
		link = &t.at(*link).next
	}
	*link = e.next
	*e = entry{next: t.free}
	t.free = id
	t.count--
}

// grow splits a bucket.
func (t *table) grow() {
	n := t.split
	if int(n/chunk) == len(t.buckets) {
		t.buckets = append(t.buckets, new([chunk]uint32))
	}
	old := n - 1<<(bits.Len32(n)-1)
	first := &t.buckets[old/chunk][old%chunk]
	id := *first
	*first = none
	t.split++
	for id != none {
		next := t.at(id).next
		t.link(id)
		id = next
	}
}
