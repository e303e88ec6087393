// Package storetest is the contract of [store.Store] as a test.
//
// A store passes if no sequence of operations makes it honour a token more
// often than it may, and if it refuses an unused token only where a rule says
// so. The model it is held against is a plain map that never forgets.
package storetest

import (
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
)

// Disk is the storage under a store: what outlives the process.
type Disk interface {
	// Open starts a store on whatever the storage holds. Opening again is a
	// restart after a crash: the earlier store is not closed, just never used
	// again, but for settling reservations that it gave out.
	Open(Life) store.Store
	// Lose empties the storage.
	Lose()
	// Break makes every write fail from now on, until mended by Break(false).
	Break(broken bool)
}

// Stopper is a Disk whose stores can be stopped cleanly, so that the next Open
// knows all that they knew.
type Stopper interface {
	// Stop ends the store that was opened last. Reservations that are open then
	// count as spent and may still be committed; it admits nothing any more.
	Stop(now time.Time)
}

// Life is one run of a process.
type Life struct {
	Capacity int       // how many entries fit, where the store is bounded
	Start    time.Time // the clock when the store is opened
}

// resizer is a store whose capacity can change while it runs.
type resizer interface {
	SetCapacity(n int, now time.Time)
}

// Run holds the stores of fresh disks against the contract. newDisk is called
// for every test case, many hundred times; it may use t.TempDir.
func Run(t *testing.T, newDisk func(t testing.TB) Disk) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, Disk)
	}{
		{"spend once", spendOnce},
		{"settle once", settleOnce},
		{"uses", uses},
		{"look changes nothing", lookChangesNothing},
		{"late settlement", lateSettlement},
		{"expiry reuses space", expiryReusesSpace},
		{"unique tokens at once, then all replayed", uniqueThenReplayed},
		{"race for one token", race},
		{"flood does not flush a spent token", flood},
		{"policy", policy},
		{"crash", crash},
		{"storage lost", lost},
		{"lost, then kept", lostThenKept},
		{"lost, then set back", lostThenSetBack},
		{"storage broken", broken},
		{"broken at random", brokenAtRandom},
		{"cannot be confused", hostile},
		{"grant", grantOnce},
		{"limits of a grant", grantLimits},
		{"no grant without a spend", noGrantWithoutASpend},
		{"grants opened together", openTogether},
		{"grants and a crash", grantsAndACrash},
		{"waiting for a reservation", waiters},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newDisk(t)) })
	}
	t.Run("promise", func(t *testing.T) { Promise(t, newDisk) })
}
