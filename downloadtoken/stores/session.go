package stores

import (
	"bytes"
	"crypto/rand"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

// session names one run of a store. Marks and snapshot begin with the session
// that wrote them, so that a snapshot is believed only next to the marks of the
// same run: one that was left or brought back from an earlier run would give
// back what was spent since.
type session [16]byte

func newSession() (s session) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// sign puts the session in front of a value.
func (s session) sign(value []byte) []byte { return append(s[:], value...) }

// unsign takes a value apart; ok is false if it is too short for one.
func unsign(value []byte) (s session, rest []byte, ok bool) {
	if len(value) < len(s) {
		return s, nil, false
	}
	return session(value[:len(s)]), value[len(s):], true
}

// found is what an earlier run left in storage.
type found struct {
	marks    nonce.Marks // zero: none
	snapshot []byte      // nil: the earlier run did not end cleanly
	stale    bool        // there are marks or a snapshot, if only damaged ones
}

// find reads what an earlier run left.
func (k kept) find() (f found, err error) {
	marks, err := k.load(keptMarks)
	if err != nil {
		return found{}, err
	}
	snapshot, err := k.load(keptSnapshot)
	if err != nil {
		return found{}, err
	}
	f.stale = marks != nil || snapshot != nil
	ran, marks, ok := unsign(marks)
	if !ok || f.marks.UnmarshalBinary(marks) != nil {
		f.marks = nonce.Marks{}
		return f, nil
	}
	if stopped, snapshot, ok := unsign(snapshot); ok && bytes.Equal(ran[:], stopped[:]) {
		f.snapshot = snapshot
	}
	return f, nil
}
