package rules

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// disk counts what is written, and fails if it is told to.
type disk struct {
	mu     sync.Mutex
	writes int
	last   []byte
	err    error
}

func (d *disk) persist(encoded []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	d.writes++
	d.last = encoded
	return nil
}

var dawn = time.Unix(1_800_000_000, 0).UTC()

// is has a token be known by something.
func is(known Revocable) func() Revocable { return func() Revocable { return known } }

// afterHours is so many hours after the tests begin; 0 is never.
func afterHours(n int) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return dawn.Add(time.Duration(n) * time.Hour)
}

func TestAddWritesOnlyWhatIsNew(t *testing.T) {
	tests := []struct {
		name          string
		before, added Revocation
		writes, kept  int // with the first
	}{
		{"the same", Revocation{Fingerprint: "f", Until: afterHours(2)}, Revocation{Fingerprint: "f", Until: afterHours(2)}, 1, 1},
		{"the same in another zone", Revocation{Nonce: "n", Until: afterHours(2)}, Revocation{Nonce: "n", Until: afterHours(2).In(time.FixedZone("x", 3600))}, 1, 1},
		{"for ever again", Revocation{Subject: "s"}, Revocation{Subject: "s"}, 1, 1},
		{"shorter", Revocation{Subject: "s", Until: afterHours(2)}, Revocation{Subject: "s", Until: afterHours(1)}, 1, 1},
		{"shorter than for ever", Revocation{Subject: "s"}, Revocation{Subject: "s", Until: afterHours(1)}, 1, 1},
		{"longer", Revocation{Subject: "s", Until: afterHours(1)}, Revocation{Subject: "s", Until: afterHours(2)}, 2, 1},
		{"for ever after all", Revocation{Subject: "s", Until: afterHours(1)}, Revocation{Subject: "s"}, 2, 1},
		{"of one issuer of any", Revocation{KeyID: "k"}, Revocation{KeyID: "k", Issuer: "i"}, 1, 1},
		{"of any issuer after one", Revocation{KeyID: "k", Issuer: "i"}, Revocation{KeyID: "k"}, 2, 1},
		{"of any issuer, but shorter", Revocation{KeyID: "k", Issuer: "i"}, Revocation{KeyID: "k", Until: afterHours(1)}, 2, 2},
		{"of another issuer", Revocation{KeyID: "k", Issuer: "i"}, Revocation{KeyID: "k", Issuer: "j"}, 2, 2},
		{"another value", Revocation{Nonce: "a"}, Revocation{Nonce: "b"}, 2, 2},
		{"the same value of another kind", Revocation{Nonce: "a"}, Revocation{Subject: "a"}, 2, 2},
		{"issued before an earlier time", Revocation{IssuedBefore: dawn}, Revocation{IssuedBefore: dawn.Add(-1)}, 1, 1},
		{"issued before a later time", Revocation{IssuedBefore: dawn}, Revocation{IssuedBefore: dawn.Add(1)}, 2, 1},
		{"issued before a later time, but shorter", Revocation{IssuedBefore: dawn}, Revocation{IssuedBefore: dawn.Add(1), Until: afterHours(1)}, 2, 2},
		{"what is over already", Revocation{Nonce: "a"}, Revocation{Nonce: "b", Until: afterHours(-1)}, 1, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var set Revocations
			var d disk
			for _, r := range []Revocation{test.before, test.added} {
				if err := set.Add(r, dawn, d.persist); err != nil {
					t.Fatal(err)
				}
			}
			if kept := set.InForce(dawn); d.writes != test.writes || len(kept) != test.kept {
				t.Errorf("written %d times, kept %+v", d.writes, kept)
			}
		})
	}
}

func TestWhatIsRevokedAlreadyCostsNothing(t *testing.T) {
	set, d := takenBack(t, 10_000), new(disk)
	again := Revocation{Fingerprint: "f 5000"}
	if allocated := testing.AllocsPerRun(100, func() {
		if err := set.Add(again, dawn, d.persist); err != nil {
			t.Fatal(err)
		}
	}); allocated > 5 || d.writes > 0 {
		t.Errorf("%v allocations, %d writes", allocated, d.writes)
	}
}

func TestWhatIsOverLeaves(t *testing.T) {
	var set Revocations
	var d disk
	for _, r := range []Revocation{{Nonce: "a", Until: afterHours(1)}, {Nonce: "b", Until: afterHours(3)}, {IssuedBefore: dawn, Until: afterHours(1)}} {
		if err := set.Add(r, dawn, d.persist); err != nil {
			t.Fatal(err)
		}
	}
	if now := set.InForce(afterHours(2)); len(now) != 1 || now[0].Nonce != "b" {
		t.Errorf("in force: %+v", now)
	}
	if err := set.Add(Revocation{Nonce: "c"}, afterHours(2), d.persist); err != nil {
		t.Fatal(err)
	}
	var reread Revocations
	if err := reread.Load(d.last); err != nil || len(reread.InForce(dawn)) != 2 {
		t.Errorf("kept: %+v, %v", reread.InForce(dawn), err)
	}
}

