package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// revocable asks about a token that has all that tokens are taken back by.
// No two numbers share any of it.
func revocable(number int) store.Query {
	p := fresh(number)
	return store.Query{Presentation: p, Revocable: func() rules.Revocable {
		return rules.Revocable{
			Nonces: []string{named("other nonce", number), named("nonce", number)}, Fingerprint: named("fingerprint", number),
			Subjects: []string{named("sub", number), named("user", number)}, KeyID: named("kid", number),
			Issuer: named("issuer", number), Issued: p.Issued,
		}
	}}
}

func named(what string, number int) string { return fmt.Sprint(what, " ", number) }

func revoke(t testing.TB, s store.Store, r rules.Revocation, now time.Time) {
	t.Helper()
	if err := s.Revoke(background, r, now); err != nil {
		t.Fatalf("revoke %+v: %v", r, err)
	}
}

// wantRevoked wants the same answer of all that can be asked: the token was taken
// back, or was not. What else is said of it does not matter. It costs nothing.
func wantRevoked(t testing.TB, s store.Store, q store.Query, now time.Time, want bool) {
	t.Helper()
	before := statsOf(t, s, now)
	err := s.Revoked(background, q.Revocable, now)
	if want != errors.Is(err, rules.ErrRevoked) || !want && err != nil {
		t.Fatalf("revoked: %v, want %t", err, want)
	}
	_, err = s.Look(background, q, stopped(now))
	if want != errors.Is(err, rules.ErrRevoked) {
		t.Fatalf("look: %v, want revoked: %t", err, want)
	}
	u, err := s.Admit(background, q, stopped(now))
	if want != errors.Is(err, rules.ErrRevoked) {
		t.Fatalf("admit: %v, want revoked: %t", err, want)
	}
	if u != nil {
		u.Release()
	}
	if after := statsOf(t, s, now); after.Entries != before.Entries || after.Reserved != before.Reserved {
		t.Fatalf("asking changed %+v to %+v", before, after)
	}
}

func listed(t testing.TB, s store.Store, now time.Time) []rules.Revocation {
	t.Helper()
	all, err := s.Revocations(background, now)
	if err != nil {
		t.Fatalf("revocations: %v", err)
	}
	return all
}

// revocations: each way to take a token back, and what looks like it but is not.
func revocations(t *testing.T, d Disk) {
	later := epoch.Add(30 * time.Second)
	var rows = []struct {
		name string
		is   bool
		of   func(number int, q *store.Query) rules.Revocation
	}{
		{"nonce", true, func(n int, _ *store.Query) rules.Revocation { return rules.Revocation{Nonce: named("nonce", n)} }},
		{"other nonce", true, func(n int, _ *store.Query) rules.Revocation { return rules.Revocation{Nonce: named("other nonce", n)} }},
		{"fingerprint", true, func(n int, _ *store.Query) rules.Revocation {
			return rules.Revocation{Fingerprint: named("fingerprint", n)}
		}},
		{"sub", true, func(n int, _ *store.Query) rules.Revocation { return rules.Revocation{Subject: named("sub", n)} }},
		{"user", true, func(n int, _ *store.Query) rules.Revocation { return rules.Revocation{Subject: named("user", n)} }},
		{"kid", true, func(n int, _ *store.Query) rules.Revocation { return rules.Revocation{KeyID: named("kid", n)} }},
		{"its nonce is a sub", false, func(n int, _ *store.Query) rules.Revocation { return rules.Revocation{Subject: named("nonce", n)} }},
		{"its sub is a kid", false, func(n int, _ *store.Query) rules.Revocation { return rules.Revocation{KeyID: named("sub", n)} }},
		{"its issuer", true, func(n int, _ *store.Query) rules.Revocation {
			return rules.Revocation{Nonce: named("nonce", n), Issuer: named("issuer", n)}
		}},
		{"another issuer", false, func(n int, _ *store.Query) rules.Revocation {
			return rules.Revocation{Nonce: named("nonce", n), Issuer: named("issuer", n+1)}
		}},
		{"issued before", true, func(n int, q *store.Query) rules.Revocation {
			return rules.Revocation{IssuedBefore: q.Issued.Add(time.Second), Issuer: named("issuer", n)}
		}},
		{"issued at that very time", false, func(n int, q *store.Query) rules.Revocation {
			return rules.Revocation{IssuedBefore: q.Issued, Issuer: named("issuer", n)}
		}},
		{"issued nobody knows when", true, func(n int, q *store.Query) rules.Revocation {
			known := q.Revocable()
			known.Issued = time.Time{}
			q.Revocable = func() rules.Revocable { return known }
			return rules.Revocation{IssuedBefore: epoch.Add(-time.Hour), Issuer: named("issuer", n)}
		}},
		{"for some time", true, func(n int, _ *store.Query) rules.Revocation {
			return rules.Revocation{Nonce: named("nonce", n), Until: later}
		}},
		{"over already", false, func(n int, _ *store.Query) rules.Revocation {
			return rules.Revocation{Nonce: named("nonce", n), Until: epoch}
		}},
	}
	s := begin(d, 100)
	queries := make([]store.Query, len(rows))
	inForce := func(s store.Store) {
		t.Helper()
		for n, row := range rows {
			if row.is {
				wantRevoked(t, s, queries[n], epoch, true)
			} else if err := s.Revoked(background, queries[n].Revocable, epoch); err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
		}
	}
	for n, row := range rows {
		q := revocable(n)
		r := row.of(n, &q)
		queries[n] = q
		wantRevoked(t, s, q, epoch, false)
		revoke(t, s, r, epoch)
		t.Log(row.name)
		wantRevoked(t, s, q, epoch, row.is)
		wantRevoked(t, s, revocable(-1), epoch, false)
	}
	inForce(s)
	if stopper, ok := d.(Stopper); ok {
		stopper.Stop(epoch)
		s = begin(d, 100)
		inForce(s)
	}
	s = begin(d, 100) // after a crash
	inForce(s)
	if all := listed(t, s, epoch); len(all) < 10 || all[0].Until != later && !all[0].Until.Equal(later) {
		t.Fatalf("%d revocations, the newest of them %+v", len(all), all[0])
	}
	for _, r := range listed(t, s, later) {
		if !r.Until.IsZero() {
			t.Fatalf("over, and in the list: %+v", r)
		}
	}
}

