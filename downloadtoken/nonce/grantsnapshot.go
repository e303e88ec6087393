package nonce

import (
	"encoding/binary"
	"time"
)

// seal ends the grants' work and appends those that are open at now. One that
// is being drawn on is left out: what its connections still send would be
// missing in the snapshot, and be sent again. When they have ended, it can be
// sealed again.
func (s *Grants) seal(b []byte, now time.Time) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = true
	s.forgetClosedLocked(now, len(s.all))
	idle := make([]GrantKey, 0, len(s.all))
	for k, g := range s.all {
		if g.seal() {
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

// restore replaces the grants.
func (s *Grants) restore(all map[GrantKey]*Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = all
}

func (g *Grant) append(b []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.terms.ETag)))
	b = append(b, g.terms.ETag...)
	b = binary.BigEndian.AppendUint64(b, uint64(g.terms.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(g.ends))
	b = binary.BigEndian.AppendUint64(b, uint64(g.left))
	b = binary.BigEndian.AppendUint32(b, uint32(g.requests))
	if g.complete {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.sent)))
	for _, part := range g.sent {
		b = binary.BigEndian.AppendUint64(b, uint64(part.from))
		b = binary.BigEndian.AppendUint64(b, uint64(part.to))
	}
	return b
}

func (r *reader) grants(all map[GrantKey]*Grant) {
	for range r.uint32() {
		k := GrantKey(r.fixed(32))
		g := r.grant()
		if r.failed {
			return
		}
		all[k] = g
	}
}

func (r *reader) grant() *Grant {
	g := newGrant(Terms{ETag: string(r.next(int(r.uint32()))), Size: r.count()})
	g.ends, g.left, g.requests = r.stamp(), r.count(), int(r.uint32())
	g.complete = r.fixed(1)[0] != 0
	for range r.uint32() {
		part := span{r.count(), r.count()}
		if r.failed || len(g.sent) >= maxSpans || part.from > part.to {
			r.failed = true
			return nil
		}
		g.sent = append(g.sent, part)
	}
	return g
}

// count reads a number of bytes.
func (r *reader) count() int64 {
	n := int64(binary.BigEndian.Uint64(r.fixed(8)))
	r.failed = r.failed || n < 0
	return max(n, 0)
}
