package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

func crash(t *testing.T, d Disk) {
	s := begin(d, 64)
	p, noIat := fresh(1), fresh(2)
	noIat.Issued, noIat.MaxTTL = time.Time{}, 30*time.Second
	spend(t, s, p)
	spend(t, s, noIat)
	held := reserve(t, s, fresh(3))
	for _, start := range []time.Time{epoch, epoch.Add(-time.Hour), epoch.Add(time.Hour)} {
		s = d.Open(Life{Capacity: 64, Start: start})
		refuse(t, s, p, epoch, rules.ErrUnproven, rules.ErrReplayed)
		noIat.MaxTTL = time.Nanosecond // a smaller limit now
		refuse(t, s, noIat, epoch, rules.ErrUnproven, rules.ErrReplayed)
		if _, ok := d.(Keeper); !ok {
			refuse(t, s, fresh(3), epoch, rules.ErrUnproven, rules.ErrReplayed)
		}
	}
	if _, ok := d.(Keeper); ok {
		if commitUse(held) != nil {
			spend(t, s, fresh(3))
		}
		refuse(t, s, fresh(3), epoch, rules.ErrReplayed)
		if err := commitUse(held); err == nil {
			t.Fatal("what a crash has left was committed, and given out again")
		}
	}
	next := fresh(4)
	next.Issued = p.Issued.Add(rules.MarkStep + time.Microsecond)
	spend(t, s, next)
	other := from(1, 5) // a signer of whom nothing was honoured
	spend(t, s, other)
}

// crashCostsNothing: what was not used works after a crash, and what was used is known,
// whatever the clock says.
func crashCostsNothing(t *testing.T, d Disk) {
	s := begin(d, 64)
	some := fresh(1) // one of two uses is left
	some.Uses = 2
	spend(t, s, some)
	open := resumed(2)
	if _, err := admitQuery(t, s, open, epoch).Commit(background, termsOf(open, 1000)); err != nil {
		t.Fatal(err)
	}
	for i, start := range []time.Duration{0, -time.Hour, time.Hour} {
		s = d.Open(Life{Capacity: 64, Start: epoch.Add(start)})
		refuseQuery(t, s, open, epoch, rules.ErrReplayed) // its grant is closed
		noIat := fresh(20 + i)
		noIat.Issued, noIat.MaxTTL = time.Time{}, 30*time.Second
		spend(t, s, noIat)
		spend(t, s, fresh(10+i))
	}
	spend(t, s, some)
	refuse(t, s, some, epoch, rules.ErrReplayed)

	// So is what a change of the way of counting must not overlook.
	long := from(1, 40)
	spend(t, s, from(1, 41))
	long.Expires = epoch.Add(time.Hour)
	spend(t, s, long)
	s = begin(d, 64)
	perPath := from(1, 42)
	perPath.Expires, perPath.Policy = epoch.Add(30*time.Minute), layouts[1]
	refuse(t, s, perPath, epoch, rules.ErrUnproven)

	// So is the way in which a signer's tokens are counted.
	other := fresh(30)
	other.Key, other.Policy = rules.NewKey(other.Signer, "issuer", "1", "/a"), layouts[1]
	s = begin(d, 64)
	refuse(t, s, other, epoch, rules.ErrUnproven)
	other.Expires = epoch.Add(2 * time.Minute)
	spend(t, s, other)
	back := fresh(30)
	back.Expires = other.Expires
	s = begin(d, 64)
	refuse(t, s, back, epoch, rules.ErrUnproven)
}

func lost(t *testing.T, d Disk) {
	s := begin(d, 64)
	noIat := fresh(2)
	noIat.Issued, noIat.MaxTTL = time.Time{}, 30*time.Second
	spend(t, s, fresh(1))
	spend(t, s, noIat)
	d.Lose()
	s = d.Open(Life{Capacity: 64, Start: epoch.Add(40 * time.Second)})
	refuse(t, s, fresh(1), epoch, rules.ErrUnproven)
	refuse(t, s, noIat, epoch, rules.ErrUnproven)
	equal := fresh(3)
	equal.Issued = epoch.Add(40 * time.Second)
	refuse(t, s, equal, epoch, rules.ErrUnproven)
	equal.Issued = equal.Issued.Add(time.Microsecond)
	spend(t, s, equal)
	noIat.Expires = epoch.Add(70 * time.Second)
	refuse(t, s, noIat, epoch, rules.ErrUnproven)
	noIat.Expires = noIat.Expires.Add(time.Microsecond)
	spend(t, s, noIat)
}

// lostThenKept: a signer that has no mark may still have been honoured, before
// storage was lost.
func lostThenKept(t *testing.T, d Disk) {
	s := begin(d, 64)
	a, b := from(0, 1), from(1, 1)
	spend(t, s, a)
	spend(t, s, b)
	d.Lose()
	s = d.Open(Life{Capacity: 64, Start: epoch.Add(30 * time.Second)})
	a = from(0, 2)
	a.Issued = epoch.Add(31 * time.Second)
	spend(t, s, a) // leaves a mark for the first signer only
	s = d.Open(Life{Capacity: 64, Start: epoch.Add(45 * time.Second)})
	refuse(t, s, b, epoch, rules.ErrUnproven)
}

// lostThenSetBack: what began after storage was lost goes on beyond a clean stop, and
// its marks with it, although the clock was set back meanwhile.
func lostThenSetBack(t *testing.T, d Disk) {
	stopper, ok := d.(Stopper)
	if !ok {
		return
	}
	b := from(1, 1)
	b.Issued, b.Expires = epoch.Add(80*time.Second), epoch.Add(time.Hour)
	spend(t, begin(d, 64), b)
	d.Lose()
	d.Open(Life{Capacity: 64, Start: epoch.Add(100 * time.Second)})
	stopper.Stop(epoch.Add(100 * time.Second))
	s := d.Open(Life{Capacity: 64, Start: epoch.Add(50 * time.Second)})
	refuse(t, s, b, epoch, rules.ErrUnproven)
	a := from(0, 2)
	a.Issued, a.Expires = epoch.Add(101*time.Second), epoch.Add(time.Hour)
	spend(t, s, a) // writes the marks
	s = d.Open(Life{Capacity: 64, Start: epoch.Add(102 * time.Second)})
	refuse(t, s, b, epoch, rules.ErrUnproven)
}

func broken(t *testing.T, d Disk) {
	s := begin(d, 64)
	d.Break(true)
	p := fresh(1)
	r, err := admit(s, p, epoch)
	if err == nil {
		err = commitUse(r)
		r.Release()
	}
	if !errors.Is(err, rules.ErrUnavailable) {
		t.Fatalf("spent on a broken disk: %v", err)
	}
	d.Break(false)
	spend(t, s, p)
}
