package bolt

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// gatherMost is the longest that a write waits for more to come aboard: for the requests
// that the one before has answered, whose clients may be about to come back. It waits for
// no more than a share of what that one took. Without it half of the clients would wait
// while the others are written. Both are measured in BenchmarkSpend.
const (
	gatherMost  = 2 * time.Millisecond
	gatherShare = 4
)

// How many expired tokens a write forgets: more than it adds, so that the file does not
// grow; few, so that no write takes long.
const (
	forgetEach = 4
	forgetSome = 64
)

// sweepEvery is how often expired tokens are forgotten when no token is spent.
const sweepEvery = time.Minute

// writer puts spends into the file. Those that come while one write is under way
// gather for the next, which takes all of them in one transaction. Everybody aboard
// shares its outcome. It is guarded by the lock of the store.
type writer struct {
	clock     rules.Stamp   // as the latest request had it
	next      *batch        // gathering
	writing   bool          // a goroutine is there to take care of next
	expected  int           // how many are likely to come aboard next
	full      chan struct{} // told when they are
	took      time.Duration // by the last one
	failed    time.Time     // when one could not be written last; zero: that is over, and was said
	forgotten uint64        // expired tokens
	sweeper   *time.Timer
}

// batch is one write. err may be read once done is closed.
type batch struct {
	spends []spend
	also   func(tx *bbolt.Tx) error // nil: nothing
	done   chan struct{}
	err    error
}

// spend is one more use of a token. before is how often it was used as far as its
// reservation knows: the file may have forgotten the token meanwhile.
type spend struct {
	key    rules.Key
	row    row
	before uint32
}

func (e *engine) boardLocked(spends ...spend) *batch {
	if e.next == nil {
		e.next = &batch{done: make(chan struct{})}
	}
	e.next.spends = append(e.next.spends, spends...)
	switch {
	case !e.writing:
		e.writing, e.expected = true, 0
		go e.write()
	case len(e.next.spends) >= e.expected:
		select {
		case e.full <- struct{}{}:
		default: // it knows
		}
	}
	return e.next
}

// sweep forgets expired tokens where no spend does so, a few at a time.
func (e *engine) sweep() {
	again := sweepEvery
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sealed {
		return
	}
	e.clock = rules.StampOf(e.now())
	if e.hasExpired() {
		e.boardLocked()
		again = sweepEvery / 600
	}
	e.sweeper.Reset(again)
}

func (e *engine) hasExpired() (has bool) {
	_ = e.db.View(func(tx *bbolt.Tx) error {
		_, first := expired(tx, e.clock)
		has = first != nil
		return nil
	})
	return has
}

// write carries out writes until nobody is waiting for one.
func (e *engine) write() {
	for b := e.depart(); b != nil; b = e.depart() {
		begun := time.Now()
		b.err = e.carry(b)
		e.took = time.Since(begun)
		close(b.done)
		e.gather(len(b.spends))
	}
}

// gather waits, if any are aboard already, for those who have just been answered.
func (e *engine) gather(answered int) {
	e.mu.Lock()
	var aboard int
	if e.next != nil {
		aboard = len(e.next.spends)
	}
	e.expected = aboard + answered
	select {
	case <-e.full: // from before
	default:
	}
	e.mu.Unlock()
	if e.expected < 2 {
		return
	}
	timer := time.NewTimer(min(gatherMost, e.took/gatherShare))
	defer timer.Stop()
	select {
	case <-e.full:
	case <-timer.C:
	}
}

// depart takes the batch that is to be written next; nil if there is none.
func (e *engine) depart() *batch {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.next
	e.next, e.writing = nil, b != nil
	return b
}

// carry writes a batch: all of it or, with an error, nothing.
func (e *engine) carry(b *batch) error {
	e.mu.Lock()
	now, changed := e.clock, e.signers.changed()
	e.mu.Unlock()
	forgotten := uint64(0)
	err := e.transact(func(tx *bbolt.Tx) error {
		for i := range changed {
			if err := changed[i].put(tx); err != nil {
				return err
			}
		}
		added := uint64(0)
		for i := range b.spends {
			isNew, err := b.spends[i].put(tx)
			if err != nil {
				return err
			}
			if isNew {
				added++
			}
		}
		if b.also != nil {
			if err := b.also(tx); err != nil {
				return err
			}
		}
		var err error
		if forgotten, err = e.forget(tx, now, forgetSome+forgetEach*len(b.spends)); err != nil {
			return err
		}
		return setCount(tx, count(tx)+added-forgotten)
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		for i := range changed {
			e.signers.all[changed[i].number].written = false
		}
	} else {
		e.forgotten += forgotten
	}
	e.reportLocked(err, time.Now())
	return err
}

// transact turns all that goes wrong into ErrUnavailable. A panic does, too: it would
// end the process from here, and with it every download.
func (e *engine) transact(do func(tx *bbolt.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: writing panicked: %v", rules.ErrUnavailable, p)
		}
	}()
	if err := e.update(do); err != nil {
		return fmt.Errorf("%w: %w", rules.ErrUnavailable, err)
	}
	return nil
}