// takenBack is a set of that many single tokens, for ever.
func takenBack(t testing.TB, n int) *Revocations {
	t.Helper()
	all := make([]Revocation, n)
	for i := range all {
		all[i] = Revocation{Fingerprint: fmt.Sprint("f ", i)}
	}
	encoded, err := encodeRevocations(all)
	if err != nil {
		t.Fatal(err)
	}
	set := new(Revocations)
	if err := set.Load(encoded); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestAFullSetDropsNothing(t *testing.T) {
	set, d := takenBack(t, MaxRevocations-spareRevocations-1), new(disk)
	add := func(r Revocation, want error) {
		t.Helper()
		if err := set.Add(r, dawn, d.persist); !errors.Is(err, want) {
			t.Fatalf("%+v: %v, want %v", r, err, want)
		}
	}
	add(Revocation{Nonce: "last", Until: afterHours(1)}, nil)
	add(Revocation{Nonce: "one more"}, ErrRevocationsFull)
	add(Revocation{Fingerprint: "one more"}, ErrRevocationsFull)
	add(Revocation{Nonce: "last", Until: afterHours(2)}, nil) // which replaces one
	add(Revocation{Fingerprint: "f 7"}, nil)
	for i := range spareRevocations {
		if i > 2 && i < spareRevocations-2 {
			continue // each writes the whole set
		}
		add(Revocation{Subject: fmt.Sprint(i)}, nil)
	}
	writes := d.writes
	add(Revocation{Nonce: "one more"}, ErrRevocationsFull)
	if d.writes != writes {
		t.Error("a refusal was written")
	}
	for _, known := range []Revocable{{Fingerprint: "f 0"}, {Nonces: []string{"last"}}, {Subjects: []string{"999"}}} {
		if !set.Revoked(is(known), dawn) {
			t.Errorf("%+v was given back", known)
		}
	}
	if set.Revoked(is(Revocable{Nonces: []string{"one more"}}), dawn) {
		t.Error("what was refused is in force")
	}

	set = takenBack(t, MaxRevocations)
	add(Revocation{Subject: "x"}, ErrRevocationsFull)
	set = takenBack(t, MaxRevocations+5) // of a version without the bound
	add(Revocation{IssuedBefore: dawn}, ErrRevocationsFull)
	if len(set.InForce(dawn)) != MaxRevocations+5 {
		t.Error("some were dropped")
	}
}

func TestAFailedWriteChangesNothing(t *testing.T) {
	var set Revocations
	d := disk{err: errors.New("no space")}
	if err := set.Add(Revocation{Nonce: "a"}, dawn, d.persist); !errors.Is(err, d.err) {
		t.Fatal(err)
	}
	if set.Revoked(is(Revocable{Nonces: []string{"a"}}), dawn) {
		t.Error("it is in force")
	}
	d.err = nil
	if err := set.Add(Revocation{Nonce: "a"}, dawn, d.persist); err != nil || d.writes != 1 {
		t.Errorf("%v, written %d times", err, d.writes)
	}
}

func TestManyRevokeTheSame(t *testing.T) {
	var set Revocations
	var d disk
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 20 {
				r := Revocation{Fingerprint: fmt.Sprint(i)}
				if err := set.Add(r, dawn, d.persist); err != nil {
					t.Error(err)
				}
				if !set.Revoked(is(Revocable{Fingerprint: r.Fingerprint}), dawn) {
					t.Error("not in force when it was answered")
				}
			}
		})
	}
	all.Wait()
	if d.writes != 20 {
		t.Errorf("20 revocations were written %d times", d.writes)
	}
	var reread Revocations
	if err := reread.Load(d.last); err != nil || len(reread.InForce(dawn)) != 20 {
		t.Errorf("%d kept, %v", len(reread.InForce(dawn)), err)
	}
}

// TestRewriteWaitsForWhatIsBeingAdded: otherwise a store that moves to another
// storage just then would leave behind what it has answered for.
func TestRewriteWaitsForWhatIsBeingAdded(t *testing.T) {
	var set Revocations
	if err := set.Rewrite(func(encoded []byte) error {
		if encoded != nil {
			t.Error("nothing has a form")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var moved disk
	done := make(chan error)
	if err := set.Add(Revocation{Nonce: "a"}, dawn, func([]byte) error {
		go func() { done <- set.Rewrite(moved.persist) }()
		time.Sleep(10 * time.Millisecond) // for a Rewrite that does not wait
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var reread Revocations
	if err := reread.Load(moved.last); err != nil || len(reread.InForce(dawn)) != 1 {
		t.Errorf("%v, %v", reread.InForce(dawn), err)
	}
}

// TestNothingRevokedAsksNothing: where nothing is revoked, nothing about the token
// is found out, and nothing is allocated.
func TestNothingRevokedAsksNothing(t *testing.T) {
	var set Revocations
	asked := 0
	known := func() Revocable { asked++; return Revocable{Nonces: []string{"n"}} }
	if n := testing.AllocsPerRun(100, func() { set.Revoked(known, dawn) }); n != 0 || asked != 0 {
		t.Errorf("%v allocations, asked %d times", n, asked)
	}
	if err := set.Add(Revocation{Nonce: "n"}, dawn, new(disk).persist); err != nil {
		t.Fatal(err)
	}
	if !set.Revoked(known, dawn) || asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if set.Revoked(nil, dawn) {
		t.Error("a token known by nothing was taken back")
	}
}
