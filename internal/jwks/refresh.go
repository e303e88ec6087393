package jwks

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// How a set is kept fresh. One fetch is under way at a time, the flight; a
// request that needs one joins it. Flights begin for two reasons: the schedule, and a token that
// names an unknown key. The second comes before any signature was verified, so
// any client can cause it. That is why it is bounded in every way: how often (bucket),
// for the same kid (absentees), how long a request waits, and how many wait. Each
// flight serves all, so that even under a flood of made-up IDs, a new key arrives
// with the next flight.
const (
	maxWait       = 5 * time.Second
	maxWaiting    = 1000
	forcedEvery   = 10 * time.Second
	forcedBurst   = 3
	absentFor     = time.Minute
	minRetryDelay = time.Second
)

// Start begins to read the set in the background, now and then every
// [Options.Refresh], after a failure sooner: in a second, then twice as long each
// time. It does not wait, and ends with ctx; from then on nothing is fetched any
// more. Only the first call counts.
func (j *Set) Start(ctx context.Context) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ctx != nil {
		return
	}
	j.ctx = ctx
	go j.run(ctx)
}

func (j *Set) run(ctx context.Context) {
	for {
		flight, failures := j.join(), 0
		select {
		case <-ctx.Done():
			return
		case <-flight.done:
			failures = flight.failures
		}
		timer := time.NewTimer(nextDelay(j.options.Refresh, failures, rand.Float64()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// nextDelay is how long to wait after a number of failures in a row, less up to a
// tenth at random.
func nextDelay(refresh time.Duration, failures int, random float64) time.Duration {
	delay := refresh
	if failures > 0 && failures < 32 {
		delay = min(minRetryDelay<<(failures-1), refresh)
	}
	return delay - time.Duration(float64(delay)*random/10)
}

// LookupFresh is [Set.Lookup], but reads the set again if it does not know the kid,
// or if none was ever read. It waits for that until ctx ends, at most 5 seconds.
//
// However many callers ask, one fetch is made at a time; tokens cause at most three in a row
// and then one every 10 seconds; a kid that was not there causes none for a minute.
// A caller that may cause none gets [token.ErrUnknownKey] at once.
func (j *Set) LookupFresh(ctx context.Context, kid, alg string) ([]*token.Key, error) {
	if keys, err := j.Lookup(kid, alg); !errors.Is(err, token.ErrUnknownKey) {
		return keys, err
	}
	if flight := j.refetch(ctx, kid, alg); flight != nil {
		ctx, cancel := context.WithTimeout(ctx, maxWait)
		defer cancel()
		flight.wait(ctx)
	}
	return j.Lookup(kid, alg)
}

// A flight is one fetch.
type flight struct {
	kid, alg string // for whose sake, empty if by schedule
	done     chan struct{}
	failures int // in a row, with this one; set before done is closed
	waiting  atomic.Int32
}

// wait must be called once for each flight that refetch returned.
func (f *flight) wait(ctx context.Context) {
	defer f.waiting.Add(-1)
	select {
	case <-ctx.Done():
	case <-f.done:
	}
}

// refetch returns the flight that may bring a key, and nil if there is nothing to
// wait for.
func (j *Set) refetch(ctx context.Context, kid, alg string) *flight {
	j.mu.Lock()
	defer j.mu.Unlock()
	// Again, now that no flight can land in between.
	if _, err := j.Lookup(kid, alg); !errors.Is(err, token.ErrUnknownKey) {
		return nil
	}
	if kid == "" && j.table.Load() != nil || ctx.Err() != nil || j.ctx != nil && j.ctx.Err() != nil {
		return nil
	}
	now := j.options.Now()
	if j.absent.has(kid, now) {
		return nil
	}
	if j.flight == nil {
		if !j.forced.take(now) {
			return nil
		}
		j.beginLocked(kid, alg)
	}
	if j.flight.waiting.Load() >= maxWaiting {
		return nil
	}
	j.flight.waiting.Add(1)
	return j.flight
}

// join returns the flight that is under way, or a new one.
func (j *Set) join() *flight {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.flight == nil {
		j.beginLocked("", "")
	}
	return j.flight
}

// beginLocked does not use the context of a request: the flight is for all.
func (j *Set) beginLocked(kid, alg string) {
	life := j.ctx
	if life == nil {
		life = context.Background()
	}
	flight := &flight{kid: kid, alg: alg, done: make(chan struct{})}
	j.flight = flight
	go func() {
		defer close(flight.done)
		ctx, cancel := context.WithTimeout(life, fetchTimeout)
		defer cancel()
		err := j.fetch(ctx)
		if life.Err() != nil {
			err = nil // that the fetch was broken off is no failure of the origin
		}
		j.land(flight, err)
	}()
}

// fetch replaces the keys, if that can be done.
func (j *Set) fetch(ctx context.Context) error {
	data, err := j.source.read(ctx)
	if err != nil {
		return err
	}
	table, complaints, err := j.policy.read(data)
	if err != nil {
		return &readError{"cannot be used", err}
	}
	j.replace(table, complaints)
	return nil
}

func (j *Set) land(f *flight, err error) {
	j.warner.reportFailure(err)
	if err != nil && j.options.Failed != nil {
		j.options.Failed()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.flight, j.lastError = nil, err
	if err != nil {
		j.failures++
	} else {
		j.failures = 0
		if _, err := j.Lookup(f.kid, f.alg); f.kid != "" && errors.Is(err, token.ErrUnknownKey) {
			j.absent.add(f.kid, j.options.Now())
		}
	}
	f.failures = j.failures
}

// A bucket lets through forcedBurst at once and then one every forcedEvery. It keeps
// the time at which it is full again, no count; the zero value is full.
type bucket struct{ fullAt time.Time }

func (b *bucket) take(now time.Time) bool {
	fullAt := b.fullAt
	if fullAt.Before(now) {
		fullAt = now
	}
	if fullAt.Sub(now) > (forcedBurst-1)*forcedEvery {
		return false
	}
	b.fullAt = fullAt.Add(forcedEvery)
	return true
}

// absentees are IDs that a fetch was made for in vain, with the time until which
// none is made again. They are kept as hashes, since an ID may be some kilobytes long.
// Only a fetch that a token caused adds one, so the bucket bounds them to
// forcedBurst + absentFor/forcedEvery.
type absentees struct {
	seed  maphash.Seed
	until map[uint64]time.Time
}

func (a *absentees) has(kid string, now time.Time) bool {
	return len(a.until) > 0 && now.Before(a.until[maphash.String(a.seed, kid)])
}

func (a *absentees) add(kid string, now time.Time) {
	if a.until == nil {
		a.seed, a.until = maphash.MakeSeed(), make(map[uint64]time.Time)
	}
	for hash, until := range a.until {
		if !now.Before(until) {
			delete(a.until, hash)
		}
	}
	a.until[maphash.String(a.seed, kid)] = now.Add(absentFor)
}
