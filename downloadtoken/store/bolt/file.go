package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The file is one of bbolt, with these buckets. Integers are big-endian, times are
// stamps.
var (
	// bucketStore has single values, which follow.
	bucketStore = []byte("download_token")
	// bucketTokens has the used tokens by key; see row.
	bucketTokens = []byte("tokens")
	// bucketExpiry has a key without a value for each token: when it may be forgotten,
	// and its key.
	bucketExpiry = []byte("expiry")
	// bucketSigners has the signing keys; see signers.
	bucketSigners = []byte("signers")

	keyFormat      = []byte("format")      // see format
	keyID          = []byte("id")          // 16 random bytes, which tell this file from all others
	keyBegan       = []byte("began")       // the time from which the file vouches for tokens
	keyCount       = []byte("count")       // how many tokens there are
	keyRevocations = []byte("revocations") // see [rules.Revocations]; none: there are no revocations
	keyGrants      = []byte("grants")      // open grants; only while the store is stopped
)

// format is the version of the file. A store does not touch a file of another one.
const format = 1

// lockTimeout is how long a file is waited for that another process has open, which may
// be about to end.
const lockTimeout = 2 * time.Second

var (
	errDamaged = errors.New("the file is damaged")
	errForeign = errors.New("the file is not one of a bolt store of download_token, or it is damaged")
	errNewer   = errors.New("the file is one of a newer version of download_token")
)

// openFile opens the file of a store, and makes it if there is none. What it cannot
// use it leaves as it is.
func openFile(path string, now time.Time) (*bbolt.DB, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path, now); err != nil {
			return nil, fmt.Errorf("%s cannot be made: %w", path, err)
		}
	}
	db, err := open(path)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		err = errors.New("another process has the file open, or this one has under another path; each Caddy needs a file of its own")
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		err = errForeign
	}
	if err == nil {
		return db, nil
	}
	if errors.Is(err, errDamaged) || errors.Is(err, errForeign) || errors.Is(err, errNewer) {
		err = fmt.Errorf("%w; it is left as it is. Give another path, or move it away: then tokens issued before are refused, and revocations are lost", err)
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// options: the list of free pages is not written, since it can be long after many
// tokens have expired, but made anew when the file is opened, from all of its pages.
var options = bbolt.Options{
	Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
}

// open opens a file that is there. First it reads all of it, since a damaged file can
// make bbolt panic in a goroutine of its own, which would end the process.
func open(path string) (*bbolt.DB, error) {
	o := options
	o.ReadOnly = true
	if err := read(path, o); err != nil {
		return nil, err
	}
	o.ReadOnly, o.OpenFile = false, func(name string, flag int, mode os.FileMode) (*os.File, error) {
		return os.OpenFile(name, flag&^os.O_CREATE, mode)
	}
	return bbolt.Open(path, 0, &o)
}

// read makes sure that the file is whole, and one that this version understands. Of
// damage it learns by panics, and by faults where the file ends too soon.
func read(path string, o bbolt.Options) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var (
		file *os.File
		size int64
	)
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		file, err = os.OpenFile(name, flag, mode)
		if err != nil {
			return nil, err
		}
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		size = info.Size()
		if size < 2*int64(os.Getpagesize()) { // bbolt would fill an empty one
			return nil, errForeign
		}
		return file, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
		file.Close() // lets go of the lock also if bbolt could not; twice does no harm
	}()
	db, err := bbolt.Open(path, 0, &o)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was only read
	return db.View(func(tx *bbolt.Tx) error {
		if size < tx.Size() { // the end is missing, even if no page in use stood there
			return errDamaged
		}
		return check(tx)
	})
}

// check makes sure that the file is one that this version understands.
func check(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketStore)
	if b == nil {
		return errForeign
	}
	switch f := b.Get(keyFormat); {
	case len(f) != 4:
		return errForeign
	case binary.BigEndian.Uint32(f) > format:
		return fmt.Errorf("%w (format %d; this one knows %d)", errNewer, binary.BigEndian.Uint32(f), format)
	}
	if tx.Bucket(bucketTokens) == nil || tx.Bucket(bucketExpiry) == nil || tx.Bucket(bucketSigners) == nil ||
		len(b.Get(keyID)) != 16 || len(b.Get(keyBegan)) != 8 || !stampFrom(b.Get(keyBegan)).Valid() || len(b.Get(keyCount)) != 8 {
		return errDamaged
	}
	tokens, entries := uint64(0), uint64(0)
	err := errors.Join(
		tx.Bucket(bucketTokens).ForEach(func(_, v []byte) error {
			tokens++
			_, _, err := rowFrom(v)
			return err
		}),
		tx.Bucket(bucketExpiry).ForEach(func(_, _ []byte) error { entries++; return nil }))
	if err == nil && (tokens != count(tx) || entries != count(tx)) {
		err = errDamaged
	}
	return err
}

// create makes an empty file, which vouches for tokens from now on. It is there whole or
// not at all, and never takes the place of another.
func create(path string, now time.Time) error {
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := file.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(file.Name(), 0, &options)
	if err != nil {
		return err
	}
	err = errors.Join(db.Update(func(tx *bbolt.Tx) error { return begin(tx, now) }), db.Close())
	if err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(folder)
}
