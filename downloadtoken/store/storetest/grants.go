package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// grantOnce: one use opens one grant, which others join until it ends.
func grantOnce(t *testing.T, d Disk) {
	s := begin(d, 10)
	q := resumed(1)
	u := admitQuery(t, s, q, epoch)
	refuseQuery(t, s, q, epoch, rules.ErrInUse) // it is about to be opened
	g, err := u.Commit(background, termsOf(q, 1000))
	if err != nil || g == nil {
		t.Fatalf("commit: %v, %v", g, err)
	}
	joined := admitQuery(t, s, q, epoch)
	if joined.Grant() == nil {
		t.Fatal("the grant was not joined")
	}
	if _, err := joined.Commit(background, nil); err == nil {
		t.Fatal("what was joined was committed")
	}
	var drawn int64
	want := int64(2*1000 + 250)
	for n := int64(1); n > 0 && drawn <= want; drawn += n {
		n = draw(t, joined.Grant(), 700)
	}
	if drawn != want {
		t.Fatalf("drew %d of %d", drawn, want)
	}
	refuseQuery(t, s, q, epoch, rules.ErrBudget)
	g.Return(10)
	if open, err := s.Look(background, q, stopped(epoch)); err != nil || open == nil || open.Left != 10 || !open.Ends.Equal(g.Terms().Ends) {
		t.Fatalf("look: %+v, %v", open, err)
	}
	other := q
	other.Grants = []rules.GrantKey{rules.NewGrantKey(q.Key, "/b", "client", "")}
	refuseQuery(t, s, other, epoch, rules.ErrReplayed)
	refuseQuery(t, s, q, epoch.Add(30*time.Second), rules.ErrReplayed)
	u.Release()
	joined.Release()
	joined.Release()
}

// grantLimits: a grant serves so many connections at a time, so many requests and,
// where the size is not known, so many answers in all; a clean stop changes none of it.
func grantLimits(t *testing.T, d Disk) {
	again := func(s store.Store) store.Store {
		if stopper, ok := d.(Stopper); ok {
			stopper.Stop(epoch)
			s = begin(d, 10)
		}
		return s
	}
	s := begin(d, 10)
	open := func(number int, size int64) store.Query {
		q := resumed(number)
		u := admitQuery(t, s, q, epoch)
		if g, err := u.Commit(background, termsOf(q, size)); err != nil || g == nil {
			t.Fatalf("commit: %v, %v", g, err)
		}
		u.Release()
		return q
	}
	answers := open(1, 0)
	s = again(s)
	admitQuery(t, s, answers, epoch).Release() // the second of two
	s = again(s)
	refuseQuery(t, s, answers, epoch, rules.ErrBudget)

	q := open(2, 1000)
	var joined []store.Use
	for range store.MaxConnections {
		joined = append(joined, admitQuery(t, s, q, epoch))
	}
	short := q
	short.Patience = 0
	if _, err := s.Admit(background, short, stopped(epoch)); !errors.Is(err, rules.ErrInUse) {
		t.Fatalf("more connections than there may be: %v", err)
	}
	for _, u := range joined {
		u.Release()
	}
	served := 1 + store.MaxConnections
	for ; served <= store.MaxRequests; served++ {
		if served == store.MaxRequests/2 {
			s = again(s)
		}
		u, err := s.Admit(background, q, stopped(epoch))
		if errors.Is(err, rules.ErrBudget) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		u.Release()
	}
	if served > store.MaxRequests || served < store.MaxRequests-1 { // who found no connection may count
		t.Fatalf("%d requests of %d", served, store.MaxRequests)
	}
}

// wholeAnswers: where the size is not known, answers are counted.
func wholeAnswers(t *testing.T, d Disk) {
	s := begin(d, 10)
	q := resumed(1)
	terms := termsOf(q, 0)
	terms.ETag, terms.Copies = "", 3
	u := admitQuery(t, s, q, epoch)
	if g, err := u.Commit(background, terms); err != nil || g == nil {
		t.Fatalf("commit: %v, %v", g, err)
	}
	u.Release()
	for range terms.Copies - 1 {
		u := admitQuery(t, s, q, epoch)
		if u.Grant() == nil {
			t.Fatal("the grant was not joined")
		}
		u.Release()
	}
	refuseQuery(t, s, q, epoch, rules.ErrBudget)
}

