package memory

import (
	"encoding/binary"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// seal ends the grants' work and encodes those that are open at now. One that
// is being drawn on is left out: what its connections still send would be
// missing in the snapshot, and be sent again. When they have ended, it can be
// sealed again. It calls breathe again and again.
func (s *grants) seal(now time.Time, breathe func()) []byte {
	s.sealed = true
	var idle []*grant // they stay so
	looked := 0
	for _, g := range s.all {
		if g.state(rules.StampOf(now)) != grantClosed && g.idle() {
			idle = append(idle, g)
		}
		if looked++; looked%batch == 0 {
			breathe()
		}
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(idle)))
	for i, g := range idle {
		b = append(b, g.terms.Key[:]...)
		b = g.append(b)
		if i%batch == batch-1 {
			breathe()
		}
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
