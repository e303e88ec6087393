package memory

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// times are the exp of an entry, and the moment until which it is kept.
func (l *ledger) times(id uint32) (expires, keep rules.Stamp) {
	e := l.at(id)
	d := l.node(e.leaf)
	expires = d.exps[d.place(id)]
	return expires, e.excess.after(expires)
}

// check looks at all that has to be true between two operations.
func (l *ledger) check() error {
	entries, used := 0, 0
	for slot := range l.owners {
		o := &l.owners[slot]
		n, err := l.checkOwner(uint32(slot))
		if err != nil {
			return fmt.Errorf("owner %d: %w", slot, err)
		}
		if n > 0 {
			if id, exp := l.first(o.root); exp != o.first || l.at(id).excess.after(exp) != o.keep {
				return fmt.Errorf("owner %d: first exp %d, kept until %d, says %d and %d", slot, exp, l.at(id).excess.after(exp), o.first, o.keep)
			}
		}
		if n != o.entries || (n > 0) != (o.soonest != nowhere) || (n > 0) != (o.largest != nowhere) {
			return fmt.Errorf("owner %d: %d entries, says %d, places %d and %d", slot, n, o.entries, o.soonest, o.largest)
		}
		entries += n
	}
	more := 0
	for n := range l.buckets.filled {
		for b := l.buckets.at(n + 1); b != nil; b = l.next(b) {
			if b.more != none {
				more++
			}
			if b.n == 0 && b != l.buckets.at(n+1) {
				return fmt.Errorf("bucket %d has an empty line", n)
			}
			for i, id := range b.ids[:b.n] {
				used++
				if e := l.at(id); b.hashes[i] != l.hash(e.tag) || l.lookup(e.tag) != id {
					return fmt.Errorf("entry %d is not found", id)
				}
			}
		}
	}
	if free := free(&l.entries); entries != l.count || used != l.count || l.count+free != int(l.entries.filled) {
		return fmt.Errorf("%d in trees, %d in buckets, %d free of %d, says %d", entries, used, free, l.entries.filled, l.count)
	}
	if free := free(&l.table.more); more+free != int(l.table.more.filled) {
		return fmt.Errorf("%d lines and %d free of %d", more, free, l.table.more.filled)
	}
	nodes := free(&l.nodes.arena)
	for i := range l.owners {
		nodes += l.countNodes(l.owners[i].root)
	}
	if nodes != int(l.nodes.filled) {
		return fmt.Errorf("%d of %d nodes", nodes, l.nodes.filled)
	}
	for id, h := range l.holds {
		if h.id != id || h.count == 0 || l.at(id).uses&isHeld == 0 {
			return fmt.Errorf("hold %+v of entry %d", *h, id)
		}
	}
	return nil
}

// free counts what is free in an arena.
func free[T any, P linked[T]](a *arena[T, P]) (count int) {
	for id := a.free; id != none; id = *P(a.at(id)).link() {
		count++
	}
	return count
}

func (l *ledger) countNodes(root uint32) int {
	if root == none {
		return 0
	}
	d, count := l.node(root), 1
	if !d.leaf {
		for _, id := range d.ids[:d.n] {
			count += l.countNodes(id)
		}
	}
	return count
}

// checkOwner walks the tree of an owner and counts its entries.
func (l *ledger) checkOwner(slot uint32) (count int, err error) {
	last := rules.Stamp(math.MinInt64)
	var walk func(in, parent uint32, from, to rules.Stamp) (depth int, err error)
	walk = func(in, parent uint32, from, to rules.Stamp) (depth int, err error) {
		d := l.node(in)
		if d.parent != parent || d.owner != slot || d.n == 0 || d.n > fan {
			return 0, fmt.Errorf("node %d below %d: %d below %d of %d", in, parent, d.n, d.parent, d.owner)
		}
		for i, id := range d.ids[:d.n] {
			if d.leaf {
				if e := l.at(id); e.leaf != in || d.exps[i] < max(last, from) || d.exps[i] > to {
					return 0, fmt.Errorf("entry %d in leaf %d, says %d: exp %d after %d, in %d to %d", id, in, e.leaf, d.exps[i], last, from, to)
				}
				last = d.exps[i]
				count++
				continue
			}
			below, above := from, to
			if i > 0 {
				below = d.exps[i]
			}
			if i+1 < int(d.n) {
				above = d.exps[i+1]
			}
			got, err := walk(id, in, below, above)
			if err != nil || i > 0 && got != depth {
				return 0, fmt.Errorf("depth %d next to %d: %w", got, depth, err)
			}
			depth = got
		}
		return depth + 1, nil
	}
	if l.owners[slot].root != none {
		_, err = walk(l.owners[slot].root, none, math.MinInt64, math.MaxInt64)
	}
	return count, err
}

