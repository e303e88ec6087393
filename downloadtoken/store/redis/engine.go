package redis

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

const (
	// processLease is how long what a process has reserved waits for it after its
	// last sign of life. Then it counts as spent.
	processLease = 10 * time.Second
	// reserveFor is how long a reservation is remembered at least, so that a slow
	// answer to a token that expires meanwhile can still be served.
	reserveFor = 10 * time.Minute
	// maxBlock is how much of a budget a process leases at a time at most.
	maxBlock = 16 << 20
	// drawFor is how long a grant is kept at least after a process has leased of it, since
	// a download goes on when its window has ended. At 1 kB/s a block lasts so long.
	drawFor = 6 * time.Hour
	// maxWaiting is how many requests may wait for others at a time. One more is
	// told at once that the token is in use.
	maxWaiting = 1000
)

// engine is a [store.Store] on a Redis server.
type engine struct {
	run     func(ctx context.Context, s *script, keys, args []string) (reply, error)
	ready   func(ctx context.Context) error // for run
	keys    keys
	process string        // names this one
	skew    time.Duration // how far the clocks may differ
	spare   time.Duration // how much longer things are kept than they are needed
	block   int64         // see maxBlock
	clock   func() time.Time
	isTest  bool // the caller's clock is the server's
	logger  *zap.Logger

	known    atomic.Pointer[knowledge]
	learning sync.Mutex
	latest   rules.Stamp  // time seen on any server; guarded by learning
	warned   bool         // of clocks that differ; guarded by learning
	ahead    atomic.Int64 // how far the server's clock is, a Duration

	serial   atomic.Uint64
	reserved atomic.Int64
	waiting  atomic.Int64
	sealed   atomic.Bool
	late     late
	budgets  budgets
}

func newEngine(prefix string, skew time.Duration, logger *zap.Logger) *engine {
	return &engine{
		keys: keysOf(prefix), process: rand.Text()[:12], skew: skew, spare: skew, block: maxBlock,
		clock: time.Now, logger: logger,
		budgets: budgets{open: make(map[string]*budget)},
	}
}

// keys are names. All of a store are in one slot of a cluster.
type keys struct{ prefix, epoch, signers, expiries, counts, processes, revocations string }

func keysOf(prefix string) keys {
	p := "{" + prefix + "}:"
	return keys{p, p + "epoch", p + "signers", p + "expiries", p + "counts", p + "processes", p + "revocations"}
}

func short(b [32]byte) string { return base64.RawURLEncoding.EncodeToString(b[:]) }

func (k keys) entry(of rules.Key) string { return k.prefix + "e:" + short(of) }

// with appends the keys of grants.
func (k keys) with(grants []rules.GrantKey, first ...string) []string {
	for _, g := range grants {
		first = append(first, k.prefix+"g:"+short(g))
	}
	return first
}

// lastStamp is the last moment that Lua's numbers hold to the microsecond, in 2255.
const lastStamp = rules.Stamp(1<<53 - 1)

func stampText(s rules.Stamp) string { return strconv.FormatInt(int64(min(s, lastStamp)), 10) }

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }

func yesno(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

// head is what every script that judges begins with.
func (e *engine) head(k *knowledge, now time.Time) []string {
	return append(make([]string, 0, 24), k.epoch, k.revision, stampText(rules.StampOf(now)), yesno(e.isTest), micros(e.skew))
}

// ask runs a script on a server that has the epoch and the revocations that are
// known here, and learns of them first if it has not. t is what is asked about, if
// it may have been taken back.
func (e *engine) ask(ctx context.Context, s *script, t func() rules.Revocable, now time.Time, keys []string, args ...string) (reply, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	k := e.known.Load()
	for range 4 {
		if k == nil {
			var err error
			if k, err = e.learn(ctx, now, nil); err != nil {
				return nil, err
			}
		}
		if k.policy != "noeviction" {
			return nil, fmt.Errorf("%w: %w", rules.ErrUnavailable, errPolicy)
		}
		revoked := t != nil && k.revoked.Revoked(t, now)
		run := s
		if revoked {
			run = scriptCheck
		}
		r, err := e.run(ctx, run, keys, append(e.head(k, now), args...))
		if err != nil {
			return nil, err
		}
		switch r.word(0) {
		case "epoch", "stale":
			if k, err = e.learn(ctx, now, k); err != nil {
				return nil, err
			}
			continue
		case "skew":
			return nil, fmt.Errorf("%w: the clocks of this server and of Redis differ too much", rules.ErrUnavailable)
		}
		if revoked {
			return nil, rules.ErrRevoked
		}
		return r, nil
	}
	return nil, errOutdated
}

// Admit implements [store.Store].
func (e *engine) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	return patiently(ctx, e, q.Patience, func() (store.Use, error) { return e.admit(ctx, &q, clock()) })
}

func (e *engine) admit(ctx context.Context, q *store.Query, now time.Time) (store.Use, error) {
	u := e.newUse(q)
	r, err := e.judge(ctx, q, now, u.id, false)
	switch {
	case errors.Is(err, rules.ErrUnavailable) && !errors.Is(err, errDown):
		u.state = reserved // perhaps
		u.giveBack(0)
		return nil, err
	case err != nil:
		return nil, err
	}
	switch r.word(0) {
	case "taken":
		u.state, u.epoch = reserved, r.word(1)
		e.reserved.Add(1)
		return u, nil
	case "joined":
		return u, u.join(r, now)
	}
	return nil, reasonOf(r)
}

