package memory

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// plainEntry is an entry of a ledger that is a list and always searched whole.
type plainEntry struct {
	key           rules.Key
	slot          uint32
	expires, keep rules.Stamp
	used          int
}

// TestLedgerOrder drives the ledger and a plain list with the same operations:
// both must give up the same entries in the same order.
func TestLedgerOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger()
		var list []plainEntry
		var floors [5]rules.Stamp
		turn := 0
		draw := func(label string, from, to int) int { return rapid.IntRange(from, to).Draw(t, label) }
		count := func(slot uint32) (n int) {
			for _, e := range list {
				if e.slot == slot {
					n++
				}
			}
			return n
		}
		first := func(slot uint32) int {
			best := -1
			for i, e := range list {
				if e.slot == slot && (best < 0 || e.expires < list[best].expires ||
					e.expires == list[best].expires && e.used < list[best].used) {
					best = i
				}
			}
			return best
		}
		forget := func(i int) {
			floors[list[i].slot] = max(floors[list[i].slot], list[i].expires)
			list = slices.Delete(list, i, i+1)
		}
		for range draw("steps", 1, 100) {
			slot := l.admit(rules.Signer{byte(draw("signer", 0, 3))}, "")
			turn++
			s := rules.Showing{Key: rules.Key{byte(turn)}, Expires: rules.Stamp(draw("expires", 1, 20))}
			s.Keep = s.Expires + rules.Stamp(draw("leeway", 0, 3))
			switch op := draw("op", 0, 9); {
			case op < 5:
				l.add(slot, &s)
				list = append(list, plainEntry{s.Key, slot, s.Expires, s.Keep, turn})
			case len(list) == 0:
			case op < 6:
				e := &list[draw("touched", 0, len(list)-1)]
				l.touch(l.index[e.key], &s)
				e.expires, e.keep, e.used = max(e.expires, s.Expires), max(e.keep, s.Keep), turn
			case op < 7:
				i := draw("dropped", 0, len(list)-1)
				l.drop(l.index[list[i].key])
				list = slices.Delete(list, i, i+1)
			case op < 8:
				now := rules.Stamp(draw("now", 0, 25))
				l.forgetExpired(now, math.MaxInt)
				for again := true; again; {
					again = false
					for slot := range uint32(len(floors)) {
						if i := first(slot); i >= 0 && list[i].keep < now {
							forget(i)
							again = true
						}
					}
				}
			default:
				most := 0
				for slot := range uint32(len(floors)) {
					most = max(most, count(slot))
				}
				victim := l.largest[0] // any of those that tie
				if count(slot) == most {
					victim = slot
				}
				if count(victim) != most {
					t.Fatalf("largest holds %d, somebody %d", count(victim), most)
				}
				l.evict(slot)
				forget(first(victim))
			}
			if len(l.index) != len(list) {
				t.Fatalf("%d entries, want %d", len(l.index), len(list))
			}
			for _, e := range list {
				got, ok := l.find(e.key)
				if !ok || got.expires != e.expires || got.keep != e.keep || got.owner != e.slot {
					t.Fatalf("entry %x: %+v, want %+v", e.key[:1], got, e)
				}
			}
			for slot := range l.owners {
				if got := l.owners[slot].floor; got != floors[slot] {
					t.Fatalf("floor of %d is %d, want %d", slot, got, floors[slot])
				}
			}
		}
		if got := l.live(0); got != len(list) {
			t.Fatalf("%d live at the beginning of time, want %d", got, len(list))
		}
		if int(l.filled) != len(list)+len(l.free) {
			t.Fatalf("%d places, %d in use, %d free", l.filled, len(list), len(l.free))
		}
	})
}