// plainEntry is an entry of a ledger that is a sorted list for each owner.
type plainEntry struct {
	key           rules.Key
	expires, keep rules.Stamp
	committed     uint32
	hold          *hold
	holds         uint32
}

// twin is a ledger and a plain one that are driven with the same operations.
type twin struct {
	l      ledger
	lists  [5][]*plainEntry
	floors [5]rules.Stamp
	turn   uint64
	draw   func(from, to int) int
	exp    func() rules.Stamp
	failed error
}

func (w *twin) failf(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf(format, args...)
	}
}

func (w *twin) any() (slot uint32, e *plainEntry) {
	for range 20 {
		slot = uint32(w.draw(0, len(w.lists)-1))
		if n := len(w.lists[slot]); n > 0 {
			return slot, w.lists[slot][w.draw(0, n-1)]
		}
	}
	return 0, nil
}

// put is where the newest entry of an owner stands among those that expire as it does.
func (w *twin) put(slot uint32, e *plainEntry) {
	list := w.lists[slot]
	i, _ := slices.BinarySearchFunc(list, e.expires, func(o *plainEntry, exp rules.Stamp) int {
		if o.expires <= exp {
			return -1
		}
		return 1
	})
	w.lists[slot] = slices.Insert(list, i, e)
}

func (w *twin) take(slot uint32, e *plainEntry) {
	i := slices.Index(w.lists[slot], e)
	w.lists[slot] = slices.Delete(w.lists[slot], i, i+1)
	if e.holds > 0 && e.hold.id != none {
		w.failf("entry %x is gone, and its hold was not told", e.key[:9])
	}
}

func (w *twin) forget(slot uint32) {
	e := w.lists[slot][0]
	w.floors[slot] = max(w.floors[slot], e.expires)
	w.take(slot, e)
}

func (w *twin) showing() *rules.Showing {
	s := &rules.Showing{Signer: rules.Signer{byte(w.draw(0, 3))}, Expires: w.exp()}
	w.turn++
	binary.BigEndian.PutUint64(s.Key[:], w.turn)
	s.Keep = s.Expires + rules.Stamp(w.draw(0, 3))
	return s
}

func (w *twin) step() {
	l, op := &w.l, w.draw(0, 99)
	s := w.showing()
	slot, e := w.any()
	switch {
	case op < 50 || e == nil:
		slot = l.admit(s.Signer, "")
		l.add(slot, tagOf(s.Key), s.Expires, s.Keep)
		w.put(slot, &plainEntry{key: s.Key, expires: s.Expires, keep: s.Keep})
	case op < 60:
		l.touch(l.lookup(tagOf(e.key)), s)
		i := slices.Index(w.lists[slot], e)
		w.lists[slot] = slices.Delete(w.lists[slot], i, i+1)
		e.expires, e.keep = max(e.expires, s.Expires), max(e.keep, s.Keep)
		w.put(slot, e)
	case op < 70:
		e.hold = l.reserve(l.lookup(tagOf(e.key)), new(hold))
		e.holds++
	case op < 80:
		if e.holds == 0 {
			return
		}
		used := w.draw(0, 1)
		l.settle(e.hold, used == 1)
		e.holds--
		e.committed += uint32(used)
	case op < 85:
		l.drop(l.lookup(tagOf(e.key)))
		w.take(slot, e)
	case op < 90:
		for now := w.lists[slot][0].keep + rules.Stamp(w.draw(0, 2)); w.draw(0, 2) > 0; {
			if got, want := l.forgetExpired(now, 1), w.forgetSoonest(now); got != want {
				w.failf("forgot %d, want %d", got, want)
			}
		}
	default:
		want := l.largest[0] // any of those that tie
		most := 0
		for _, list := range w.lists {
			most = max(most, len(list))
		}
		if len(w.lists[slot]) == most {
			want = slot
		}
		if len(w.lists[want]) != most {
			w.failf("owner %d holds %d, some other %d", want, len(w.lists[want]), most)
		}
		l.evict(slot)
		w.forget(want)
	}
}

