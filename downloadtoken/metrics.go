package downloadtoken

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
	"github.com/caddy-download-token/caddy-download-token/internal/tokencache"
)

// What is counted for all directives of the process. Each outcome of a request stands
// at zero from the start: a rate does not see what a series begins with.
var (
	requests = metrics.Counters("requests_total",
		"Requests judged by download_token, by outcome: what became of an accepted token, or the reason for the refusal.", "outcome")

	outcomeServed    = requests.WithLabelValues("served")     // an accepted token got an answer
	outcomeSpent     = requests.WithLabelValues("spent")      // which used a one-time token up
	outcomeAsked     = requests.WithLabelValues("asked")      // or the page that asks
	outcomeNotFound  = requests.WithLabelValues("not_found")  // or a 404 of the site
	outcomeSiteError = requests.WithLabelValues("site_error") // or another error of the site
	outcomePassed    = requests.WithLabelValues("passed")     // there was none, and optional let the request through
	outcomeFailed    = requests.WithLabelValues("failed")     // or nothing, because something failed
	outcomeRefused   = make(map[string]prometheus.Counter)    // by reason

	delivered = metrics.Counter("delivered_bytes_total",
		"Bytes of files that were handed to the server for accepted tokens, counted when the request ends.")
	verifyDurations = metrics.Histograms("verify_duration_seconds",
		"How long it took to find a token genuine, including the wait for a set of keys; cache: whether it was remembered, or off.",
		[]float64{2e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 1}, "alg", "cache")
	cacheHits = metrics.Counter("verified_cache_hits_total",
		"Tokens that were not verified again because a directive remembered them.")
	cacheMisses = metrics.Counter("verified_cache_misses_total",
		"Tokens that came to a directive which remembers those it has verified, and that it had to verify.")
	cacheEntries = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metrics.Name("verified_cache_entries"),
		Help: "Verified tokens that are remembered."}, caches.entries)
)

func init() {
	for _, reason := range Reasons() {
		outcomeRefused[reason] = requests.WithLabelValues(reason)
	}
}

// provisionMetrics makes the metrics known to the configuration, with the series of the
// algorithms that are known by now; of a set of keys, they are not.
func (h *Handler) provisionMetrics(ctx caddy.Context) error {
	for _, key := range h.anchors.Static.Keys() {
		h.verifier.begin(key.Alg)
	}
	if h.profile != nil {
		h.profile.provisionCodes()
		if err := metrics.Register(ctx, signedURIs); err != nil {
			return err
		}
	}
	return metrics.Register(ctx, requests, delivered, verifyDurations, cacheHits, cacheMisses, cacheEntries)
}

// caches are the memories of all directives.
var caches cacheSet

type cacheSet struct {
	mu  sync.Mutex
	all map[*tokencache.Cache]struct{}
}

// add takes one in; remove takes it out again, and ends it.
func (s *cacheSet) add(c *tokencache.Cache) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*tokencache.Cache]struct{})
	}
	s.all[c] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, c)
		c.Close()
	}
}

func (s *cacheSet) entries() (sum float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		sum += float64(c.Len())
	}
	return sum
}
