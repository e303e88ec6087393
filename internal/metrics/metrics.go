// Package metrics makes the metrics of this plugin, and makes them known to Caddy. What
// counts lives as long as the process: Caddy has a new registry for each configuration,
// and a count is to go on when one replaces another.
package metrics

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Name is the full name of a metric.
func Name(name string) string { return prometheus.BuildFQName("caddy", "download_token", name) }

// Counter makes a counter.
func Counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: Name(name), Help: help})
}

// Counters makes counters that are told apart by labels.
func Counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: Name(name), Help: help}, labels)
}

// Histograms makes histograms of durations, in seconds, that are told apart by labels.
func Histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: Name(name), Help: help, Buckets: buckets}, labels)
}

// Register makes collectors known to the registry of a configuration. Any number of its
// modules may register the same one.
func Register(ctx caddy.Context, collectors ...prometheus.Collector) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	for _, c := range collectors {
		err := registry.Register(c)
		if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !ok {
			return err
		}
	}
	return nil
}