// forgetSoonest forgets of one owner whose first entry may be forgotten first.
func (w *twin) forgetSoonest(now rules.Stamp) int {
	first := -1
	for slot, list := range w.lists {
		if len(list) > 0 && list[0].keep < now && (first < 0 || list[0].keep < w.lists[first][0].keep) {
			first = slot
		}
	}
	if first < 0 {
		return 0
	}
	// Of two that tie, the ledger may have taken the other.
	for slot, list := range w.lists {
		if len(list) > 0 && list[0].keep == w.lists[first][0].keep && w.l.lookup(tagOf(list[0].key)) == none {
			first = slot
			break
		}
	}
	w.forget(uint32(first))
	return 1
}

// compare holds every entry of the two against each other, and what would be given up
// in which order.
func (w *twin) compare() error {
	if w.failed != nil {
		return w.failed
	}
	if err := w.l.check(); err != nil {
		return err
	}
	for slot, list := range w.lists {
		if slot >= len(w.l.owners) {
			break
		}
		o := &w.l.owners[slot]
		if o.floor != w.floors[slot] || o.entries != len(list) {
			return fmt.Errorf("owner %d: floor %d and %d entries, want %d and %d", slot, o.floor, o.entries, w.floors[slot], len(list))
		}
		i := 0
		for leaf := range w.l.leaves(o.root) {
			for _, id := range leaf.ids[:leaf.n] {
				e := list[i]
				if w.l.lookup(tagOf(e.key)) != id {
					return fmt.Errorf("owner %d: another entry in place %d", slot, i)
				}
				expires, keep := w.l.times(id)
				committed, reserved := w.l.uses(id)
				if expires != e.expires || keep != e.keep || committed != e.committed || reserved != e.holds {
					return fmt.Errorf("owner %d, place %d: exp %d, keep %d, %d committed, %d reserved, want %+v",
						slot, i, expires, keep, committed, reserved, *e)
				}
				i++
			}
		}
	}
	return nil
}

// expiries are the ways in which tokens may come to expire.
var expiries = map[string]func(r *rand.Rand) func() rules.Stamp{
	"in order": func(*rand.Rand) func() rules.Stamp { var n rules.Stamp; return func() rules.Stamp { n++; return n } },
	"backwards": func(*rand.Rand) func() rules.Stamp {
		n := rules.Stamp(1e9)
		return func() rules.Stamp { n--; return n }
	},
	"together": func(*rand.Rand) func() rules.Stamp { return func() rules.Stamp { return 7 } },
	"a few":    func(r *rand.Rand) func() rules.Stamp { return func() rules.Stamp { return rules.Stamp(r.IntN(5)) } },
	"any":      func(r *rand.Rand) func() rules.Stamp { return func() rules.Stamp { return rules.Stamp(r.IntN(1e9)) } },
	"two at once": func(r *rand.Rand) func() rules.Stamp {
		var n rules.Stamp
		return func() rules.Stamp { n++; return n + rules.Stamp(r.IntN(2)*1e6) }
	},
}

// TestLedger drives a large ledger and a plain one: both must give up the same entries
// in the same order.
func TestLedger(t *testing.T) {
	for name, exp := range expiries {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			w := &twin{l: newLedger(), exp: exp(r), draw: func(from, to int) int { return from + r.IntN(to-from+1) }}
			for i := range 60_000 {
				w.step()
				if i%2000 == 0 || w.failed != nil {
					if err := w.compare(); err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
				}
			}
			if err := w.compare(); err != nil {
				t.Fatal(err)
			}
			if w.l.count < 10_000 {
				t.Errorf("only %d entries", w.l.count)
			}
			w.drain(t)
		})
	}
}

// drain gives everything up, from both ends and the middle.
func (w *twin) drain(t *testing.T) {
	for i := 0; w.l.count > 0; i++ {
		slot, e := w.any()
		switch {
		case e == nil:
			slot = uint32(slices.IndexFunc(w.lists[:], func(list []*plainEntry) bool { return len(list) > 0 }))
			e = w.lists[slot][len(w.lists[slot])-1]
			fallthrough
		case i%3 > 0:
			w.l.drop(w.l.lookup(tagOf(e.key)))
			w.take(slot, e)
		default:
			w.l.forget(slot)
			w.forget(slot)
		}
		if i%2000 == 0 {
			if err := w.compare(); err != nil {
				t.Fatalf("after %d: %v", i, err)
			}
		}
	}
	if err := w.compare(); err != nil {
		t.Fatal(err)
	}
}

// TestLedgerOrder does the same in small, with every sequence that rapid comes up with.
func TestLedgerOrder(t *testing.T) { rapid.Check(t, ledgerOrder) }

