package storetest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// together runs n goroutines that start at one moment.
func together(n int, run func(i int)) {
	var gate, done sync.WaitGroup
	gate.Add(1)
	for i := range n {
		done.Go(func() {
			gate.Wait()
			run(i)
		})
	}
	gate.Done()
	done.Wait()
}

// uniqueThenReplayed has a crowd spend different tokens at once; then each of
// them must be a replay.
func uniqueThenReplayed(t *testing.T, d Disk) {
	const crowd, each = 8, 50
	s := begin(d, crowd*each)
	together(crowd, func(c int) {
		for i := range each {
			r, err := admit(s, fresh(c*each+i), epoch)
			if err == nil {
				err = commitUse(r)
			}
			if err != nil {
				t.Errorf("unique token: %v", err)
			}
		}
	})
	for i := range crowd * each {
		refuse(t, s, fresh(i), epoch, rules.ErrReplayed)
	}
}

// race has a crowd want the same token, again and again.
func race(t *testing.T, d Disk) {
	s := begin(d, 1000)
	for round := range 100 {
		p := fresh(round)
		p.Uses = 1 + round%3
		var honoured atomic.Int32
		together(50, func(int) {
			r, err := admit(s, p, epoch)
			if err != nil {
				return
			}
			if commitUse(r) == nil {
				honoured.Add(1)
			}
			r.Release()
		})
		if got := int(honoured.Load()); got != p.Uses {
			t.Fatalf("round %d: honoured %d times, want %d", round, got, p.Uses)
		}
	}
}

// brokenAtRandom lets the disk fail and recover while a crowd spends and gives
// back; then it crashes. Whatever was honoured must stay refused.
func brokenAtRandom(t *testing.T, d Disk) {
	const tokens = 40
	s := begin(d, 30)
	var honoured [tokens]*atomic.Int32
	for n := range honoured {
		honoured[n] = new(atomic.Int32)
	}
	rounds := 0
	stop := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Go(func() {
		for broken := false; ; broken = !broken {
			select {
			case <-stop:
				d.Break(false)
				return
			default:
				d.Break(broken)
				time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond) // time for a slow disk to commit, or not
			}
		}
	})
	show := func(n int) rules.Presentation {
		p := from(n%3, n)
		p.Issued = epoch.Add(time.Duration(n+1) * time.Second)
		p.Expires = epoch.Add(time.Duration(60+n) * time.Second)
		return p
	}
	any := func() bool {
		return slices.ContainsFunc(honoured[:], func(n *atomic.Int32) bool { return n.Load() > 0 })
	}
	crowd := func(c int) {
		for i := range 300 {
			n := (i*7 + c*3) % tokens
			r, err := admit(s, show(n), epoch)
			if err != nil {
				continue
			}
			if (i+c)%3 == 0 {
				r.Release()
			} else if err := commitUse(r); err == nil {
				honoured[n].Add(1)
			} else if !errors.Is(err, rules.ErrUnavailable) {
				t.Errorf("commit: %v", err)
			}
		}
	}
	for together(8, crowd); !any(); together(8, crowd) { // it was broken each time
		if rounds++; rounds == 50 {
			t.Fatal("nothing was honoured")
		}
	}
	close(stop)
	breaker.Wait()
	spent := 0
	for n := range tokens {
		switch got := honoured[n].Load(); {
		case got > 1:
			t.Errorf("token %d was honoured %d times", n, got)
		case got == 1:
			spent++
			refuse(t, s, show(n), epoch, rules.ErrReplayed, rules.ErrUnproven)
		}
	}
	if spent == 0 {
		t.Error("nothing was honoured")
	}
	s = begin(d, 30)
	for n := range tokens {
		if honoured[n].Load() > 0 {
			refuse(t, s, show(n), epoch, rules.ErrReplayed, rules.ErrUnproven)
		}
	}
}

// hostile mixes up what must be kept apart.
func hostile(t *testing.T, d Disk) {
	a := begin(d, 10)
	ra := reserve(t, a, fresh(1))
	b := begin(d, 10)
	late := fresh(2)
	late.Issued = epoch.Add(time.Minute)
	rb := reserve(t, b, late)
	ra.Release() // of an earlier life
	refuse(t, b, late, epoch, rules.ErrInUse)
	commit(t, rb)
	for _, p := range []rules.Presentation{
		{},
		{Key: rules.Key{1}, Signer: signer(0), Issued: epoch.Add(time.Hour)},
		{Key: rules.Key{1}, Signer: signer(0), Issued: epoch.Add(time.Hour), Expires: time.Time{}},
		{Key: rules.Key{1}, Signer: signer(2), Expires: epoch.Add(-time.Hour), MaxTTL: -time.Hour},
	} {
		refuse(t, b, p, epoch, rules.ErrUnproven)
	}
}
