package bolt

import (
	"fmt"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/local"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// openEngine opens the store in the file, and makes the file if there is none.
func openEngine(path string, now time.Time, logger *zap.Logger) (*engine, error) {
	db, err := openFile(path, now)
	if err != nil {
		return nil, err
	}
	e := &engine{
		db: db, logger: logger, now: time.Now, update: db.Update,
		held: make(map[rules.Key]*holding), uses: make(map[*use]struct{}), grants: local.NewGrants(),
		writer: writer{full: make(chan struct{}, 1)},
	}
	if err := e.load(); err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e.sweeper = time.AfterFunc(sweepEvery, e.sweep)
	return e, nil
}

// load reads all but the tokens. Grants are taken out of the file, for good, before
// one of them can be drawn on.
func (e *engine) load() error {
	var revocations, grants []byte
	err := e.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketStore)
		e.id = [16]byte(b.Get(keyID))
		e.marks = rules.NewMarks(stampFrom(b.Get(keyBegan)).Time())
		revocations, grants = slices.Clone(b.Get(keyRevocations)), slices.Clone(b.Get(keyGrants))
		return e.signers.load(tx)
	})
	if err != nil {
		return err
	}
	if revocations != nil {
		if err := e.revoked.Load(revocations); err != nil { // taking them for none would give back what was taken
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	if grants == nil {
		return nil
	}
	if err := e.grants.Load(grants); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err := e.update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketStore).Delete(keyGrants) }); err != nil {
		return fmt.Errorf("it cannot be written: %w", err)
	}
	return nil
}

// Stop implements [store.Opened]: nothing is admitted any more, and the file learns
// what only memory has. What is reserved counts as spent, and can still be committed.
func (e *engine) Stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sealed = true
	var open []*use
	var spends []spend
	for u := range e.uses {
		if u.state == reserved {
			u.spend.before = u.holding.committed
			open, spends = append(open, u), append(spends, u.spend)
		}
	}
	grants := e.grants.Seal(nil, e.now(), func() {})
	b := e.boardLocked(spends...)
	b.also = func(tx *bbolt.Tx) error { return tx.Bucket(bucketStore).Put(keyGrants, grants) }
	e.crowd.WakeAll()
	e.mu.Unlock()
	<-b.done
	e.mu.Lock()
	if b.err != nil {
		return b.err
	}
	for _, u := range open {
		if u.state == reserved {
			u.state = covered
		}
	}
	return nil
}

// Close implements [io.Closer]: it lets go of the file.
func (e *engine) Close() error {
	e.mu.Lock()
	e.sealed = true
	e.mu.Unlock()
	e.sweeper.Stop()
	return e.db.Close()
}

// syncFolder makes a new name in a folder durable, where that can be asked for.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	_ = folder.Sync() // Windows has no such thing, and some network file systems
	return nil
}
