package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
)

// What is counted about every store, whatever its type. The label store is its name.
var (
	durations = metrics.Histograms("store_duration_seconds",
		"How long a store took to answer, by what it was asked for; an admit or look may have waited for another request with the same token.",
		[]float64{1e-5, 1e-4, 1e-3, 5e-3, 0.025, 0.1, 0.5, 2.5}, "store", "op")
	failures = metrics.Counters("store_errors_total",
		"Times that a store could not answer or write.", "store")
	grantsOpen = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metrics.Name("grants_open"),
		Help: "One-time downloads that this process has begun or continued, and that may be continued."}, []string{"store"})
	contents = statsCollector{
		entries:  prometheus.NewDesc(metrics.Name("store_entries"), "Used tokens that a store remembers and that have not expired.", []string{"store"}, nil),
		capacity: prometheus.NewDesc(metrics.Name("store_capacity"), "How many tokens a store can remember; 0: no such limit.", []string{"store"}, nil),
		evictions: prometheus.NewDesc(metrics.Name("store_evictions_total"),
			"Tokens that a store has forgotten; live: for want of room, before they had expired.", []string{"store", "live"}, nil),
	}
)

// observed is a store whose answers are timed and whose failures are counted.
type observed struct {
	Handle
	failed                                          prometheus.Counter
	admit, commit, look, revoked, revoke, reinstate prometheus.Observer
}

func observe(name string, s Handle) *observed {
	grantsOpen.WithLabelValues(name)
	op := func(op string) prometheus.Observer { return durations.WithLabelValues(name, op) }
	return &observed{s, failures.WithLabelValues(name), op("admit"), op("commit"), op("look"), op("revoked"), op("revoke"), op("reinstate")}
}

// count counts a failure, unless the client has broken the question off.
func (s *observed) count(ctx context.Context, err error) {
	if err != nil && errors.Is(err, rules.ErrUnavailable) && !errors.Is(ctx.Err(), context.Canceled) {
		s.failed.Inc()
	}
}

func (s *observed) done(ctx context.Context, op prometheus.Observer, began time.Time, err error) {
	op.Observe(time.Since(began).Seconds())
	s.count(ctx, err)
}

// Hold implements [Handle].
func (s *observed) Hold(ctx context.Context) error {
	err := s.Handle.Hold(ctx)
	s.count(ctx, err)
	return err
}

// Admit implements [Store].
func (s *observed) Admit(ctx context.Context, q Query, clock func() time.Time) (Use, error) {
	began := time.Now()
	u, err := s.Handle.Admit(ctx, q, clock)
	s.done(ctx, s.admit, began, err)
	if err != nil {
		return nil, err
	}
	return &observedUse{u, s}, nil
}

// Look implements [Store].
func (s *observed) Look(ctx context.Context, q Query, clock func() time.Time) (open *Open, err error) {
	began := time.Now()
	open, err = s.Handle.Look(ctx, q, clock)
	s.done(ctx, s.look, began, err)
	return open, err
}

// Revoked implements [Store].
func (s *observed) Revoked(ctx context.Context, t func() rules.Revocable, now time.Time) error {
	began := time.Now()
	err := s.Handle.Revoked(ctx, t, now)
	s.done(ctx, s.revoked, began, err)
	return err
}

// Revoke implements [Store].
func (s *observed) Revoke(ctx context.Context, r rules.Revocation, now time.Time) error {
	began := time.Now()
	err := s.Handle.Revoke(ctx, r, now)
	s.done(ctx, s.revoke, began, err)
	return err
}

// Reinstate implements [Store].
func (s *observed) Reinstate(ctx context.Context, r rules.Revocation, now time.Time) error {
	began := time.Now()
	err := s.Handle.Reinstate(ctx, r, now)
	s.done(ctx, s.reinstate, began, err)
	return err
}

// Stats implements [Store].
func (s *observed) Stats(ctx context.Context, now time.Time) (Stats, error) {
	stats, err := s.Handle.Stats(ctx, now)
	s.count(ctx, err)
	return stats, err
}

// observedUse is a use of a token in such a store.
type observedUse struct {
	Use
	s *observed
}

// Commit implements [Use].
func (u *observedUse) Commit(ctx context.Context, t *rules.Terms) (Grant, error) {
	began := time.Now()
	grant, err := u.Use.Commit(ctx, t)
	u.s.done(ctx, u.s.commit, began, err)
	return grant, err
}

// statsCollector asks the stores that are in use when it is asked itself. A store that
// does not answer in time has no series then, and counts as failed.
type statsCollector struct{ entries, capacity, evictions *prometheus.Desc }

// statsTimeout bounds what the stores take of a scrape: Prometheus waits for ten seconds
// unless told otherwise.
const statsTimeout = 3 * time.Second

// Describe implements [prometheus.Collector].
func (c statsCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.entries
	descs <- c.capacity
	descs <- c.evictions
}

// Collect implements [prometheus.Collector].
func (c statsCollector) Collect(collected chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	var all sync.WaitGroup
	for name, app := range inUse() {
		all.Go(func() { c.collect(ctx, name, app.open[name], collected) })
	}
	all.Wait()
}

func (c statsCollector) collect(ctx context.Context, name string, store Handle, collected chan<- prometheus.Metric) {
	if store.Hold(ctx) != nil {
		return
	}
	defer store.LetGo()
	stats, err := store.Stats(ctx, time.Now())
	if err != nil {
		return
	}
	send := func(desc *prometheus.Desc, of prometheus.ValueType, value float64, labels ...string) {
		collected <- prometheus.MustNewConstMetric(desc, of, value, labels...)
	}
	send(c.entries, prometheus.GaugeValue, float64(stats.Entries), name)
	send(c.capacity, prometheus.GaugeValue, float64(stats.Capacity), name)
	send(c.evictions, prometheus.CounterValue, float64(stats.EvictedLive), name, "true")
	send(c.evictions, prometheus.CounterValue, float64(stats.EvictedExpired), name, "false")
}

// Interface guards
var (
	_ Handle               = (*observed)(nil)
	_ prometheus.Collector = statsCollector{}
)
