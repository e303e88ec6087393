package memory

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// slow is storage whose writes take until they are let through.
type slow struct {
	begun chan rules.Marks
	let   chan error
}

func newSlow() slow { return slow{make(chan rules.Marks), make(chan error)} }

func (s slow) persist(k rules.Marks) error {
	s.begun <- k
	return <-s.let
}

func (s slow) open() *engine {
	return newEngine(options{Start: start, Persist: s.persist})
}

// issued is a token of a signer with its own iat.
func issued(by rules.Signer, n, iat int) rules.Presentation {
	p := shown(by, n, 600)
	p.Issued = at(iat)
	return p
}

// TestMarkBeforeSuccess: nothing is honoured before its mark is in storage, and
// one write is enough for all tokens of the next MarkStep.
func TestMarkBeforeSuccess(t *testing.T) {
	writes := 0
	var stored rules.Marks
	m := newEngine(options{Start: start, Persist: func(k rules.Marks) error { writes++; stored = k; return nil }})
	for n := range 100 {
		p := issued(rules.Signer{1}, n, 0)
		p.Issued = start.Add(time.Second + time.Duration(n)*100*time.Millisecond)
		r, err := m.Admit(ctx, store.Query{Presentation: p}, stopped(start))
		if err != nil {
			t.Fatal(err)
		}
		if s := p.Showing(); !stored.Cover(&s) {
			t.Fatalf("token %d reserved, its mark is not in storage", n)
		}
		r.Release()
	}
	if writes != 2 { // 10 s of tokens in steps of 5 s
		t.Errorf("%d writes", writes)
	}
	if after := newEngine(options{Start: start, Marks: stored}); after.spend(issued(rules.Signer{1}, 0, 1), start) == nil {
		t.Error("honoured after a crash")
	}
}

func TestMarkKeepsNobodyElseWaiting(t *testing.T) {
	disk := newSlow()
	m := disk.open()
	go func() { <-disk.begun; disk.let <- nil }()
	mustSpend(t, m, issued(rules.Signer{1}, 0, 1), start)

	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := m.spend(issued(rules.Signer{1}, 1, 10), start); err != nil {
			t.Error(err)
		}
	})
	<-disk.begun // storage is busy from here on
	mustSpend(t, m, issued(rules.Signer{1}, 2, 2), start)
	mustRefuse(t, m, issued(rules.Signer{1}, 0, 1), rules.ErrReplayed)
	if _, err := m.Look(ctx, store.Query{Presentation: issued(rules.Signer{1}, 3, 10)}, stopped(start)); err != nil {
		t.Error(err)
	}

	gone, cancel := context.WithCancelCause(ctx)
	why := errors.New("client went away")
	cancel(why)
	for name, p := range map[string]rules.Presentation{
		"covered by the write under way": issued(rules.Signer{1}, 4, 11),
		"needs the next write":           issued(rules.Signer{1}, 4, 100),
	} {
		_, err := m.Admit(gone, store.Query{Presentation: p}, stopped(start))
		if !errors.Is(err, rules.ErrUnavailable) || !errors.Is(err, why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	disk.let <- nil
	waiting.Wait()
	<-disk.begun // for the one that is gone
	disk.let <- nil
}

// TestOneWriteForMany: whoever comes while storage is busy shares the next
// write, and shares its failure.
func TestOneWriteForMany(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"written", nil, nil},
		{"failed", errors.New("no space"), rules.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := newSlow()
				m := disk.open()
				var crowd sync.WaitGroup
				crowd.Go(func() {
					if err := m.spend(issued(rules.Signer{}, 0, 1), start); err != nil {
						t.Error(err)
					}
				})
				<-disk.begun
				const many = 20
				for n := range many {
					crowd.Go(func() {
						if err := m.spend(issued(rules.Signer{byte(n + 1)}, 0, 1), start); !errors.Is(err, c.want) {
							t.Error(err)
						}
					})
				}
				synctest.Wait() // all are aboard
				disk.let <- nil
				second := <-disk.begun
				disk.let <- c.err
				crowd.Wait()
				if second.Signers() != many+1 {
					t.Errorf("the second write held %d signers", second.Signers())
				}
				if c.err != nil {
					go func() { <-disk.begun; disk.let <- nil }()
					mustSpend(t, m, issued(rules.Signer{1}, 0, 1), start)
				}
			})
		})
	}
}

func TestPersistPanics(t *testing.T) {
	fail := true
	m := newEngine(options{Start: start, Persist: func(rules.Marks) error {
		if fail {
			panic("storage")
		}
		return nil
	}})
	mustRefuse(t, m, issued(rules.Signer{1}, 0, 1), rules.ErrUnavailable)
	fail = false
	mustSpend(t, m, issued(rules.Signer{1}, 0, 1), start)
}

// TestReservedWhileWaiting: everything is judged anew after storage was waited
// for.
func TestReservedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlow()
		m := disk.open()
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- m.spend(issued(rules.Signer{1}, 0, 1), start) }()
		}
		<-disk.begun
		synctest.Wait() // both wait for this write, or one for the next
		disk.let <- nil
		honoured := 0
		for answered := 0; answered < 2; {
			select {
			case err := <-results:
				answered++
				if err == nil {
					honoured++
				}
			case <-disk.begun:
				disk.let <- nil
			}
		}
		if honoured != 1 {
			t.Errorf("honoured %d times", honoured)
		}
	})
}