// revokedThenNot: what was refused as revoked was not used.
func revokedThenNot(t *testing.T, d Disk) {
	s := begin(d, 10)
	until := epoch.Add(10 * time.Second)
	q := revocable(1)
	revoke(t, s, rules.Revocation{Subject: named("user", 1), Until: until}, epoch)
	for range 5 {
		wantRevoked(t, s, q, until.Add(-time.Microsecond), true)
	}
	commit(t, admitQuery(t, s, q, until))
	refuseQuery(t, s, q, until, rules.ErrReplayed)
	revoke(t, s, rules.Revocation{Fingerprint: named("fingerprint", 1)}, until)
	refuseQuery(t, s, q, until, rules.ErrRevoked) // first of all

	q = revocable(2)
	q.Grants = resumed(2).Grants
	u := admitQuery(t, s, q, epoch)
	if g, err := u.Commit(background, termsOf(q, 1000)); err != nil || g == nil {
		t.Fatalf("commit: %v, %v", g, err)
	}
	revoke(t, s, rules.Revocation{KeyID: named("kid", 2)}, epoch)
	refuseQuery(t, s, q, epoch, rules.ErrRevoked) // and no grant is joined
	u.Release()
}

// revokedTwice: what is in force already costs nothing, and what takes back more
// replaces what takes back less.
func revokedTwice(t *testing.T, d Disk) {
	s := begin(d, 10)
	short := rules.Revocation{Nonce: "a", Until: epoch.Add(10 * time.Second)}
	long := rules.Revocation{Nonce: "a"}
	for _, r := range []rules.Revocation{short, short, long, long, short} {
		revoke(t, s, r, epoch)
		if all := listed(t, s, epoch); len(all) != 1 {
			t.Fatalf("%d revocations after %+v: %+v", len(all), r, all)
		}
	}
	if all := listed(t, s, epoch); all[0] != long {
		t.Fatalf("in force: %+v", all[0])
	}
	for _, r := range []rules.Revocation{{}, {Issuer: "all of theirs"}, {Nonce: "a", Subject: "b"}} {
		if err := s.Revoke(background, r, epoch); !errors.Is(err, rules.ErrRevocation) {
			t.Fatalf("revoke %+v: %v", r, err)
		}
	}
}

