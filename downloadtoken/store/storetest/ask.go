package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

var background = context.Background()

// fresh is a presentation of a token issued after epoch, expiring a minute
// later.
func fresh(number int) rules.Presentation {
	return from(0, number)
}

func from(by, number int) rules.Presentation {
	return rules.Presentation{
		Key:     rules.NewKey(signer(by), "issuer", fmt.Sprint(number), ""),
		Signer:  signer(by),
		Issued:  epoch.Add(time.Second),
		Expires: epoch.Add(time.Minute),
		Policy:  layouts[0],
	}
}

func begin(d Disk, capacity int) store.Store {
	return d.Open(Life{Capacity: capacity, Start: epoch})
}

// admit asks for a use of a token that has no grant.
func admit(s store.Store, p rules.Presentation, now time.Time) (store.Use, error) {
	return s.Admit(background, store.Query{Presentation: p}, stopped(now))
}

// statsOf asks a store how full it is.
func statsOf(t testing.TB, s store.Store, now time.Time) store.Stats {
	t.Helper()
	stats, err := s.Stats(background, now)
	if err != nil {
		t.Fatalf("stats: %v", err)
	}
	return stats
}

// stopped is a clock that stands still.
func stopped(now time.Time) func() time.Time { return func() time.Time { return now } }

func reserve(t testing.TB, s store.Store, p rules.Presentation) store.Use {
	t.Helper()
	u, err := admit(s, p, epoch)
	if err != nil {
		t.Fatalf("admit: %v", err)
	}
	if u.Grant() != nil {
		t.Fatal("admit: joined a grant that nobody opened")
	}
	return u
}

func commitUse(u store.Use) error {
	_, err := u.Commit(background, nil)
	return err
}

func commit(t testing.TB, u store.Use) {
	t.Helper()
	if err := commitUse(u); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func spend(t testing.TB, s store.Store, p rules.Presentation) {
	t.Helper()
	commit(t, reserve(t, s, p))
}

func refuse(t testing.TB, s store.Store, p rules.Presentation, now time.Time, want ...error) {
	t.Helper()
	_, err := admit(s, p, now)
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	t.Fatalf("admit: got %v, want one of %v", err, want)
}

// resumed asks about a token whose download can be resumed.
func resumed(number int) store.Query {
	p := fresh(number)
	return store.Query{Presentation: p, Grants: []rules.GrantKey{rules.NewGrantKey(p.Key, "/a", "client", "")}, Patience: 10 * time.Second}
}

func termsOf(q store.Query, size int64) *rules.Terms {
	return &rules.Terms{
		Key: q.Grants[0], ETag: `"e"`, Size: size, Copies: 2, Begins: epoch, Ends: epoch.Add(30 * time.Second),
	}
}

func admitQuery(t testing.TB, s store.Store, q store.Query, now time.Time) store.Use {
	t.Helper()
	u, err := s.Admit(background, q, stopped(now))
	if err != nil {
		t.Fatalf("admit: %v", err)
	}
	return u
}

// sameTerms compares times as moments: storage need not keep more of them.
func sameTerms(a, b rules.Terms) bool {
	return a.Key == b.Key && a.ETag == b.ETag && a.Size == b.Size && a.Copies == b.Copies && a.Begins.Equal(b.Begins) && a.Ends.Equal(b.Ends)
}

// draw takes bytes out of a budget.
func draw(t testing.TB, g store.Grant, n int64) int64 {
	t.Helper()
	got, err := g.Draw(background, n)
	if err != nil {
		t.Fatalf("draw: %v", err)
	}
	return got
}

// refuseQuery wants an error of Admit and of Look.
func refuseQuery(t testing.TB, s store.Store, q store.Query, now time.Time, want ...error) {
	t.Helper()
	q.Patience = 0
	_, err := s.Admit(background, q, stopped(now))
	_, looked := s.Look(background, q, stopped(now))
	for _, w := range want {
		if errors.Is(err, w) && errors.Is(looked, w) {
			return
		}
	}
	t.Fatalf("admit: %v, look: %v, want one of %v", err, looked, want)
}