// quiet is how long the file must have been written without a failure before that is said.
// On a disk that is nearly full, small writes succeed and others fail by turns.
const quiet = time.Minute

// reportLocked says when the file cannot be written any more, and when it can again.
func (e *engine) reportLocked(err error, now time.Time) {
	switch {
	case err != nil && e.failed.IsZero():
		e.logger.Error("the file of used tokens cannot be written, so one-time tokens are refused, and not used up, until it can", zap.Error(err))
		e.failed = now
	case err != nil:
		e.failed = now
	case !e.failed.IsZero() && now.Sub(e.failed) >= quiet:
		e.logger.Info("the file of used tokens can be written again")
		e.failed = time.Time{}
	}
}

// put writes one more use, and reports whether the token was not in the file.
func (s *spend) put(tx *bbolt.Tx) (isNew bool, err error) {
	tokens, expiry := tx.Bucket(bucketTokens), tx.Bucket(bucketExpiry)
	old, found, err := rowFrom(tokens.Get(s.key[:]))
	if err != nil {
		return false, err
	}
	r := s.row
	if found { // a second token with the same nonce may expire later than the first
		r.expires, r.keep = max(r.expires, old.expires), max(r.keep, old.keep)
		if r.keep != old.keep {
			if err := expiry.Delete(expiryKey(old.keep, s.key)); err != nil {
				return false, err
			}
		}
	}
	r.uses = max(old.uses, s.before) + 1
	if err := expiry.Put(expiryKey(r.keep, s.key), nil); err != nil {
		return false, err
	}
	return !found, tokens.Put(s.key[:], r.encode())
}

// forget takes tokens that have expired at now out of the file, at most limit. The
// floor rises over them first, for requests that come when they are gone.
func (e *engine) forget(tx *bbolt.Tx, now rules.Stamp, limit int) (forgotten uint64, err error) {
	tokens, expiry := tx.Bucket(bucketTokens), tx.Bucket(bucketExpiry)
	var keys [][]byte // of expiry
	floors := make(map[uint32]rules.Stamp)
	for next, k := expired(tx, now); k != nil && len(keys) < limit; k = next() {
		r, found, err := rowFrom(tokens.Get(k[8:]))
		if err != nil || !found {
			return 0, errDamaged
		}
		floors[r.signer] = max(floors[r.signer], r.expires)
		keys = append(keys, slices.Clone(k))
	}
	raised, err := e.raise(floors)
	if err != nil {
		return 0, err
	}
	for i := range raised {
		if err := raised[i].put(tx); err != nil {
			return 0, err
		}
	}
	for _, k := range keys {
		if err := tokens.Delete(k[8:]); err != nil {
			return 0, err
		}
		if err := expiry.Delete(k); err != nil {
			return 0, err
		}
	}
	return uint64(len(keys)), nil
}

// raise raises floors in memory, and returns those that have to be written with the
// tokens that are forgotten. What is not in the file yet for another reason stays so.
func (e *engine) raise(floors map[uint32]rules.Stamp) (raised []signer, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for number, floor := range floors {
		if int(number) >= len(e.signers.all) {
			return nil, errDamaged
		}
		o := e.signers.all[number]
		if floor > o.floor {
			o.floor = floor
		}
		raised = append(raised, *o)
	}
	return raised, nil
}

// expired goes through the expired tokens, the first to expire first; nil is the end.
func expired(tx *bbolt.Tx, now rules.Stamp) (next func() []byte, first []byte) {
	c := tx.Bucket(bucketExpiry).Cursor()
	check := func(k, _ []byte) []byte {
		if len(k) != 8+32 || stampFrom(k) >= now {
			return nil
		}
		return k
	}
	return func() []byte { return check(c.Next()) }, check(c.First())
}

func expiryKey(keep rules.Stamp, k rules.Key) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+32), uint64(keep)), k[:]...)
}
