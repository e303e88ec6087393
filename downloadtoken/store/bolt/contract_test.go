package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Disk { return newDisk(t) })
}

// disk is a folder for the file of a store that is opened again and again. A store that
// has crashed has its file closed under it.
type disk struct {
	t      testing.TB
	path   string
	open   *engine
	broken atomic.Bool
}

// scratch is where files are that are made by the thousand: in memory, if there is such
// a place, because what is tested there is not the disk.
func scratch(t testing.TB) string {
	folder, err := os.MkdirTemp("/dev/shm", "bolt")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func newDisk(t testing.TB) *disk {
	d := &disk{t: t, path: filepath.Join(scratch(t), "tokens.bolt")}
	t.Cleanup(d.crash)
	return d
}

func (d *disk) crash() {
	if d.open != nil {
		d.open.Close()
	}
	d.open = nil
}

// Open implements [storetest.Disk].
func (d *disk) Open(l storetest.Life) store.Store {
	d.crash()
	e, err := openEngine(d.path, l.Start, zap.NewNop())
	if err != nil {
		d.t.Fatal(err)
	}
	e.now = func() time.Time { return l.Start }
	e.update = func(do func(*bbolt.Tx) error) error {
		if d.broken.Load() {
			return errors.New("broken")
		}
		return e.db.Update(do)
	}
	d.open = e
	return e
}

// Stop implements [storetest.Stopper].
func (d *disk) Stop(now time.Time) {
	d.open.now = func() time.Time { return now }
	if err := d.open.Stop(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) Lose() {
	d.crash()
	os.Remove(d.path)
}

func (d *disk) Break(broken bool) { d.broken.Store(broken) }

// KeepsThroughCrashes implements [storetest.Keeper].
func (*disk) KeepsThroughCrashes() {}

// Size implements [storetest.Sizer].
func (d *disk) Size() int64 {
	info, err := os.Stat(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	return info.Size()
}
