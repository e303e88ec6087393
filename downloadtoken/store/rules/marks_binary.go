package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// Marks in storage: magic with version, since, common mark, number of signers,
// then each signer with its mark in ascending order, then SHA-256 of it all.
// Integers are big-endian. There is exactly one encoding of given marks.
const (
	marksMagic  = "dltmark\x02"
	marksHeader = len(marksMagic) + 8 + 16 + 4
	marksRecord = 32 + 16
)

var (
	errDamaged = errors.New("store: marks are damaged or of an unknown version")
	errNoMarks = errors.New("store: no marks to write")
)

// MarshalBinary encodes the marks: versioned, checksummed, 48 bytes a signer.
// The zero value has no encoding, since storage that holds it would claim to
// know something; that is an error.
func (k Marks) MarshalBinary() ([]byte, error) {
	if k.IsZero() {
		return nil, errNoMarks
	}
	b := make([]byte, 0, marksHeader+len(k.of)*marksRecord+sha256.Size)
	b = append(b, marksMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.since))
	b = k.rest.append(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(k.of)))
	signers := slices.SortedFunc(maps.Keys(k.of), func(a, b Signer) int { return bytes.Compare(a[:], b[:]) })
	for _, s := range signers {
		b = append(b, s[:]...)
		b = k.of[s].append(b)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// UnmarshalBinary decodes what MarshalBinary wrote and refuses everything
// else, leaving k as it was. Damaged marks must be treated as not found, which
// is strict; that costs tokens issued before the start.
func (k *Marks) UnmarshalBinary(b []byte) error {
	if len(b) < marksHeader+sha256.Size || string(b[:len(marksMagic)]) != marksMagic {
		return errDamaged
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:]) {
		return errDamaged
	}
	body = body[len(marksMagic):]
	since := Stamp(binary.BigEndian.Uint64(body))
	rest := markFrom(body[8:])
	count := int(binary.BigEndian.Uint32(body[24:]))
	body = body[28:]
	full := count == MaxSigners
	if count > MaxSigners || len(body) != count*marksRecord ||
		!since.Valid() || since == 0 || !rest.Valid() || (rest != Mark{} && !full) {
		return errDamaged
	}
	of := make(map[Signer]Mark, count)
	for i, last := 0, []byte(nil); i < count; i++ {
		record := body[i*marksRecord:][:marksRecord]
		m := markFrom(record[32:])
		if bytes.Compare(last, record[:32]) >= 0 || !m.Valid() {
			return errDamaged
		}
		last = record[:32]
		of[Signer(last)] = m
	}
	*k = Marks{since: since, of: of, rest: rest}
	return nil
}

func (m Mark) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(m.Issued))
	return binary.BigEndian.AppendUint64(b, uint64(m.Expires))
}

func markFrom(b []byte) Mark {
	return Mark{Stamp(binary.BigEndian.Uint64(b)), Stamp(binary.BigEndian.Uint64(b[8:]))}
}

func (m Mark) Valid() bool { return m.Issued.Valid() && m.Expires.Valid() }

func (s Stamp) Valid() bool { return 0 <= s && s <= LastStamp }
