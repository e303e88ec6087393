package downloadtoken

import (
	"errors"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are created once and registered with the registry of every
// configuration that is loaded: Caddy makes a new registry each time, and the
// counts are to survive a reload.
var metrics = sync.OnceValue(func() *collectors {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy",
		Subsystem: "download_token",
		Name:      "requests_total",
		Help:      "Requests judged by download_token, by outcome: what became of an accepted token, or the reason for the refusal.",
	}, []string{"outcome"})
	cache := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy",
		Subsystem: "download_token",
		Name:      "cache_total",
		Help:      "Tokens that came to a directive which remembers those that it has verified: hit if this one was, miss if it had to be verified.",
	}, []string{"result"})
	c := &collectors{
		requests:  requests,
		cache:     cache,
		hits:      cache.WithLabelValues("hit"),
		misses:    cache.WithLabelValues("miss"),
		served:    requests.WithLabelValues("served"),
		asked:     requests.WithLabelValues("asked"),
		failed:    requests.WithLabelValues("failed"),
		siteError: requests.WithLabelValues("site_error"),
		refused:   make(map[string]prometheus.Counter),
	}
	for _, reason := range Reasons() {
		c.refused[reason] = requests.WithLabelValues(reason)
	}
	return c
})

// collectors has a series for each outcome, at zero from the start.
type collectors struct {
	requests, cache *prometheus.CounterVec

	hits, misses prometheus.Counter

	served    prometheus.Counter // an accepted token got an answer
	asked     prometheus.Counter // or the page that asks
	failed    prometheus.Counter // or nothing, because something behind it failed
	siteError prometheus.Counter // or an error of the site
	refused   map[string]prometheus.Counter
}

// registerMetrics makes the metrics known to the configuration's registry.
func registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{metrics().requests, metrics().cache} {
		err := registry.Register(c)
		if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !ok { // by another directive of the same configuration
			return err
		}
	}
	return nil
}
