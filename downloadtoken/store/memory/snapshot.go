package memory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// A snapshot in storage: magic with version; the marks found at the first start
// that the store vouches from; the owners, the common one first, each with
// signer, policy, floor and farthest exp; the entries, least recently used
// first; the grants; then SHA-256 of it all. Integers are big-endian.
const snapshotMagic = "dltsnap\x02"

var errSnapshot = errors.New("store: snapshot is damaged or of an unknown version")

// Seal ends the store's work and returns all that it knows, for the next
// process to go on from with [Memory.Restore] as if there had been no restart.
// From then on no token is honoured ([ErrUnavailable]); what is reserved counts
// as spent and can still be committed. Seal may be called again.
func (m *engine) Seal(now time.Time) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealed = true
	m.ledger.forgetExpired(rules.StampOf(now), len(m.ledger.index))
	b := []byte(snapshotMagic)
	b = appendMarks(b, m.found)
	b = m.ledger.append(b)
	b = m.grants.seal(b, now)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// Restore goes on from what Seal returned. It must be called before anything
// else, and only with a snapshot that can never be restored again: it has to be
// removed from storage, durably, before the first token is honoured. Of a
// damaged snapshot nothing is taken; the stop it stems from counts as a crash.
func (m *engine) Restore(snapshot []byte, now time.Time) error {
	l := newLedger()
	grants := make(map[rules.GrantKey]*grant)
	found, err := decodeSnapshot(snapshot, &l, grants)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.found, m.ledger = found.Join(m.elsewhere), l
	// Marks written from here on must not claim to begin earlier than what they
	// go on from: the clock may have been set back between stop and start.
	m.kept = m.kept.NotBefore(found)
	m.grants.all = grants
	capacity := m.capacity
	m.mu.Unlock()
	m.SetCapacity(capacity, now)
	return nil
}

func appendMarks(b []byte, k rules.Marks) []byte {
	encoded, err := k.MarshalBinary()
	if err != nil {
		encoded = nil // no marks, no encoding
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(encoded)))
	return append(b, encoded...)
}

func (l *ledger) append(b []byte) []byte {
	signers := make([]rules.Signer, len(l.owners)) // the common owner has none
	for s, slot := range l.slots {
		signers[slot] = s
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.owners)))
	for i, o := range l.owners {
		b = append(b, signers[i][:]...)
		b = append(b, 0)
		if o.known {
			b[len(b)-1] = 1
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(o.policy)))
		b = append(b, o.policy...)
		b = binary.BigEndian.AppendUint64(b, uint64(o.floor))
		b = binary.BigEndian.AppendUint64(b, uint64(o.farthest))
	}
	ids := make([]uint32, 0, len(l.index))
	for _, id := range l.index {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint32) int { return int(int64(l.at(a).used) - int64(l.at(b).used)) })
	b = slices.Grow(b, len(ids)*snapshotEntry+4)
	b = binary.BigEndian.AppendUint32(b, uint32(len(ids)))
	for _, id := range ids {
		e := l.at(id)
		b = append(b, e.key[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(e.expires))
		b = binary.BigEndian.AppendUint64(b, uint64(e.keep))
		b = binary.BigEndian.AppendUint32(b, e.committed+e.reserved)
		b = binary.BigEndian.AppendUint32(b, e.owner)
	}
	return b
}

// snapshotEntry is the size of an entry: key, exp, keep, uses, owner.
const snapshotEntry = 32 + 8 + 8 + 4 + 4

// decodeSnapshot fills an empty ledger and an empty set of grants.
func decodeSnapshot(snapshot []byte, l *ledger, grants map[rules.GrantKey]*grant) (found rules.Marks, err error) {
	body, ok := bytes.CutPrefix(snapshot, []byte(snapshotMagic))
	if !ok || len(body) < sha256.Size {
		return rules.Marks{}, errSnapshot
	}
	body = body[:len(body)-sha256.Size]
	if sum := sha256.Sum256(snapshot[:len(snapshot)-sha256.Size]); !bytes.Equal(sum[:], snapshot[len(snapshot)-sha256.Size:]) {
		return rules.Marks{}, errSnapshot
	}
	r := reader{rest: body}
	if encoded := r.next(int(r.uint32())); len(encoded) > 0 && found.UnmarshalBinary(encoded) != nil {
		return rules.Marks{}, errSnapshot
	}
	r.owners(l)
	r.entries(l)
	r.grants(grants)
	if r.failed || len(r.rest) > 0 {
		return rules.Marks{}, errSnapshot
	}
	return found, nil
}

func (r *reader) owners(l *ledger) {
	for slot := range r.uint32() {
		s := rules.Signer(r.fixed(32))
		known := r.fixed(1)[0] != 0
		o := owner{known: known, policy: string(r.next(int(r.uint32()))), soonest: nowhere, largest: nowhere}
		o.floor, o.farthest = r.stamp(), r.stamp()
		if r.failed || slot > rules.MaxSigners {
			r.failed = true
			return
		}
		if slot == commonOwner {
			l.owners[commonOwner] = o
			continue
		}
		l.owners = append(l.owners, o)
		l.slots[s] = slot
	}
}

func (r *reader) entries(l *ledger) {
	for range r.uint32() {
		s := rules.Showing{Key: rules.Key(r.fixed(32)), Expires: r.stamp(), Keep: r.stamp()}
		uses, slot := r.uint32(), r.uint32()
		if _, twice := l.index[s.Key]; r.failed || twice || int(slot) >= len(l.owners) {
			r.failed = true
			return
		}
		l.at(l.add(slot, &s)).committed = uses
	}
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
	if b := r.next(n); b != nil {
		return b
	}
	return make([]byte, n)
}

func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.fixed(4)) }

func (r *reader) stamp() rules.Stamp {
	s := rules.Stamp(binary.BigEndian.Uint64(r.fixed(8)))
	r.failed = r.failed || !s.Valid()
	return s
}
