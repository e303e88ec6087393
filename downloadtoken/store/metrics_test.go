package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// faulty is a store that answers everything with one error.
type faulty struct {
	Handle
	err error
}

func (f faulty) Hold(context.Context) error { return f.err }
func (f faulty) Admit(context.Context, Query, func() time.Time) (Use, error) {
	return faultyUse{nil, f.err}, nil
}
func (f faulty) Look(context.Context, Query, func() time.Time) (*Open, error) { return nil, f.err }
func (f faulty) Revoked(context.Context, func() rules.Revocable, time.Time) error {
	return f.err
}
func (f faulty) Revoke(context.Context, rules.Revocation, time.Time) error    { return f.err }
func (f faulty) Reinstate(context.Context, rules.Revocation, time.Time) error { return f.err }
func (f faulty) Stats(context.Context, time.Time) (Stats, error)              { return Stats{}, f.err }

type faultyUse struct {
	Use
	err error
}

func (u faultyUse) Commit(context.Context, *rules.Terms) (Grant, error) { return nil, u.err }

// TestErrorsOfStores: that a store could not answer is counted, whatever it was asked;
// a refusal is an answer, and a client that went away is no failure.
func TestErrorsOfStores(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	unavailable := fmt.Errorf("%w: disk full", rules.ErrUnavailable)
	for name, tt := range map[string]struct {
		ctx     context.Context
		err     error
		counted float64
	}{
		"answers":       {t.Context(), nil, 0},
		"refuses":       {t.Context(), rules.ErrReplayed, 0},
		"unavailable":   {t.Context(), unavailable, 7},
		"too slow":      {late, unavailable, 7},
		"a client left": {gone, unavailable, 0},
	} {
		s := observe(rand.Text(), faulty{err: tt.err}) // counters last as long as the process
		_ = s.Hold(tt.ctx)
		use, err := s.Admit(tt.ctx, Query{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = use.Commit(tt.ctx, nil)
		_, _ = s.Look(tt.ctx, Query{}, time.Now)
		_ = s.Revoked(tt.ctx, nil, time.Now())
		_ = s.Revoke(tt.ctx, rules.Revocation{}, time.Now())
		_ = s.Reinstate(tt.ctx, rules.Revocation{}, time.Now())
		_, _ = s.Stats(tt.ctx, time.Now())
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(s.failed)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if got := families[0].GetMetric()[0].GetCounter().GetValue(); got != tt.counted {
			t.Errorf("%s: %v errors, want %v", name, got, tt.counted)
		}
	}
}
