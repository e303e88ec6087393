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

// entry is a token that was reserved or committed, in 28 bytes without pointers.
// Its exp stands in the tree of its owner, and its reservations in [ledger.holds].
type entry struct {
	tag    tag
	excess excess
	uses   uint32 // committed, and isHeld
	leaf   uint32 // node that has its exp
}

func (e *entry) link() *uint32 { return &e.leaf }

// isHeld is the bit of uses that says that the entry has reservations.
const isHeld = 1 << 31

func (e *entry) committed() uint32 { return e.uses &^ isHeld }

// line is a bucket, or a part of one, in one line of a processor's cache. It has the
// hashes of its entries, so that hardly any other entry is looked at than the one
// that is looked for.
type line struct {
	hashes [7]uint32
	ids    [7]uint32
	n      uint32
	more   uint32 // line with the rest of the bucket
}

func (b *line) link() *uint32 { return &b.more }

// load is how many entries a bucket has on average.
const load = 6

// table finds entries by tag. It is a hash table that grows by linear hashing: now and
// then one bucket is split in two, so that there is no step in which much is moved. It
// is keyed with a random seed, so that no one can fill one bucket on purpose. It never
// shrinks.
type table struct {
	seed    maphash.Seed
	entries arena[entry, *entry]
	buckets arena[line, *line] // bucket n has the number n+1
	more    arena[line, *line] // what does not fit into a bucket
	count   int                // entries
}

func newTable() table {
	t := table{seed: maphash.MakeSeed()}
	t.entries.bits, t.buckets.bits, t.more.bits = 15, 14, 14
	t.buckets.take()
	return t
}

// at is the entry of that number.
func (t *table) at(id uint32) *entry { return t.entries.at(id) }

func (t *table) hash(of tag) uint32 { return uint32(maphash.Bytes(t.seed, of[:])) }

func (t *table) bucket(hash uint32) *line {
	last := t.buckets.filled - 1
	n := hash & (1<<bits.Len32(last) - 1)
	if n > last {
		n -= 1 << (bits.Len32(last) - 1) // it is not split yet
	}
	return t.buckets.at(n + 1)
}

// next is the line after b in a bucket, or nil.
func (t *table) next(b *line) *line {
	if b.more == none {
		return nil
	}
	return t.more.at(b.more)
}

// lookup is the number of the entry, or none.
func (t *table) lookup(of tag) uint32 {
	hash := t.hash(of)
	for b := t.bucket(hash); b != nil; b = t.next(b) {
		for i := range b.n {
			if b.hashes[i] == hash && t.at(b.ids[i]).tag == of {
				return b.ids[i]
			}
		}
	}
	return none
}

// insert adds an entry that is not there.
func (t *table) insert(e entry) (id uint32) {
	id = t.entries.take()
	*t.at(id) = e
	t.enter(t.hash(e.tag), id)
	if t.count++; t.count > load*int(t.buckets.filled) {
		t.grow()
	}
	return id
}

// enter puts an entry into its bucket.
func (t *table) enter(hash, id uint32) {
	b := t.bucket(hash)
	for int(b.n) == len(b.ids) {
		if b.more == none {
			b.more = t.more.take()
		}
		b = t.more.at(b.more)
	}
	b.hashes[b.n], b.ids[b.n] = hash, id
	b.n++
}

// delete takes the entry out of its bucket and frees its number.
func (t *table) delete(id uint32) {
	var before *line
	b := t.bucket(t.hash(t.at(id).tag))
	i := b.find(id)
	for i < 0 {
		before, b = b, t.next(b)
		i = b.find(id)
	}
	b.n--
	b.hashes[i], b.ids[i] = b.hashes[b.n], b.ids[b.n]
	if b.n == 0 && before != nil {
		empty := before.more
		before.more = b.more
		t.more.give(empty)
	}
	t.entries.give(id)
	t.count--
}

func (b *line) find(id uint32) int {
	for i := range b.n {
		if b.ids[i] == id {
			return int(i)
		}
	}
	return -1
}

// grow splits a bucket.
func (t *table) grow() {
	added := t.buckets.take() - 1
	b := t.buckets.at(added - 1<<(bits.Len32(added)-1) + 1)
	old := *b
	*b = line{}
	for {
		for i := range old.n {
			t.enter(old.hashes[i], old.ids[i])
		}
		rest := old.more
		if rest == none {
			return
		}
		old = *t.more.at(rest)
		t.more.give(rest)
	}
}
