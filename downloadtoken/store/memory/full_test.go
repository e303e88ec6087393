package memory

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

var (
	ctx   = context.Background()
	start = time.Unix(1_800_000_000, 0)
)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// shown is the token n of a signer, issued after the start.
func shown(by rules.Signer, n, expires int) rules.Presentation {
	return rules.Presentation{
		Key:    rules.NewKey(by, "", fmt.Sprint(n), ""),
		Signer: by, Issued: at(1), Expires: at(expires),
	}
}

// stopped is a clock that stands still.
func stopped(t time.Time) func() time.Time { return func() time.Time { return t } }

// number is a signer.
func number(n int) (s rules.Signer) {
	binary.BigEndian.PutUint64(s[:], uint64(n))
	return s
}

// stats cannot fail here.
func stats(m *engine, now time.Time) store.Stats {
	got, _ := m.Stats(ctx, now)
	return got
}

// commit spends a use without a grant.
func commit(u store.Use) error {
	_, err := u.Commit(ctx, nil)
	return err
}

func open(capacity int) *engine { return newEngine(options{Capacity: capacity, Start: start}) }

func (m *engine) spend(p rules.Presentation, now time.Time) error {
	r, err := m.Admit(ctx, store.Query{Presentation: p}, stopped(now))
	if err != nil {
		return err
	}
	return commit(r)
}

func mustSpend(t testing.TB, m *engine, p rules.Presentation, now time.Time) {
	t.Helper()
	if err := m.spend(p, now); err != nil {
		t.Fatal(err)
	}
}