// Look implements [store.Store].
func (e *engine) Look(ctx context.Context, q store.Query, clock func() time.Time) (open *store.Open, err error) {
	return patiently(ctx, e, q.Patience, func() (*store.Open, error) {
		now := clock()
		r, err := e.judge(ctx, &q, now, "", true)
		switch {
		case err != nil:
			return nil, err
		case r.word(0) == "joins":
			return &store.Open{Left: r.number(1), Ends: (rules.StampOf(now) + rules.Stamp(r.number(2))).Time()}, nil
		case r.word(0) == "free":
			return nil, nil
		}
		return nil, reasonOf(r)
	})
}

// judge asks whether the token may be used, and takes it, unless it is only looked at.
func (e *engine) judge(ctx context.Context, q *store.Query, now time.Time, id string, look bool) (reply, error) {
	if e.sealed.Load() {
		return nil, rules.ErrUnavailable
	}
	s, k := q.Showing(), &e.keys
	arrived := s.Moved == 0 || rules.NewMarks(q.Moved).Vouch(&s)
	return e.ask(ctx, scriptAdmit, q.Revocable, now,
		k.with(q.Grants, k.epoch, k.signers, k.expiries, k.counts, k.processes, k.entry(s.Key)),
		yesno(look), id, short(s.Signer), stampText(s.Expires), stampText(s.Keep), stampText(s.Issued),
		micros(max(s.MaxTTL, 0)), strconv.FormatUint(uint64(s.Uses), 10), s.Policy, micros(e.spare),
		strconv.Itoa(store.MaxConnections), strconv.Itoa(store.MaxRequests), micros(processLease), micros(reserveFor), yesno(arrived))
}

func reasonOf(r reply) error {
	switch r.word(0) {
	case "replayed":
		return rules.ErrReplayed
	case "budget":
		return rules.ErrBudget
	case "in_use":
		return rules.ErrInUse
	case "unproven":
		return rules.ErrUnproven
	}
	return fmt.Errorf("%w: Redis answered %q", rules.ErrUnavailable, r.word(0))
}

// patiently asks again while something is in use, at growing intervals. All that wait ask
// about 1,000 times a second together, so that a crowd at one token leaves the server to others.
func patiently[T any](ctx context.Context, e *engine, patience time.Duration, once func() (T, error)) (T, error) {
	got, err := once()
	if !errors.Is(err, rules.ErrInUse) || patience <= 0 || e.waiting.Load() >= maxWaiting {
		return got, err
	}
	e.waiting.Add(1)
	defer e.waiting.Add(-1)
	pause := 2 * time.Millisecond
	for until := time.Now().Add(patience); errors.Is(err, rules.ErrInUse) && time.Now().Before(until); {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return got, fmt.Errorf("%w: %w", rules.ErrInUse, context.Cause(ctx))
		}
		pause = max(min(2*pause, 50*time.Millisecond), time.Duration(e.waiting.Load())*time.Millisecond)
		got, err = once()
	}
	return got, err
}

// Revoked implements [store.Store].
func (e *engine) Revoked(ctx context.Context, t func() rules.Revocable, now time.Time) error {
	_, err := e.ask(ctx, scriptCheck, t, now, []string{e.keys.epoch})
	return err
}

// Revoke implements [store.Store]. The whole set is written each time.
func (e *engine) Revoke(ctx context.Context, r rules.Revocation, now time.Time) error {
	return e.changeRevocations(ctx, now, func(k *knowledge, persist func([]byte) error) error {
		return k.revoked.Add(r, now, persist)
	})
}

// Reinstate implements [store.Store].
func (e *engine) Reinstate(ctx context.Context, r rules.Revocation, now time.Time) error {
	return e.changeRevocations(ctx, now, func(k *knowledge, persist func([]byte) error) error {
		return k.revoked.Remove(r, now, persist)
	})
}

// changeRevocations changes the newest set, again if others have changed it meanwhile.
func (e *engine) changeRevocations(ctx context.Context, now time.Time, change func(k *knowledge, persist func([]byte) error) error) error {
	for range 10 {
		if _, err := e.ask(ctx, scriptCheck, nil, now, []string{e.keys.epoch}); err != nil {
			return err // what is in force here may not be so there
		}
		k := e.known.Load()
		err := change(k, func(all []byte) error {
			_, err := e.writeRevocations(ctx, now, k, all)
			return err
		})
		if !errors.Is(err, errOutdated) {
			return err
		}
	}
	return errOutdated
}

// Revocations implements [store.Store].
func (e *engine) Revocations(ctx context.Context, now time.Time) ([]rules.Revocation, error) {
	if _, err := e.ask(ctx, scriptCheck, nil, now, []string{e.keys.epoch}); err != nil {
		return nil, err
	}
	return e.known.Load().revoked.InForce(now), nil
}

// Stats implements [store.Store]. Reservations are those of this process.
func (e *engine) Stats(ctx context.Context, now time.Time) (store.Stats, error) {
	k := &e.keys
	r, err := e.ask(ctx, scriptStats, nil, now, []string{k.epoch, k.signers, k.expiries, k.counts})
	if err != nil {
		return store.Stats{}, err
	}
	return store.Stats{
		Entries: int(r.number(1)), Reserved: int(e.reserved.Load()), Floor: rules.Stamp(r.number(2)).Time(),
		Epoch: e.known.Load().at.Time(), ClockAhead: time.Duration(e.ahead.Load()),
	}, nil
}

// seal ends the work of this process: it honours nothing any more, and what it has
// reserved counts as spent, though it may still be committed.
func (e *engine) seal(ctx context.Context) error {
	if e.sealed.Swap(true) {
		return nil
	}
	e.late.settle(ctx, e)
	_, err := e.run(ctx, scriptStop, []string{e.keys.processes}, []string{e.process})
	return err
}
