package local

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// errGrants: the encoded grants are not what Seal wrote.
var errGrants = errors.New("store: grants are damaged")

// Seal ends the work of the set, and appends to b the grants that are open at now, for
// [Grants.Load]. One that is being drawn on is left out: what its connections still
// send would be missing, and be sent again. When they have ended, it can be sealed
// again. It calls breathe again and again, so that the caller can let go of its lock
// for a moment.
func (s *Grants) Seal(b []byte, now time.Time, breathe func()) []byte {
	s.sealed = true
	var idle []*Grant // they stay so
	looked := 0
	for _, g := range s.all {
		if g.state(rules.StampOf(now)) != closed && g.isIdle() {
			idle = append(idle, g)
		}
		if looked++; looked%batch == 0 {
			breathe()
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(idle)))
	for i, g := range idle {
		b = append(b, g.terms.Key[:]...)
		b = g.append(b)
		if i%batch == batch-1 {
			breathe()
		}
	}
	return b
}

// batch is how many grants are looked at in one go, in well under a millisecond.
const batch = 256

func (g *Grant) append(b []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.terms.ETag)))
	b = append(b, g.terms.ETag...)
	b = binary.BigEndian.AppendUint64(b, uint64(g.terms.Size))
	b = binary.BigEndian.AppendUint32(b, uint32(g.terms.Copies))
	b = binary.BigEndian.AppendUint64(b, uint64(rules.StampOf(g.terms.Begins)))
	b = binary.BigEndian.AppendUint64(b, uint64(rules.StampOf(g.terms.Ends)))
	b = binary.BigEndian.AppendUint64(b, uint64(g.left))
	return binary.BigEndian.AppendUint32(b, uint32(g.requests))
}

// Load puts the grants that [Grants.Seal] wrote in place of those that are there. It
// must be called only with what can never be loaded again, or bytes would be sent
// again. Of damaged grants nothing is taken.
func (s *Grants) Load(encoded []byte) error {
	r, all := reader{rest: encoded}, make(map[rules.GrantKey]*Grant)
	for range r.uint32() {
		k := rules.GrantKey(r.fixed(32))
		g := newGrant(rules.Terms{
			Key: k, ETag: string(r.next(int(r.uint32()))), Size: r.count(), Copies: int(r.uint32()),
			Begins: r.stamp().Time(), Ends: r.stamp().Time(),
		})
		g.left, g.requests = r.count(), int(r.uint32())
		if r.failed {
			return errGrants
		}
		all[k] = g
	}
	if r.failed || len(r.rest) > 0 {
		return errGrants
	}
	s.all = all
	return nil
}

// reader takes a byte slice apart. After a failure it returns zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) next(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed = true
		return nil
	}
	var taken []byte
	taken, r.rest = r.rest[:n], r.rest[n:]
	return taken
}

// fixed is next, but as long as asked for even after a failure.
func (r *reader) fixed(n int) []byte {
	if b := r.next(n); len(b) == n {
		return b
	}
	return make([]byte, n)
}

func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.fixed(4)) }

// count reads a number of bytes.
func (r *reader) count() int64 {
	n := int64(binary.BigEndian.Uint64(r.fixed(8)))
	r.failed = r.failed || n < 0
	return max(n, 0)
}

func (r *reader) stamp() rules.Stamp {
	s := rules.Stamp(binary.BigEndian.Uint64(r.fixed(8)))
	r.failed = r.failed || !s.Valid()
	return s
}
