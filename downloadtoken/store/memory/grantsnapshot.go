package memory

import (
	"encoding/binary"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// seal ends the grants' work and appends those that are open at now. One that
// is being drawn on is left out: what its connections still send would be
// missing in the snapshot, and be sent again. When they have ended, it can be
// sealed again.
func (s *grants) seal(b []byte, now time.Time) []byte {
	s.sealed = true
	s.forget(now, len(s.all))
	idle := make([]rules.GrantKey, 0, len(s.all))
	for k, g := range s.all {
		if g.idle() {
			idle = append(idle, k)
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(idle)))
	for _, k := range idle {
		b = append(b, k[:]...)
		b = s.all[k].append(b)
	}
	return b
}

func (g *grant) append(b []byte) []byte {
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

func (r *reader) grants(all map[rules.GrantKey]*grant) {
	for range r.uint32() {
		k := rules.GrantKey(r.fixed(32))
		g := r.grant(k)
		if r.failed {
			return
		}
		all[k] = g
	}
}

func (r *reader) grant(k rules.GrantKey) *grant {
	g := newGrant(rules.Terms{
		Key: k, ETag: string(r.next(int(r.uint32()))), Size: r.count(), Copies: int(r.uint32()),
		Begins: r.stamp().Time(), Ends: r.stamp().Time(),
	})
	g.left, g.requests = r.count(), int(r.uint32())
	return g
}

// count reads a number of bytes.
func (r *reader) count() int64 {
	n := int64(binary.BigEndian.Uint64(r.fixed(8)))
	r.failed = r.failed || n < 0
	return max(n, 0)
}
