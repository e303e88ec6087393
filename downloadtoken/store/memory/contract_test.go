package memory

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Disk { return &disk{t: t, shelf: new(shelf)} })
}

// disk is storage under a store that is opened again and again.
type disk struct {
	t      testing.TB
	shelf  *shelf
	open   *durable
	broken bool
}

// Open implements [storetest.Disk]. The storage works while a store is opened.
func (d *disk) Open(l storetest.Life) store.Store {
	d.shelf.setReadOnly(false)
	defer d.shelf.setReadOnly(d.broken)
	m, err := begin(d.shelf.kept(), l.Capacity, l.Start, zap.NewNop())
	if err != nil {
		d.t.Fatal(err)
	}
	d.open = m
	return m
}

// Stop implements [storetest.Stopper].
func (d *disk) Stop(now time.Time) {
	d.open.now = stopped(now)
	if err := d.open.Stop(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) Lose() {
	d.shelf.mu.Lock()
	defer d.shelf.mu.Unlock()
	d.shelf.values = nil
}

func (d *disk) Break(broken bool) {
	d.broken = broken
	d.shelf.setReadOnly(broken)
}
