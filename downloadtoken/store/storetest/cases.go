package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

func spendOnce(t *testing.T, d Disk) {
	s := begin(d, 10)
	p := fresh(1)
	r := reserve(t, s, p)
	refuse(t, s, p, epoch, rules.ErrInUse)
	if got := statsOf(t, s, epoch); got.Entries != 1 || got.Reserved != 1 {
		t.Fatalf("stats with one reservation: %+v", got)
	}
	r.Release()
	if got := statsOf(t, s, epoch); got.Entries != 0 || got.Reserved != 0 || !got.Floor.IsZero() {
		t.Fatalf("stats after release: %+v", got)
	}
	spend(t, s, p)
	refuse(t, s, p, epoch, rules.ErrReplayed)
	spend(t, s, from(1, 1)) // the same nonce, another key
	if got := statsOf(t, s, epoch); got.Entries != 2 || got.Reserved != 0 {
		t.Fatalf("stats with two spent: %+v", got)
	}
}

func settleOnce(t *testing.T, d Disk) {
	s := begin(d, 10)
	r := reserve(t, s, fresh(1))
	commit(t, r)
	if err := commitUse(r); err == nil {
		t.Fatal("a reservation was committed twice")
	}
	r.Release()
	r.Release()
	refuse(t, s, fresh(1), epoch, rules.ErrReplayed)
}

func uses(t *testing.T, d Disk) {
	s := begin(d, 10)
	p := fresh(1)
	p.Uses = 3
	x, y := reserve(t, s, p), reserve(t, s, p)
	x.Release() // must not give back y
	reserved := statsOf(t, s, epoch)
	if reserved.Entries != 1 || reserved.Reserved != 1 {
		t.Fatalf("stats with one reservation left: %+v", reserved)
	}
	y.Release()
	spend(t, s, p)
	reserve(t, s, p).Release() // must not give back what was spent
	a, b := reserve(t, s, p), reserve(t, s, p)
	refuse(t, s, p, epoch, rules.ErrInUse)
	a.Release()
	a.Release() // must not give back b
	c := reserve(t, s, p)
	refuse(t, s, p, epoch, rules.ErrInUse)
	commit(t, b)
	commit(t, c)
	refuse(t, s, p, epoch, rules.ErrReplayed)
	p.Uses = 4 // the config allows more now
	spend(t, s, p)
	p.Uses = -1
	refuse(t, s, p, epoch, rules.ErrReplayed)

	// What is remembered is known, wherever the floor stands.
	s = begin(d, 2)
	p = from(1, 1)
	p.Uses = 2
	spend(t, s, from(1, 2))
	spend(t, s, p)
	spend(t, s, from(1, 3)) // for whom another that expires then was forgotten
	spend(t, s, p)
	refuse(t, s, p, epoch, rules.ErrReplayed)

	s = begin(d, 10)
	p = from(2, 1)
	p.Uses = 3
	spend(t, s, p)
	p.Leeway = time.Minute // the config allows more now
	spend(t, s, p)
	late := from(2, 2)
	late.Expires = epoch.Add(time.Hour)
	now := p.Expires.Add(30 * time.Second)
	for range 2 { // whoever comes makes what has expired be forgotten
		u, err := admit(s, late, now)
		if err != nil {
			t.Fatal(err)
		}
		u.Release()
	}
	u, err := admit(s, p, now)
	if err != nil {
		t.Fatalf("forgotten before the leeway was over: %v", err)
	}
	commit(t, u)
}

// sameNonce: a token is remembered for as long as another with the same nonce, which
// shares its uses, would be accepted.
func sameNonce(t *testing.T, d Disk) {
	s := begin(d, 10)
	long, short := fresh(1), fresh(1)
	long.Uses, short.Uses = 3, 3
	long.Expires = epoch.Add(time.Hour)
	spend(t, s, long)
	spend(t, s, short)
	now := epoch.Add(30 * time.Minute)
	for i := range 2 { // the requests that come make the store forget what has expired
		p := fresh(10 + i)
		p.Expires = epoch.Add(2 * time.Hour)
		u, err := admit(s, p, now)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, u)
		u.Release()
	}
	u, err := admit(s, long, now)
	if err != nil {
		t.Fatalf("the third use: %v", err)
	}
	commit(t, u)
	refuse(t, s, long, now, rules.ErrReplayed)
}

