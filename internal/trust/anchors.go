package trust

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
	"github.com/caddy-download-token/caddy-download-token/internal/jwks"
	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
)

// Anchors are the keys that a configuration trusts.
type Anchors struct {
	// Static are those that stand in the configuration.
	Static *token.Table

	sets []*set
}

// Sources name the sets, for a caller that has to know which keys there may be
// before they are loaded. A set may have several names, and has one in common
// with every other spelling of its address that is known to be the same.
func (a *Anchors) Sources() []string {
	var names []string
	for _, s := range a.sets {
		names = append(names, identities(s.location)...)
	}
	return names
}

// Close lets go of the sets. It may be called on nil.
func (a *Anchors) Close() error {
	if a == nil {
		return nil
	}
	var errs []error
	for _, s := range a.sets {
		_, err := pool.Delete(s.name)
		errs = append(errs, err)
	}
	a.sets = nil
	return errors.Join(errs...)
}

// source is what the verifier asks.
func (a *Anchors) source() token.KeySource {
	if len(a.sets) == 0 {
		return a.Static
	}
	var all []*jwks.Set
	for _, s := range a.sets {
		all = append(all, s.Set)
	}
	return jwks.NewRing(a.Static, all...)
}

// startWith has the sets fetched when the configuration takes over, which
// `caddy validate` never lets it do.
func (a *Anchors) startWith(ctx caddy.Context) error {
	if len(a.sets) == 0 {
		return nil
	}
	if err := metrics.Register(ctx, failures, freshness{}); err != nil {
		return err
	}
	app, err := ctx.App("download_token")
	if err != nil {
		return err
	}
	for _, s := range a.sets {
		app.(*store.App).OnStart(s.start)
	}
	return nil
}

// pool holds the sets of the process, so that a reload does not begin without
// keys.
var pool = caddy.NewUsagePool()

// files counts the sets of files, which makes the name of each in the pool its own.
var files atomic.Uint64

// set is a set in the pool.
type set struct {
	*jwks.Set
	name     string // in the pool
	location string
	ctx      context.Context
	end      context.CancelFunc
}

func (s *set) start() { s.Start(s.ctx) }

// Destruct ends the refreshing.
func (s *set) Destruct() error {
	s.end()
	return nil
}

// acquire returns the set for a configuration. Sets of files are never shared:
// a reload is to read the file anew, and to fail if it cannot.
func acquire(c verification.JWKS, logger *zap.Logger) (*set, error) {
	name := fmt.Sprintf("%q %q %q %v", c.Location, c.Issuer, c.Alg, c.Refresh)
	if jwks.IsFile(c.Location) {
		name = fmt.Sprintf("%s #%d", name, files.Add(1))
	}
	value, _, err := pool.LoadOrNew(name, func() (caddy.Destructor, error) {
		made, err := jwks.New(jwks.Options{
			Location: c.Location,
			Issuer:   c.Issuer,
			Algs:     c.Alg,
			Refresh:  time.Duration(c.Refresh),
			Warn: func(message, kid string) {
				logger.Warn(message, zap.String("jwks", c.Location), zap.String("kid", kid))
			},
			Failed: failures.WithLabelValues(label(c.Location)).Inc,
		})
		if err != nil {
			return nil, err
		}
		ctx, end := context.WithCancel(context.Background())
		return &set{Set: made, name: name, location: c.Location, ctx: ctx, end: end}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*set), nil
}
