package memory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/local"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// A snapshot in storage: magic with version; the marks found at the first start
// that the store vouches from; the owners, the common one first, each with
// signer, policy, floor, farthest exp, and its entries, those first that are given up
// first; the grants; then SHA-256 of it all. Integers are big-endian.
const snapshotMagic = "dltsnap\x03"

var errSnapshot = errors.New("store: snapshot is damaged or of an unknown version")

// Seal ends the store's work and returns all that it knows, for the next
// process to go on from with [engine.Restore] as if there had been no restart.
// From then on no token is honoured ([rules.ErrUnavailable]); what is reserved counts
// as spent and can still be committed, and requests that do so do not wait for the
// snapshot. Seal may be called again.
func (m *engine) Seal(now time.Time) []byte {
	m.mu.Lock()
	for !m.sealed && m.ledger.forgetExpired(rules.StampOf(now), batch) == batch {
		m.breatheLocked()
	}
	m.sealed = true // from here on, entries neither come nor go
	grants := m.grants.Seal(nil, now, m.breatheLocked)
	head := appendMarks([]byte(snapshotMagic), m.found)
	size := len(head) + m.ledger.encodedSize() + len(grants) + sha256.Size
	m.mu.Unlock()

	b := append(make([]byte, 0, size), head...) // much memory takes time to get

	m.mu.Lock()
	b = m.ledger.append(b, m.breatheLocked)
	m.mu.Unlock()

	b = appendInPieces(b, grants)
	sum := checksum(b)
	return append(b, sum[:]...)
}

// pieceSize is how much of a large value is copied or hashed at a time. The garbage
// collector cannot stop a goroutine in the middle of either, and all others would
// stand still until it can.
const pieceSize = 256 << 10

func appendInPieces(b, value []byte) []byte {
	for piece := range slices.Chunk(value, pieceSize) {
		b = append(b, piece...)
	}
	return b
}

func checksum(b []byte) (sum [sha256.Size]byte) {
	hash := sha256.New()
	for piece := range slices.Chunk(b, pieceSize) {
		hash.Write(piece)
	}
	hash.Sum(sum[:0])
	return sum
}

// Restore goes on from what Seal returned. It must be called before anything
// else, and only with a snapshot that can never be restored again: it has to be
// removed from storage, durably, before the first token is honoured. Of a
// damaged snapshot nothing is taken; the stop it stems from counts as a crash.
func (m *engine) Restore(snapshot []byte, now time.Time) error {
	l := newLedger()
	grants := local.NewGrants()
	found, err := decodeSnapshot(snapshot, &l, &grants)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.found, m.ledger = found.Join(m.elsewhere), l
	// Marks written from here on must not claim to begin earlier than what they
	// go on from: the clock may have been set back between stop and start.
	m.kept = m.kept.NotBefore(found)
	m.grants = grants
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

// The sizes of an owner, but for its policy, and of an entry.
const (
	encodedOwner = 32 + 1 + 4 + 8 + 8 + 4
	encodedEntry = len(tag{}) + 8 + 8 + 4 // tag, exp, keep, uses
)

func (l *ledger) encodedSize() int {
	size := 4 + len(l.owners)*encodedOwner + l.count*encodedEntry
	for i := range l.owners {
		size += len(l.owners[i].policy)
	}
	return size
}

// append encodes the ledger, which must not change but for uses. It calls breathe
// again and again, so that these can.
func (l *ledger) append(b []byte, breathe func()) []byte {
	signers := make([]rules.Signer, len(l.owners)) // the common owner has none
	for s, slot := range l.slots {
		signers[slot] = s
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.owners)))
	for i := range l.owners {
		o := &l.owners[i]
		b = append(b, signers[i][:]...)
		b = append(b, 0)
		if o.known {
			b[len(b)-1] = 1
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(o.policy)))
		b = append(b, o.policy...)
		b = binary.BigEndian.AppendUint64(b, uint64(o.floor))
		b = binary.BigEndian.AppendUint64(b, uint64(o.farthest))
		b = binary.BigEndian.AppendUint32(b, uint32(o.entries))
		for leaf := range l.leaves(o.root) {
			b = l.appendLeaf(b, leaf)
			breathe()
		}
	}
	return b
}

func (l *ledger) appendLeaf(b []byte, d *node) []byte {
	for i, id := range d.ids[:d.n] {
		e, exp := l.at(id), d.exps[i]
		committed, reserved := l.uses(id)
		b = append(b, e.tag[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(exp))
		b = binary.BigEndian.AppendUint64(b, uint64(e.excess.after(exp)))
		b = binary.BigEndian.AppendUint32(b, committed+reserved)
	}
	return b
}

// decodeSnapshot fills an empty ledger and an empty set of grants.
func decodeSnapshot(snapshot []byte, l *ledger, grants *local.Grants) (found rules.Marks, err error) {
	body, ok := bytes.CutPrefix(snapshot, []byte(snapshotMagic))
	if !ok || len(body) < sha256.Size {
		return rules.Marks{}, errSnapshot
	}
	body = body[:len(body)-sha256.Size]
	if sum := checksum(snapshot[:len(snapshot)-sha256.Size]); !bytes.Equal(sum[:], snapshot[len(snapshot)-sha256.Size:]) {
		return rules.Marks{}, errSnapshot
	}
	r := reader{rest: body}
	if encoded := r.next(int(r.uint32())); len(encoded) > 0 && found.UnmarshalBinary(encoded) != nil {
		return rules.Marks{}, errSnapshot
	}
	r.owners(l)
	if r.failed || grants.Load(r.rest) != nil {
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
		} else {
			l.owners = append(l.owners, o)
			l.slots[s] = slot
		}
		r.entries(l, slot)
	}
}

func (r *reader) entries(l *ledger, slot uint32) {
	for range r.uint32() {
		t := tag(r.fixed(len(tag{})))
		expires, keep, uses := r.stamp(), r.stamp(), r.uint32()
		if r.failed || keep < expires || uses >= isHeld || l.lookup(t) != none {
			r.failed = true
			return
		}
		l.at(l.add(slot, t, expires, keep)).uses = uses
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