func mustRefuse(t testing.TB, m *engine, p rules.Presentation, want error) {
	t.Helper()
	if err := m.spend(p, start); !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestFloodStaysWithItsSigner(t *testing.T) {
	m := open(100)
	quiet, loud := rules.Signer{1}, rules.Signer{2}
	for n := range 50 {
		mustSpend(t, m, shown(quiet, n, 60), start)
	}
	for n := range 1000 {
		mustSpend(t, m, shown(loud, n, 30+n), start)
	}
	for n := range 50 {
		mustRefuse(t, m, shown(quiet, n, 60), rules.ErrReplayed)
	}
	if _, err := m.Look(ctx, store.Query{Presentation: shown(quiet, 1000, 5)}, stopped(start)); err != nil {
		t.Errorf("its floor has moved: %v", err)
	}
	got := stats(m, start)
	if got.EvictedLive != 950 || got.Entries != 100 || got.EvictedExpired != 0 {
		t.Errorf("%+v", got)
	}
	if want := at(30 + 949); !got.Floor.Equal(want) {
		t.Errorf("floor %v, want %v: not the soonest to expire went first", got.Floor, want)
	}
}

func TestLeastRecentlyUsedAmongEquals(t *testing.T) {
	m := open(3)
	twice := shown(rules.Signer{1}, 0, 60)
	twice.Uses = 2
	mustSpend(t, m, twice, start)
	mustSpend(t, m, shown(rules.Signer{1}, 1, 60), start)
	mustSpend(t, m, shown(rules.Signer{1}, 2, 60), start)
	mustSpend(t, m, twice, start)
	mustSpend(t, m, shown(rules.Signer{1}, 3, 61), start)
	mustRefuse(t, m, twice, rules.ErrReplayed)
	mustRefuse(t, m, shown(rules.Signer{1}, 1, 60), rules.ErrUnproven)
	mustRefuse(t, m, shown(rules.Signer{1}, 2, 60), rules.ErrReplayed)
}

func TestExpiredGoFirst(t *testing.T) {
	m := open(2)
	mustSpend(t, m, shown(rules.Signer{1}, 0, 10), start)
	mustSpend(t, m, shown(rules.Signer{2}, 0, 5), start)
	late := shown(rules.Signer{1}, 1, 60)
	mustSpend(t, m, late, at(8)) // only the other signer's has expired
	mustRefuse(t, m, shown(rules.Signer{1}, 0, 10), rules.ErrReplayed)
	mustRefuse(t, m, shown(rules.Signer{2}, 0, 5), rules.ErrUnproven)
	if got := stats(m, at(8)); got.EvictedExpired != 1 || got.EvictedLive != 0 || got.Entries != 2 {
		t.Errorf("%+v", got)
	}
	if got := stats(m, at(61)); got.Entries != 0 {
		t.Errorf("expired entries are counted: %+v", got)
	}
}

func TestKeptThroughLeeway(t *testing.T) {
	m := open(10)
	p := shown(rules.Signer{1}, 0, 10)
	p.Leeway = 5 * time.Second
	mustSpend(t, m, p, start)
	mustSpend(t, m, shown(rules.Signer{1}, 1, 60), at(15))
	mustRefuse(t, m, p, rules.ErrReplayed)
	if got := stats(m, at(15)); got.EvictedExpired != 0 || !got.Floor.IsZero() {
		t.Errorf("forgotten within its leeway: %+v", got)
	}
	mustSpend(t, m, shown(rules.Signer{1}, 2, 60), at(15).Add(time.Microsecond))
	mustRefuse(t, m, p, rules.ErrUnproven)
}

func TestEvictedWhileReserved(t *testing.T) {
	m := open(1)
	first, err := m.Admit(ctx, store.Query{Presentation: shown(rules.Signer{1}, 0, 60)}, stopped(start))
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.Admit(ctx, store.Query{Presentation: shown(rules.Signer{1}, 1, 60)}, stopped(start))
	if err != nil {
		t.Fatal(err)
	}
	third, err := m.Admit(ctx, store.Query{Presentation: shown(rules.Signer{2}, 2, 60)}, stopped(start))
	if err != nil {
		t.Fatal(err)
	}
	if err := commit(first); err != nil {
		t.Errorf("commit of an evicted reservation: %v", err)
	}
	second.Release()
	if err := commit(second); err == nil {
		t.Error("released, then committed")
	}
	for n := range 2 {
		mustRefuse(t, m, shown(rules.Signer{1}, n, 60), rules.ErrUnproven)
	}
	mustRefuse(t, m, shown(rules.Signer{2}, 2, 60), rules.ErrInUse)
	third.Release()
	mustSpend(t, m, shown(rules.Signer{2}, 2, 60), start)
	if got := stats(m, start); got.Reserved != 0 || got.Entries != 1 {
		t.Errorf("%+v", got)
	}
}

// TestSameNonceTwice: an issuer that puts a nonce into a second token gets no
// second use of the first.
func TestSameNonceTwice(t *testing.T) {
	m := open(10)
	short, long := shown(rules.Signer{1}, 0, 10), shown(rules.Signer{1}, 0, 60)
	short.Uses, long.Uses = 2, 2
	mustSpend(t, m, short, start)
	mustSpend(t, m, long, start)
	renamed := long
	renamed.Key, renamed.Policy = rules.NewKey(long.Signer, "", "0", "/a"), "per path"
	if _, err := m.Look(ctx, store.Query{Presentation: renamed}, stopped(start)); !errors.Is(err, rules.ErrUnproven) {
		t.Errorf("under another policy: %v", err)
	}
	mustSpend(t, m, shown(rules.Signer{1}, 1, 90), at(30)) // short has expired, long not
	mustRefuse(t, m, long, rules.ErrReplayed)
	mustSpend(t, m, shown(rules.Signer{1}, 2, 90), at(61))
	mustRefuse(t, m, long, rules.ErrUnproven)
}

func TestSetCapacity(t *testing.T) {
	m := open(0)
	if got := stats(m, start).Capacity; got != defaultCapacity {
		t.Fatalf("default capacity %d", got)
	}
	const n = 5000
	for i := range n {
		mustSpend(t, m, shown(rules.Signer{1}, i, 60+i), start)
	}
	m.SetCapacity(10, at(60+1000).Add(time.Microsecond))
	got := stats(m, start)
	if got.Entries != 10 || got.Capacity != 10 || got.EvictedExpired+got.EvictedLive != n-10 || got.EvictedExpired != 1001 {
		t.Errorf("%+v", got)
	}
	for i := range n {
		want := rules.ErrUnproven
		if i >= n-10 {
			want = rules.ErrReplayed
		}
		mustRefuse(t, m, shown(rules.Signer{1}, i, 60+i), want)
	}
	m.SetCapacity(-3, start)
	if got := stats(m, start); got.Entries != 1 || got.Capacity != 1 {
		t.Errorf("%+v", got)
	}
	m.SetCapacity(0, start)
	mustRefuse(t, m, shown(rules.Signer{1}, 0, 60), rules.ErrUnproven)
}

// TestManySigners: signers beyond the limit share a floor and a policy.
func TestManySigners(t *testing.T) {
	m := open(3 * rules.MaxSigners)
	for n := range rules.MaxSigners {
		mustSpend(t, m, shown(number(n), 0, 60), start)
	}
	one, two := shown(number(rules.MaxSigners), 0, 60), shown(number(rules.MaxSigners+1), 0, 70)
	if _, err := m.Look(ctx, store.Query{Presentation: one}, stopped(start)); err != nil {
		t.Fatal(err)
	}
	mustSpend(t, m, one, start)
	mustSpend(t, m, two, start)
	if got := len(m.ledger.owners); got != rules.MaxSigners+1 {
		t.Fatalf("%d owners", got)
	}
	for n := range rules.MaxSigners {
		mustRefuse(t, m, shown(number(n), 0, 60), rules.ErrReplayed)
	}
	mustRefuse(t, m, one, rules.ErrReplayed)
	mustRefuse(t, m, two, rules.ErrReplayed)

	m.SetCapacity(1, start) // one floor holds for all of them
	mustRefuse(t, m, one, rules.ErrUnproven)
	mustRefuse(t, m, two, rules.ErrUnproven)
	mustRefuse(t, m, shown(number(rules.MaxSigners+2), 0, 60), rules.ErrUnproven)
	mustSpend(t, m, shown(number(rules.MaxSigners+2), 0, 71), start)

	other := shown(number(rules.MaxSigners+3), 0, 71)
	other.Policy = "another"
	if _, err := m.Look(ctx, store.Query{Presentation: other}, stopped(start)); !errors.Is(err, rules.ErrUnproven) {
		t.Errorf("look: %v", err)
	}
	mustRefuse(t, m, other, rules.ErrUnproven) // theirs is one policy
}