// FuzzLedger does so with every sequence that the fuzzer comes up with.
func FuzzLedger(f *testing.F) { f.Fuzz(rapid.MakeFuzz(ledgerOrder)) }

func ledgerOrder(t *rapid.T) {
	w := &twin{l: newLedger()}
	w.draw = func(from, to int) int { return rapid.IntRange(from, to).Draw(t, "draw") }
	w.exp = func() rules.Stamp { return rules.Stamp(w.draw(1, 20)) }
	for range rapid.IntRange(1, 100).Draw(t, "steps") {
		w.step()
		if err := w.compare(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExcess: nothing is kept too short, and nothing much too long.
func TestExcess(t *testing.T) {
	const hour = rules.Stamp(3600e6)
	for _, over := range []rules.Stamp{-5, 0, 1, 999_999, hour / 2, rules.Stamp(inSeconds) - 1, rules.Stamp(inSeconds), rules.Stamp(inSeconds) + 1,
		hour, hour + 1, 24 * hour, 24*hour - 1, 1000 * 24 * hour, 50_000 * 24 * hour, rules.LastStamp} {
		for _, exp := range []rules.Stamp{0, 1, hour, 500_000 * hour, rules.LastStamp} {
			keep := exp + min(max(over, 0), rules.LastStamp-exp)
			got := excessOf(exp, keep+min(over, 0)).after(exp)
			slack := rules.Stamp(0)
			switch {
			case over >= 24_000*24*hour:
				slack = rules.LastStamp
			case over >= rules.Stamp(inSeconds):
				slack = 1e6
			}
			if got < keep || got-keep > slack {
				t.Errorf("exp %d, %d more: kept until %d, want %d", exp, over, got, keep)
			}
		}
	}
}

// TestSharedTag: tokens whose keys have the same first half can only be refused.
func TestSharedTag(t *testing.T) {
	one := shown(rules.Signer{1}, 0, 60)
	same, other := one, one
	same.Key[31]++
	same.Expires = at(90)
	other.Key[31]++
	other.Signer = rules.Signer{2}
	m := open(10)
	mustSpend(t, m, one, start)
	mustRefuse(t, m, same, rules.ErrReplayed)
	mustRefuse(t, m, other, rules.ErrUnproven)
	same.Uses = 2
	mustSpend(t, m, same, start) // of two uses that the two have together
	mustRefuse(t, m, same, rules.ErrReplayed)
	m.SetCapacity(1, start)
	mustSpend(t, m, shown(rules.Signer{1}, 1, 100), start)
	for _, p := range []rules.Presentation{one, same} {
		mustRefuse(t, m, p, rules.ErrUnproven) // the floor is over both
	}
	mustSpend(t, m, other, start) // it was never honoured
}

// TestSparseTree: what is left of a crowd does not take the room of the crowd.
func TestSparseTree(t *testing.T) {
	l := newLedger()
	slot := l.admit(rules.Signer{1}, "")
	const n = 50_000
	var ids []uint32
	for i := range n {
		var k tag
		binary.BigEndian.PutUint64(k[:], uint64(i))
		ids = append(ids, l.add(slot, k, rules.Stamp(i), rules.Stamp(i)))
	}
	for i, id := range ids {
		if i%20 != 0 {
			l.drop(id)
		}
	}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	if nodes := l.countNodes(l.owners[slot].root); nodes > n/20/(fan/4)*5/4 {
		t.Errorf("%d nodes for %d entries", nodes, l.count)
	}
}

// TestMemory: an entry takes 64 bytes at most, however tokens come to expire.
func TestMemory(t *testing.T) {
	for name, exp := range expiries {
		r := rand.New(rand.NewPCG(1, 2))
		l, next := newLedger(), exp(r)
		slot := l.admit(rules.Signer{1}, "")
		worst := 0.0
		for i := range 300_000 {
			var k tag
			binary.BigEndian.PutUint64(k[:], uint64(i))
			exp := next()
			l.add(slot, k, exp, exp)
			if i > 10_000 && i%1000 == 0 {
				worst = max(worst, l.bytes()/float64(l.count))
			}
		}
		t.Logf("%s: %.1f", name, worst)
		if worst > 64 {
			t.Errorf("%s: %.1f bytes", name, worst)
		}
	}
}

// bytes is the memory in use.
func (l *ledger) bytes() float64 {
	return float64(l.entries.filled)*float64(unsafe.Sizeof(entry{})) +
		float64(l.buckets.filled+l.table.more.filled)*float64(unsafe.Sizeof(line{})) +
		float64(l.nodes.filled)*float64(unsafe.Sizeof(node{}))
}
