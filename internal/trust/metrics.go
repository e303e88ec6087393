package trust

import (
	"net/url"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-download-token/caddy-download-token/internal/jwks"
	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
)

// What is told about sets of keys. Those of one address have one series.
var (
	failures    = metrics.Counters("jwks_errors_total", "Attempts to read a set of keys that have failed.", "jwks")
	lastSuccess = prometheus.NewDesc(metrics.Name("jwks_last_success_timestamp_seconds"),
		"When a set of keys was last read; 0: never.", []string{"jwks"}, nil)
)

// label names a set. What else its address holds may be a secret.
func label(location string) string {
	u, err := url.Parse(location)
	if err != nil || jwks.IsFile(location) {
		return location
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// freshness tells when the sets in use were last read, and of several with one name
// the one that was read longest ago.
type freshness struct{}

// Describe implements [prometheus.Collector].
func (freshness) Describe(descs chan<- *prometheus.Desc) { descs <- lastSuccess }

// Collect implements [prometheus.Collector].
func (freshness) Collect(collected chan<- prometheus.Metric) {
	oldest := make(map[string]float64)
	pool.Range(func(_, value any) bool {
		s, ok := value.(*set)
		if !ok { // it is being made
			return true
		}
		name, read := label(s.location), 0.0
		if at := s.Status().LastSuccess; !at.IsZero() {
			read = float64(at.UnixMilli()) / 1e3
		}
		if other, known := oldest[name]; !known || read < other {
			oldest[name] = read
		}
		return true
	})
	for name, read := range oldest {
		collected <- prometheus.MustNewConstMetric(lastSuccess, prometheus.GaugeValue, read, name)
	}
}

// Interface guard
var _ prometheus.Collector = freshness{}
