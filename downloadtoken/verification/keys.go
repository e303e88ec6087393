package verification

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
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token/jwks"
)

// Keys are the keys of a configuration.
type Keys struct {
	// Static are those that stand in the configuration.
	Static *token.Table

	sets []*set
}

// Sources name the sets, for whoever has to know which keys there may be
// before they are loaded. A set may have several names, and has one in common
// with whatever else is known to be the same.
func (k *Keys) Sources() []string {
	var names []string
	for _, s := range k.sets {
		names = append(names, identities(s.location)...)
	}
	return names
}

// Close lets go of the sets. It may be called on nil.
func (k *Keys) Close() error {
	if k == nil {
		return nil
	}
	var errs []error
	for _, s := range k.sets {
		_, err := sets.Delete(s.key)
		errs = append(errs, err)
	}
	k.sets = nil
	return errors.Join(errs...)
}

// source is what the verifier asks.
func (k *Keys) source() token.KeySource {
	if len(k.sets) == 0 {
		return k.Static
	}
	var all []*jwks.Set
	for _, s := range k.sets {
		all = append(all, s.Set)
	}
	return jwks.NewRing(k.Static, all...)
}

// startWith has the sets fetched when the configuration takes over, which
// `caddy validate` never lets it do.
func (k *Keys) startWith(ctx caddy.Context) error {
	if len(k.sets) == 0 {
		return nil
	}
	app, err := ctx.App("download_token")
	if err != nil {
		return err
	}
	for _, s := range k.sets {
		app.(*store.App).OnStart(s.start)
	}
	return nil
}

// sets holds the sets of the process, so that a reload does not begin without
// keys.
var sets = caddy.NewUsagePool()

// files counts the sets of files, which makes the name of each in the pool its own.
var files atomic.Uint64

// set is a set in the pool.
type set struct {
	*jwks.Set
	key      string // in the pool
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
func acquire(c JWKS, logger *zap.Logger) (*set, error) {
	key := fmt.Sprintf("%q %q %q %v", c.Location, c.Issuer, c.Alg, c.Refresh)
	if jwks.IsFile(c.Location) {
		key = fmt.Sprintf("%s #%d", key, files.Add(1))
	}
	value, _, err := sets.LoadOrNew(key, func() (caddy.Destructor, error) {
		made, err := jwks.New(jwks.Options{
			Location: c.Location,
			Issuer:   c.Issuer,
			Algs:     c.Alg,
			Refresh:  time.Duration(c.Refresh),
			Warn: func(message, kid string) {
				logger.Warn(message, zap.String("jwks", c.Location), zap.String("kid", kid))
			},
		})
		if err != nil {
			return nil, err
		}
		ctx, end := context.WithCancel(context.Background())
		return &set{Set: made, key: key, location: c.Location, ctx: ctx, end: end}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*set), nil
}
