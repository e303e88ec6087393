package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// knowledge is what this process knows of the server. It is never changed, but
// for the set of revocations.
type knowledge struct {
	epoch    string
	number   int64
	at       rules.Stamp // what was issued later is known
	revision string
	revoked  *rules.Revocations
	policy   string // what the server does when its memory is full
	replicas int    // that are connected to it
}

// learning marks contexts in which the epoch is known to be looked at already.
type learning struct{}

// suspect looks at the epoch of a server that has forgotten its scripts.
func (e *engine) suspect(ctx context.Context) error {
	_, err := e.learn(ctx, e.clock(), e.known.Load())
	return err
}

// learn asks the server for its epoch, and begins a new one where the server cannot
// show that it has all that it had. old is what the caller knows already: if another
// has learned more meanwhile, that is returned.
func (e *engine) learn(ctx context.Context, now time.Time, old *knowledge) (*knowledge, error) {
	e.learning.Lock()
	defer e.learning.Unlock()
	if k := e.known.Load(); k != old {
		return k, nil
	}
	ctx = context.WithValue(ctx, learning{}, true)
	seen := knowledge{}
	if old != nil {
		seen = *old
	}
	asked := time.Now()
	r, err := e.run(ctx, scriptEpoch, []string{e.keys.epoch, e.keys.processes}, append(e.head(&seen, now),
		strconv.FormatInt(seen.number, 10), stampText(e.latest), rand.Text()[:8], e.process, micros(processLease), strconv.Itoa(oldest)))
	if err != nil {
		return nil, err
	}
	switch r.word(0) {
	case "ok":
	case "skew":
		return nil, fmt.Errorf("%w: %w", rules.ErrUnavailable, errSkew(time.Duration(r.number(1))*time.Microsecond))
	case "old":
		return nil, fmt.Errorf("%w: %w", rules.ErrUnavailable, errOld(r.word(1)))
	case "replica":
		return nil, fmt.Errorf("%w: %w", rules.ErrUnavailable, errReplica)
	default:
		return nil, fmt.Errorf("%w: %w", rules.ErrUnavailable, errLayout)
	}
	k := &knowledge{
		epoch: r.word(1), number: r.number(2), at: rules.Stamp(r.number(3)), revision: r.word(4),
		revoked: seen.revoked, policy: r.word(5), replicas: int(r.number(8)),
	}
	e.latest = max(e.latest, rules.Stamp(r.number(6)))
	took := time.Since(asked)
	e.compareClocks(rules.Stamp(r.number(6)).Time().Sub(asked.Add(took/2)), took)
	if k.epoch != seen.epoch {
		e.tellEpoch(k, old, r.word(7))
	}
	if k.epoch != seen.epoch || k.revision != seen.revision {
		if err := e.learnRevocations(ctx, now, k, old); err != nil {
			return nil, err
		}
	}
	if old != nil && *k == seen {
		return old, nil
	}
	e.known.Store(k)
	return k, nil
}

// learnRevocations reads the set. What this process knows from an epoch before is
// put in force again, if the server has lost it.
func (e *engine) learnRevocations(ctx context.Context, now time.Time, k, old *knowledge) error {
	r, err := e.run(ctx, scriptRevocations, []string{e.keys.epoch, e.keys.revocations}, nil)
	if err != nil {
		return err
	}
	k.revision, k.revoked = r.word(1), new(rules.Revocations)
	if encoded := r.word(2); encoded != "" {
		if err := k.revoked.Load([]byte(encoded)); err != nil {
			return fmt.Errorf("%w: %w", rules.ErrUnavailable, err)
		}
	}
	if old == nil || old.epoch == k.epoch {
		return nil
	}
	var encoded []byte
	for _, lost := range slices.Backward(old.revoked.InForce(now)) {
		err := k.revoked.Add(lost, now, func(all []byte) error { encoded = all; return nil })
		if err != nil && !errors.Is(err, rules.ErrRevocationsFull) {
			return err
		}
	}
	if encoded == nil {
		return nil
	}
	k.revision, err = e.writeRevocations(ctx, now, k, encoded)
	return err
}

// writeRevocations replaces the set, unless another process has meanwhile.
func (e *engine) writeRevocations(ctx context.Context, now time.Time, k *knowledge, encoded []byte) (revision string, err error) {
	r, err := e.run(ctx, scriptRevoke, []string{e.keys.epoch, e.keys.revocations}, append(e.head(k, now), string(encoded)))
	if err != nil {
		return "", err
	}
	if r.word(0) != "ok" {
		return "", errOutdated
	}
	return strconv.FormatInt(r.number(1), 10), nil
}

// errOutdated: others have changed what this process wanted to change.
var errOutdated = fmt.Errorf("%w: changed meanwhile", rules.ErrUnavailable)

// compareClocks notes how far the server's clock is ahead, which is known to within half of
// what the question took, and warns once while that is more than half of what may be.
func (e *engine) compareClocks(ahead, took time.Duration) {
	e.ahead.Store(int64(ahead))
	differ := ahead.Abs()-took/2 > e.skew/2
	if differ && !e.warned {
		e.logger.Warn("the clock of the Redis server and this one differ by more than half of skew; set both by NTP, "+
			"since beyond skew nothing is honoured", zap.Duration("ahead", ahead), zap.Duration("skew", e.skew))
	}
	e.warned = differ
}

// tellEpoch says once what an epoch that is new to this process means.
func (e *engine) tellEpoch(k, old *knowledge, why string) {
	switch {
	case why != "":
	case old == nil:
		e.logger.Info("the Redis server has the state of one-time tokens", zap.String("epoch", k.epoch), zap.Time("since", k.at.Time()))
		return
	default:
		why = "another Caddy has seen that it may have lost data"
	}
	e.logger.Warn("a new epoch begins on the Redis server: one-time tokens issued until then are refused as unproven, as long as they live",
		zap.String("reason", why), zap.String("epoch", k.epoch), zap.Time("until", k.at.Time()))
}

// refusal is why nothing is honoured on a server that answers.
type refusal struct{ kind, text string }

func (r *refusal) Error() string { return r.text }

var (
	// errPolicy: a server that evicts keys forgets used tokens, and vouches for nothing.
	errPolicy = &refusal{"policy", "maxmemory-policy is not noeviction; CONFIG SET maxmemory-policy noeviction, and write it into redis.conf"}
	errLayout = &refusal{"layout", "what the server keeps under this prefix has another layout; another version of this plugin wrote it: " +
		"run the same version everywhere, or give this one a prefix of its own"}
	errReplica = &refusal{"replica", "the server is a replica; give the address of its master, or those of its sentinels"}
	errFew     = &refusal{"few", "fewer replicas are connected to the server than wait asks for; attach them, or wait for fewer"}
)

// oldest is the version of the server that is needed: 6.2.
const oldest = 602

func errOld(version string) *refusal {
	return &refusal{"old", "the server has version " + version + "; install Redis 6.2 or later, or Valkey"}
}

// errSkew: the clocks differ so much that a token could be forgotten while it is
// still accepted here, or be accepted here although it was issued before a loss.
func errSkew(ahead time.Duration) *refusal {
	return &refusal{"skew", fmt.Sprintf("the clock of the Redis server is %v ahead of this one, which is more than skew allows; set both by NTP, or allow more", ahead)}
}
