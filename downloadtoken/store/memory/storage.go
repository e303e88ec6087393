package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// kept is where a store keeps what has to survive the process: three values
// in Caddy's storage.
type kept struct {
	storage certmagic.Storage
	prefix  string
	lost    error // why a later run would not find what is written
}

// The names of the values.
const (
	keptMarks       = "marks"
	keptSnapshot    = "snapshot"
	keptRevocations = "revocations"
)

// keptTimeout bounds one access, because requests wait for it.
const keptTimeout = 10 * time.Second

// keep says where the named store of this instance keeps its values. Several
// servers may share a storage; each has its own values.
func keep(storage certmagic.Storage, store string) (kept, error) {
	instance, err := caddy.InstanceID()
	if isNew(instanceFile()) {
		instance, err = settledID()
	}
	if err != nil && instance == [16]byte{} {
		return kept{}, fmt.Errorf("the ID of this Caddy instance, in %s: %w; if the file is empty, Caddy was killed on its first start: remove it",
			instanceFile(), err)
	}
	// Otherwise err says that a new ID cannot be written down: the next run will
	// have another one, and find nothing of what this one keeps.
	return kept{storage, path.Join("download_token", instance.String(), store), err}, nil
}

func (k kept) key(name string) string { return path.Join(k.prefix, name) }

// load returns a value, nil if there is none.
func (k kept) load(name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keptTimeout)
	defer cancel()
	value, err := k.storage.Load(ctx, k.key(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", k.key(name), err)
	}
	return value, nil
}

// store writes a value and returns when it would survive a power failure, as
// far as the storage can promise that.
func (k kept) store(name string, value []byte) error {
	if k.lost != nil {
		return k.lost
	}
	ctx, cancel := context.WithTimeout(context.Background(), keptTimeout)
	defer cancel()
	if err := k.storage.Store(ctx, k.key(name), value); err != nil {
		return fmt.Errorf("writing %s: %w", k.key(name), err)
	}
	return k.syncFolder(name)
}

// remove deletes a value, as durably as store writes.
func (k kept) remove(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), keptTimeout)
	defer cancel()
	if err := k.storage.Delete(ctx, k.key(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", k.key(name), err)
	}
	return k.syncFolder(name)
}

// forget removes marks and snapshot, if there are any. Storage that cannot be
// written is no error as long as it has neither.
func (k kept) forget() error {
	for _, name := range []string{keptSnapshot, keptMarks} {
		value, err := k.load(name)
		if err == nil && value != nil {
			err = k.remove(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// syncFolder makes a rename or removal durable. Caddy's file storage syncs the
// file, but not the folder that has its name.
func (k kept) syncFolder(name string) error {
	files, ok := k.storage.(*certmagic.FileStorage)
	if !ok {
		return nil
	}
	return syncPath(filepath.Dir(files.Filename(k.key(name))))
}

func syncPath(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever written
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !os.IsPermission(err) {
		return err
	}
	return nil
}
