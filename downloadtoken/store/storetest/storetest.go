// Package storetest is the contract of [store.Store] as a test.
//
// A store passes if no sequence of operations makes it honour a token more
// often than it may or after it was taken back, and if it refuses an unused token
// only where a rule says so. The model it is held against is a plain map that
// never forgets.
//
// # How to use it
//
// Write a [Disk]: whatever lies under the store and outlives it, with faults that
// can be switched on. Then, in a test of the store:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) storetest.Disk { return newDisk(t) })
//	}
//
// Where the store can be stopped cleanly, its Disk is a [Stopper] as well, and
// where it can lose its storage while it runs, a [Cutter]; what needs them is
// skipped otherwise. One whose stores forget nothing in a crash is a [Keeper], and one
// that can be measured a [Sizer]. With -short it takes seconds, and with -race it should be
// run. It uses pgregory.net/rapid, whose flags tell how long: -rapid.checks.
// Tests that run at the same time disturb the count of goroutines.
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
	// count as spent and may still be committed; it admits nothing any more. It
	// may be called again.
	Stop(now time.Time)
}

// Keeper is a Disk whose stores know after a crash all that was honoured before it,
// so that no token is refused only because it might have been. A reservation that a
// crash has left may be given out again; then the crashed store cannot commit it any
// more.
type Keeper interface {
	// KeepsThroughCrashes does nothing.
	KeepsThroughCrashes()
}

// Sizer is a Disk that can tell how much it holds.
type Sizer interface {
	// Size is that of the storage now, in bytes or in whatever it grows by.
	Size() int64
}

// Cutter is a Disk that the store can be cut off from while it runs, as from a
// server: then no method can answer. A store that reads storage only when it is
// opened has none.
type Cutter interface {
	// Cut makes everything that is asked from now on end in
	// ErrUnavailable, until Cut(false). Whether it was done all the same
	// is not known.
	Cut(cut bool)
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
		{"same nonce", sameNonce},
		{"look changes nothing", lookChangesNothing},
		{"late settlement", lateSettlement},
		{"expiry reuses space", expiryReusesSpace},
		{"long run leaves no residue", noResidue},
		{"unique tokens at once, then all replayed", uniqueThenReplayed},
		{"race for one token", race},
		{"flood does not flush a spent token", flood},
		{"policy", policy},
		{"moved from another store", moved},
		{"crash", crash},
		{"storage lost", lost},
		{"lost, then kept", lostThenKept},
		{"lost, then set back", lostThenSetBack},
		{"storage broken", broken},
		{"broken at random", brokenAtRandom},
		{"cannot be confused", hostile},
		{"grant", grantOnce},
		{"whole answers", wholeAnswers},
		{"limits of a grant", grantLimits},
		{"no grant without a spend", noGrantWithoutASpend},
		{"grants opened together", openTogether},
		{"grants and a crash", grantsAndACrash},
		{"grant past exp", grantPastExp},
		{"waiting for a reservation", waiters},
		{"revocations", revocations},
		{"revoked, then not", revokedThenNot},
		{"revoked twice", revokedTwice},
		{"reinstated", reinstated},
		{"revoked on broken storage", revokedOnBrokenStorage},
		{"revoked in mid-wait", revokedInMidWait},
		{"clean stop", cleanStop},
		{"cancelled", cancelled},
		{"cut off", cutOff},
		{"cut off at random", cutOffAtRandom},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newDisk(t)) })
	}
	if _, keeps := newDisk(t).(Keeper); keeps {
		t.Run("crash costs nothing", func(t *testing.T) { crashCostsNothing(t, newDisk(t)) })
	}
	t.Run("promise", func(t *testing.T) { Promise(t, newDisk) })
}
