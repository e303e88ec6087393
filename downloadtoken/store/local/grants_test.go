package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

var begins = time.Unix(1_800_000_000, 0)

func termsOf(i int) rules.Terms {
	return rules.Terms{Key: rules.GrantKey{byte(i), byte(i >> 8)}, ETag: fmt.Sprintf(`"%d"`, i), Size: int64(1000 + i), Copies: 1 + i%3, Begins: begins, Ends: begins.Add(time.Hour)}
}

// sealed returns some grants, one of which is joined and one over, as Seal leaves them.
func sealed(t testing.TB) (Grants, []byte) {
	t.Helper()
	s := NewGrants()
	for i := range 10 {
		terms := termsOf(i)
		if i == 8 {
			terms.Ends = begins.Add(time.Second)
		}
		g := s.Open(terms)
		if n, err := g.Draw(t.Context(), int64(i)); n != int64(i) || err != nil {
			t.Fatal(n, err)
		}
		if i != 9 {
			g.Leave()
		}
	}
	return s, s.Seal(nil, begins.Add(time.Minute), func() {})
}

func TestSealAndLoad(t *testing.T) {
	s, encoded := sealed(t)
	if s.Open(termsOf(20)) != nil {
		t.Error("a sealed set opens grants")
	}
	loaded := NewGrants()
	if err := loaded.Load(encoded); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		want := termsOf(i)
		g, _, _ := loaded.Find([]rules.GrantKey{want.Key}, rules.StampOf(begins))
		switch {
		case i >= 8:
			if g != nil {
				t.Errorf("grant %d: it was over, or being drawn on", i)
			}
		case g == nil:
			t.Errorf("grant %d is gone", i)
		case g.Left() != want.Budget()-int64(i) || g.requests != 1 || g.terms.ETag != want.ETag || !g.terms.Ends.Equal(want.Ends):
			t.Errorf("grant %d: %+v", i, g)
		}
	}
	for n := range encoded {
		if err := loaded.Load(encoded[:n]); !errors.Is(err, errGrants) {
			t.Fatalf("of %d bytes, %d were taken for all: %v", len(encoded), n, err)
		}
	}
	if err := loaded.Load(append(bytes.Clone(encoded), 0)); !errors.Is(err, errGrants) {
		t.Errorf("with one byte too many: %v", err)
	}
	if len(loaded.all) != 8 {
		t.Error("something was taken from what is damaged")
	}
}

func FuzzLoad(f *testing.F) {
	_, encoded := sealed(f)
	f.Add(encoded)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewGrants()
		if err := s.Load(b); err != nil {
			return
		}
		for _, g := range s.all {
			if g.left < 0 {
				t.Fatalf("%+v", g)
			}
		}
		again := NewGrants()
		if err := again.Load(s.Seal(nil, time.Time{}, func() {})); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCrowd: those who wait are woken, or give up, and none is left.
func TestCrowd(t *testing.T) {
	var mu sync.Mutex
	var c Crowd
	var all sync.WaitGroup
	key := rules.Key{1}
	wait := func(ctx context.Context, patience time.Duration) error {
		p := NewPatience(patience)
		defer p.Stop()
		mu.Lock()
		defer mu.Unlock()
		return c.Wait(ctx, &mu, key, p)
	}
	if err := wait(t.Context(), 0); !errors.Is(err, rules.ErrInUse) {
		t.Errorf("without patience: %v", err)
	}
	c.waiting = maxWaiting
	began := time.Now()
	if err := wait(t.Context(), time.Hour); !errors.Is(err, rules.ErrInUse) || time.Since(began) > time.Minute {
		t.Errorf("with too many others: %v", err)
	}
	c.waiting = 0
	if err := wait(t.Context(), time.Millisecond); !errors.Is(err, rules.ErrInUse) {
		t.Errorf("without a change: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(gone, time.Hour); !errors.Is(err, rules.ErrInUse) || !errors.Is(err, context.Canceled) {
		t.Errorf("of a request that has ended: %v", err)
	}
	for range 20 {
		all.Go(func() {
			if err := wait(t.Context(), time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	for waiting := 0; waiting < 20; {
		mu.Lock()
		waiting = c.waiting
		mu.Unlock()
	}
	mu.Lock()
	c.waiting = maxWaiting
	mu.Unlock()
	if err := wait(t.Context(), time.Hour); !errors.Is(err, rules.ErrInUse) {
		t.Errorf("with too many: %v", err)
	}
	mu.Lock()
	c.waiting = 20
	c.WakeAll()
	mu.Unlock()
	all.Wait()
	if c.waiting != 0 || len(c.changed) != 0 {
		t.Errorf("%d wait, for %d tokens", c.waiting, len(c.changed))
	}
}
