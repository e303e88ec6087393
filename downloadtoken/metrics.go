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
	return &collectors{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy",
			Subsystem: "download_token",
			Name:      "requests_total",
			Help:      "Requests judged by download_token, by outcome: what became of an accepted token, or the reason for the refusal.",
		}, []string{"outcome"}),
	}
})

type collectors struct {
	requests *prometheus.CounterVec
}

// registerMetrics makes the metrics known to the configuration's registry.
func registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	err := registry.Register(metrics().requests)
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		return nil // by another directive of the same configuration
	}
	return err
}

// countOutcome counts one judged request.
func countOutcome(outcome string) {
	metrics().requests.WithLabelValues(outcome).Inc()
}