func lookChangesNothing(t *testing.T, d Disk) {
	s := begin(d, 10)
	p := fresh(1)
	other := p
	other.Policy = layouts[1]
	look := func(p rules.Presentation, want error) {
		t.Helper()
		before := statsOf(t, s, epoch)
		if _, err := s.Look(background, store.Query{Presentation: p}, stopped(epoch)); !errors.Is(err, want) {
			t.Fatalf("look: got %v, want %v", err, want)
		}
		if after := statsOf(t, s, epoch); after != before {
			t.Fatalf("look changed %+v to %+v", before, after)
		}
	}
	look(p, nil)
	r := reserve(t, s, p)
	look(p, rules.ErrInUse)
	commit(t, r)
	look(p, rules.ErrReplayed)
	other.Key = rules.NewKey(p.Signer, "issuer", "1", "/a")
	look(other, rules.ErrUnproven) // a look under another policy does not adopt it
	spend(t, s, fresh(2))
}

func lateSettlement(t *testing.T, d Disk) {
	s := begin(d, 10)
	p := fresh(1)
	old := reserve(t, s, p)
	old.Release()
	r := reserve(t, s, p)
	old.Release()
	refuse(t, s, p, epoch, rules.ErrInUse)
	if err := commitUse(old); err == nil {
		t.Fatal("a released reservation was committed")
	}
	refuse(t, s, p, epoch, rules.ErrInUse)
	commit(t, r)
	refuse(t, s, p, epoch, rules.ErrReplayed)
}

// expiryReusesSpace spends tokens one after the other, each long after the one
// before has expired: the store must not grow.
func expiryReusesSpace(t *testing.T, d Disk) {
	s := begin(d, 1000)
	for i := range 500 {
		p := fresh(i)
		now := epoch.Add(time.Duration(i) * time.Hour)
		p.Issued, p.Expires, p.Leeway = now.Add(time.Second), now.Add(time.Minute), time.Minute
		r, err := admit(s, p, now)
		if err != nil {
			t.Fatalf("token %d: %v", i, err)
		}
		commit(t, r)
		refuse(t, s, p, now.Add(2*time.Minute), rules.ErrReplayed)
		if got := statsOf(t, s, now); got.Entries != 1 || got.EvictedLive != 0 {
			t.Fatalf("after %d: %+v", i+1, got)
		}
	}
	p := fresh(7)
	p.Expires = epoch.Add(7*time.Hour + time.Minute)
	p.Issued = epoch.Add(7*time.Hour + time.Second)
	refuse(t, s, p, epoch, rules.ErrUnproven, rules.ErrReplayed) // the clock set back by weeks
}

func flood(t *testing.T, d Disk) {
	s := begin(d, 64)
	victim := fresh(0)
	spend(t, s, victim)
	for i := range 200 {
		p := fresh(i + 1)
		p.Expires = p.Expires.Add(time.Duration(i) * time.Second)
		spend(t, s, p)
	}
	if got := statsOf(t, s, epoch); got.Capacity > 0 && got.Entries > got.Capacity {
		t.Fatalf("more than fits: %+v", got)
	}
	refuse(t, s, victim, epoch, rules.ErrUnproven, rules.ErrReplayed)
	for i := range 200 {
		p := fresh(i + 1)
		p.Expires = p.Expires.Add(time.Duration(i) * time.Second)
		refuse(t, s, p, epoch, rules.ErrUnproven, rules.ErrReplayed)
	}
}

