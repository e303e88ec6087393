package nonce_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce/noncetest"
)

func TestContract(t *testing.T) {
	noncetest.Run(t, func(testing.TB) noncetest.Disk { return new(disk) })
}

// disk is storage that holds the marks of a memory store.
type disk struct {
	mu     sync.Mutex
	marks  []byte
	broken bool

	open     *nonce.Memory
	snapshot []byte
}

var errBroken = errors.New("disk broken")

func (d *disk) Open(l noncetest.Life) nonce.Store {
	d.mu.Lock()
	defer d.mu.Unlock()
	var marks nonce.Marks
	if d.marks != nil {
		if err := marks.UnmarshalBinary(d.marks); err != nil {
			panic(err)
		}
	}
	d.open = nonce.NewMemory(nonce.MemoryOptions{Capacity: l.Capacity, Start: l.Start, Marks: marks, Persist: d.persist})
	if d.snapshot != nil {
		if err := d.open.Restore(d.snapshot, l.Start); err != nil {
			panic(err)
		}
		d.snapshot = nil
	}
	return d.open
}

// Stop implements [noncetest.Stopper].
func (d *disk) Stop(now time.Time) { d.snapshot = d.open.Seal(now) }

func (d *disk) persist(m nonce.Marks) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		return errBroken
	}
	b, err := m.MarshalBinary()
	if err == nil {
		d.marks = b
	}
	return err
}

func (d *disk) Lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marks, d.snapshot = nil, nil
}

func (d *disk) Break(broken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}