// reinstated: a revocation is taken back by itself, durably, and gives no use back.
func reinstated(t *testing.T, d Disk) {
	s := begin(d, 10)
	q, other := revocable(1), revocable(2)
	by := []rules.Revocation{
		{Nonce: named("nonce", 1)}, {Nonce: named("nonce", 1), Issuer: named("issuer", 1)}, {Subject: named("sub", 1), Until: epoch.Add(time.Hour)},
		{Fingerprint: named("fingerprint", 1)}, {KeyID: named("kid", 1)}, {IssuedBefore: q.Issued.Add(time.Second), Issuer: named("issuer", 1)},
	}
	revoke(t, s, rules.Revocation{Nonce: named("nonce", 2)}, epoch)
	for _, r := range by {
		revoke(t, s, r, epoch)
		wantRevoked(t, s, q, epoch, true)
		for _, wrong := range []rules.Revocation{{Nonce: named("nonce", 3)}, {Subject: named("nonce", 1)}, {KeyID: named("kid", 1), Issuer: "another"}} {
			if err := s.Reinstate(background, wrong, epoch); !errors.Is(err, rules.ErrNotRevoked) {
				t.Fatalf("reinstate %+v: %v", wrong, err)
			}
		}
		r.Until = time.Time{} // does not matter
		if err := s.Reinstate(background, r, epoch); err != nil {
			t.Fatalf("reinstate %+v: %v", r, err)
		}
		wantRevoked(t, s, q, epoch, false)
		wantRevoked(t, s, other, epoch, true)
	}
	if err := s.Reinstate(background, rules.Revocation{}, epoch); !errors.Is(err, rules.ErrRevocation) {
		t.Fatalf("reinstate nothing: %v", err)
	}
	spend(t, s, q.Presentation)
	revoke(t, s, by[0], epoch)
	if d.Break(true); s.Reinstate(background, by[0], epoch) == nil {
		wantRevoked(t, s, q, epoch, false) // its storage cannot be broken
	}
	d.Break(false)
	if err := s.Reinstate(background, by[0], epoch); err != nil && !errors.Is(err, rules.ErrNotRevoked) {
		t.Fatal(err)
	}
	s = begin(d, 10)
	wantRevoked(t, s, q, epoch, false)
	wantRevoked(t, s, other, epoch, true)
	refuse(t, s, q.Presentation, epoch, rules.ErrReplayed, rules.ErrUnproven)
}

// revokedOnBrokenStorage: it is never answered that a token was taken back if a
// crash gives it back.
func revokedOnBrokenStorage(t *testing.T, d Disk) {
	s := begin(d, 10)
	r, q := rules.Revocation{Nonce: named("nonce", 1)}, revocable(1)
	for range 2 { // that it could not be written must not pass for written
		d.Break(true)
		err := s.Revoke(background, r, epoch)
		d.Break(false)
		switch {
		case err == nil:
			wantRevoked(t, s, q, epoch, true)
			s = begin(d, 10)
			wantRevoked(t, s, q, epoch, true)
		case !errors.Is(err, rules.ErrUnavailable):
			t.Fatalf("revoke: %v", err)
		}
	}
	revoke(t, s, r, epoch)
	wantRevoked(t, s, q, epoch, true)
	s = begin(d, 10)
	wantRevoked(t, s, q, epoch, true)
}

// revokedInMidWait: who waits for others is told, and does not go on to use what
// they give back.
func revokedInMidWait(t *testing.T, d Disk) {
	s := begin(d, 100)
	for n := range 10 {
		q := revocable(n)
		q.Patience = time.Minute
		if n%2 == 0 {
			q.Grants = resumed(n).Grants
		}
		u := admitQuery(t, s, q, epoch)
		results := make(chan error, 2)
		go func() {
			_, err := s.Admit(background, q, stopped(epoch))
			results <- err
		}()
		go func() {
			_, err := s.Look(background, q, stopped(epoch))
			results <- err
		}()
		time.Sleep(time.Duration(n) * time.Millisecond) // for some of them to wait by now
		revoke(t, s, rules.Revocation{Nonce: named("nonce", n)}, epoch)
		if n < 5 {
			u.Release()
		}
		for range 2 {
			select {
			case err := <-results:
				if !errors.Is(err, rules.ErrRevoked) {
					t.Fatalf("token %d: %v", n, err)
				}
			case <-time.After(patience):
				t.Fatalf("token %d: still waiting", n)
			}
		}
		u.Release()
	}
}