func policy(t *testing.T, d Disk) {
	s := begin(d, 64)
	perPath := func(n int, path string, lives time.Duration) rules.Presentation {
		p := fresh(n)
		p.Key = rules.NewKey(p.Signer, "issuer", fmt.Sprint(n), path)
		p.Expires, p.Policy = epoch.Add(lives), layouts[1]
		return p
	}
	spend(t, s, fresh(1))
	held := reserve(t, s, fresh(2))
	refuse(t, s, perPath(1, "/a", time.Minute), epoch, rules.ErrUnproven, rules.ErrReplayed)
	refuse(t, s, perPath(2, "/a", time.Minute), epoch, rules.ErrUnproven, rules.ErrInUse)
	commit(t, held)
	spend(t, s, perPath(3, "/a", time.Hour))
	spend(t, s, perPath(3, "/b", time.Hour))
	back := fresh(3)
	back.Expires = epoch.Add(time.Hour)
	refuse(t, s, back, epoch, rules.ErrUnproven, rules.ErrReplayed)
	spend(t, s, from(1, 3)) // another signer's policy did not change

	s = begin(d, 64)
	twice := from(2, 4)
	twice.Uses = 2
	spend(t, s, twice)
	twice.Expires = epoch.Add(time.Hour) // a second token with the same nonce
	spend(t, s, twice)
	other := perPath(4, "/a", time.Hour)
	other.Signer, other.Key = signer(2), rules.NewKey(signer(2), "issuer", "4", "/a")
	refuse(t, s, other, epoch, rules.ErrUnproven)
}

// moved: of a signer that was used with another store, only what was issued since is
// taken for unused; what the store itself knows of goes on to count.
func moved(t *testing.T, d Disk) {
	s := begin(d, 64)
	some := fresh(1)
	some.Uses = 2
	spend(t, s, some)
	some.Moved = some.Issued.Add(time.Second)
	spend(t, s, some)
	refuse(t, s, some, epoch, rules.ErrReplayed)
	before := fresh(2)
	before.Moved = before.Issued
	refuse(t, s, before, epoch, rules.ErrUnproven)
	if _, err := s.Look(background, store.Query{Presentation: before}, stopped(epoch)); !errors.Is(err, rules.ErrUnproven) {
		t.Fatalf("look: %v", err)
	}
	after := before
	after.Issued = before.Moved.Add(time.Microsecond)
	spend(t, s, after)
	noIat := fresh(3)
	noIat.Issued, noIat.MaxTTL = time.Time{}, 30*time.Second
	noIat.Moved = noIat.Expires.Add(-noIat.MaxTTL)
	refuse(t, s, noIat, epoch, rules.ErrUnproven)
	noIat.Expires = noIat.Expires.Add(time.Microsecond)
	spend(t, s, noIat)
}

// noResidue spends tokens at even distances, for much longer than they live:
// what the storage holds does not depend on how long it went on.
func noResidue(t *testing.T, d Disk) {
	const live = 30
	s := begin(d, 1000)
	var early, late int64
	for i := range 1000 {
		now := epoch.Add(time.Duration(i) * time.Second)
		p := fresh(i)
		p.Issued, p.Expires = now.Add(time.Microsecond), now.Add(live*time.Second)
		u, err := admit(s, p, now)
		if err != nil {
			t.Fatalf("token %d: %v", i, err)
		}
		commit(t, u)
		if got := statsOf(t, s, now); got.Entries > live+1 || got.EvictedLive != 0 {
			t.Fatalf("after %d: %+v", i+1, got)
		}
		sizer, ok := d.(Sizer)
		switch {
		case !ok:
		case i < 300:
			early = max(early, sizer.Size())
		default:
			late = max(late, sizer.Size())
		}
	}
	if late > early {
		t.Errorf("it has grown from %d to %d", early, late)
	}
	end := epoch.Add(2000 * time.Second)
	if got := statsOf(t, s, end); got.Entries != 0 || got.Reserved != 0 {
		t.Errorf("when all have expired: %+v", got)
	}
}
