package downloadtoken

import (
	"context"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/tokencache"
)

// timed tells which tokens are genuine, whatever the time, and measures how long that
// takes for those that are: of others, nothing is known that could be a label.
type timed struct {
	plain *token.Verifier
	cache *tokencache.Cache // in front of it; nil if nothing is remembered
}

// Verify is [token.Verifier.Verify].
func (v timed) Verify(ctx context.Context, text string) (t *token.Token, err error) {
	began, cache := time.Now(), "off"
	if v.cache == nil {
		t, err = v.plain.Verify(ctx, text)
	} else {
		var hit bool
		if t, hit, err = v.cache.Verify(ctx, text); hit {
			cache = "hit"
			cacheHits.Inc()
		} else {
			cache = "miss"
			cacheMisses.Inc()
		}
	}
	if err == nil {
		verifyDurations.WithLabelValues(t.Key.Alg, cache).Observe(time.Since(began).Seconds())
	}
	return t, err
}

// begin has the series of an algorithm stand at zero.
func (v timed) begin(alg string) {
	if v.cache == nil {
		verifyDurations.WithLabelValues(alg, "off")
		return
	}
	verifyDurations.WithLabelValues(alg, "hit")
	verifyDurations.WithLabelValues(alg, "miss")
}