// noGrantWithoutASpend: what was given back or not committed opens nothing.
func noGrantWithoutASpend(t *testing.T, d Disk) {
	s := begin(d, 10)
	q := resumed(1)
	u := admitQuery(t, s, q, epoch)
	u.Release()
	if g, err := u.Commit(background, termsOf(q, 1000)); err == nil || g != nil {
		t.Fatal("a released use opened a grant")
	}
	u = admitQuery(t, s, q, epoch)
	if u.Grant() != nil {
		t.Fatal("joined a grant that nobody opened")
	}
	foreign := termsOf(q, 1000)
	foreign.Key[0]++
	if g, err := u.Commit(background, foreign); err == nil && g != nil {
		t.Fatal("a grant was opened under a key that was not asked for")
	}
	u.Release()
	refuseQuery(t, s, q, epoch, rules.ErrReplayed)
	for number, useless := range []func(*rules.Terms){
		func(t *rules.Terms) { t.ETag = "" }, // parts of two versions would be mixed
		func(t *rules.Terms) { t.Ends = t.Begins },
	} {
		q := resumed(10 + number)
		terms := termsOf(q, 1000)
		useless(terms)
		u := admitQuery(t, s, q, epoch)
		if g, err := u.Commit(background, terms); err != nil || g != nil {
			t.Fatalf("useless terms: %v, %v", g, err)
		}
		u.Release()
		refuseQuery(t, s, q, epoch, rules.ErrReplayed)
	}
}

// openTogether: crowds open grants together; each costs one use, and nobody is
// refused.
func openTogether(t *testing.T, d Disk) {
	s := begin(d, 1000)
	for round := range 50 {
		q := resumed(round)
		q.Uses = 1 + round%2 // a second use must not be taken by the same download
		var opened, joined atomic.Int32
		var mu sync.Mutex
		seen := map[string]bool{} // which of them opened it
		together(8, func(i int) {
			terms := termsOf(q, 1000)
			terms.ETag = fmt.Sprintf(`"%d"`, i)
			u, err := s.Admit(background, q, stopped(epoch))
			if err != nil {
				t.Errorf("round %d: %v", round, err)
				return
			}
			defer u.Release()
			if u.Grant() != nil {
				joined.Add(1)
			} else if _, err := u.Commit(background, terms); err != nil {
				t.Errorf("round %d: %v", round, err)
			} else {
				opened.Add(1)
			}
			if g := u.Grant(); g != nil {
				mu.Lock()
				defer mu.Unlock()
				seen[g.Terms().ETag] = true
			}
		})
		if opened.Load() != 1 || joined.Load() != 7 || len(seen) != 1 {
			t.Fatalf("round %d: %d opened, %d joined, %d grants", round, opened.Load(), joined.Load(), len(seen))
		}
	}
}

// grantsAndACrash: a crash closes open grants, a clean stop does not, unless
// somebody draws on them.
func grantsAndACrash(t *testing.T, d Disk) {
	open := func(s store.Store, number int) store.Query {
		q := resumed(number)
		q.Issued = epoch.Add(time.Duration(number) * 10 * time.Second) // beyond the mark of the one before
		u := admitQuery(t, s, q, epoch)
		g, err := u.Commit(background, termsOf(q, 1000))
		if err != nil || g == nil {
			t.Fatalf("commit: %v, %v", g, err)
		}
		draw(t, g, 900)
		u.Release()
		return q
	}
	if stopper, ok := d.(Stopper); ok {
		s := begin(d, 10)
		q := open(s, 1)
		stopper.Stop(epoch)
		s = begin(d, 10)
		u := admitQuery(t, s, q, epoch)
		if u.Grant() == nil || !sameTerms(u.Grant().Terms(), *termsOf(q, 1000)) || u.Grant().Left() != u.Grant().Terms().Budget()-900 {
			t.Fatal("a clean stop did not keep the grant as it was")
		}
		stopper.Stop(epoch) // while it is joined
		refuseQuery(t, s, q, epoch, rules.ErrUnavailable)
		s = begin(d, 10)
		refuseQuery(t, s, q, epoch, rules.ErrReplayed)
		stopper.Stop(epoch)
		s = begin(d, 10)
		other := q.Presentation // the same token, now counted for each path
		other.Key, other.Policy = rules.NewKey(other.Signer, "issuer", "1", "/a"), layouts[1]
		refuse(t, s, other, epoch, rules.ErrUnproven)
	}
	q := open(begin(d, 10), 2)
	refuseQuery(t, begin(d, 10), q, epoch, rules.ErrReplayed, rules.ErrUnproven)
}

// grantPastExp: a grant goes on to the end of its window although its token has expired
// and was forgotten, until it is taken back; after a clean stop too. Nothing else is
// opened with the token, whatever the clock says and whatever was lost.
func grantPastExp(t *testing.T, d Disk) {
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	over := []error{rules.ErrReplayed, rules.ErrUnproven}
	s := begin(d, 100)
	q := resumed(1)
	q.Expires = at(5)
	q.Revocable = func() rules.Revocable { return rules.Revocable{Nonces: []string{"1"}} }
	u := admitQuery(t, s, q, epoch)
	g, err := u.Commit(background, termsOf(q, 1000))
	if err != nil || g == nil {
		t.Fatalf("commit: %v, %v", g, err)
	}
	left := g.Left() - draw(t, g, 400)
	u.Release()
	goesOn := func(now time.Time) {
		t.Helper()
		if open, err := s.Look(background, q, stopped(now)); err != nil || open == nil || !open.Ends.Equal(at(30)) {
			t.Fatalf("look: %+v, %v", open, err)
		}
		u := admitQuery(t, s, q, now)
		if u.Grant() == nil || u.Grant().Left() != left {
			t.Fatalf("the grant was not joined with %d left", left)
		}
		left -= draw(t, u.Grant(), 100)
		u.Release()
	}
	other := q
	other.Grants = []rules.GrantKey{rules.NewGrantKey(q.Key, "/b", "client", "")}
	goesOn(at(6))
	for number := 2; number < 40; number++ { // it is forgotten, for the sake of others
		commit(t, admitQuery(t, s, store.Query{Presentation: fresh(number)}, at(7)))
	}
	goesOn(at(8))
	refuseQuery(t, s, other, at(8), over...)
	revoke(t, s, rules.Revocation{Nonce: "1", Until: at(40)}, at(9))
	refuseQuery(t, s, q, at(10), rules.ErrRevoked)
	if err := s.Reinstate(background, rules.Revocation{Nonce: "1"}, at(10)); err != nil {
		t.Fatal(err)
	}
	goesOn(at(11))
	if stopper, ok := d.(Stopper); ok {
		stopper.Stop(at(12))
		s = begin(d, 100)
		goesOn(at(13))
	}
	goesOn(at(29))
	refuseQuery(t, s, q, at(30), over...)
	refuseQuery(t, s, other, at(1), over...) // the clock is set back
	s = begin(d, 100)                        // a crash
	for _, now := range []time.Time{at(1), at(14), at(31)} {
		refuse(t, s, q.Presentation, now, over...)
	}
}

// waiters: whoever waits for a reservation, or for a grant that may be opened, gets
// what is left when it is settled, and is told then, not when patience ends.
func waiters(t *testing.T, d Disk) {
	s := begin(d, 100)
	for number := range 20 {
		q := store.Query{Presentation: fresh(number), Patience: 10 * time.Second}
		if number%5 > 1 {
			q = resumed(number)
		}
		u := admitQuery(t, s, q, epoch)
		asked := make(chan struct{}, 100)
		clock := func() time.Time {
			select {
			case asked <- struct{}{}:
			default: // it was asked before
			}
			return epoch
		}
		result := make(chan error)
		begun := time.Now()
		go func() {
			if number%2 == 0 {
				if open, err := s.Look(background, q, clock); err != nil || (open != nil) != (number%5 == 4) {
					result <- err
					return
				}
			}
			next, err := s.Admit(background, q, clock)
			if err == nil && next.Grant() == nil {
				err = commitUse(next)
			}
			if err == nil {
				next.Release()
			}
			result <- err
		}()
		<-asked
		want := rules.ErrReplayed
		switch number % 5 {
		case 0:
			commit(t, u)
		case 1, 2:
			u.Release()
			want = nil
		case 3: // it opens no grant after all
			commit(t, u)
			u.Release()
		case 4:
			if _, err := u.Commit(background, termsOf(q, 1000)); err != nil {
				t.Fatal(err)
			}
			want = nil
		}
		if err := <-result; !errors.Is(err, want) || time.Since(begun) > 8*time.Second {
			t.Fatalf("token %d: %v after %v, want %v", number, err, time.Since(begun), want)
		}
		u.Release()
	}
}
