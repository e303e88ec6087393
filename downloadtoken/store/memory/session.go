package memory

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
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
func (s session) sign(value []byte) []byte {
	return appendInPieces(append(make([]byte, 0, len(s)+len(value)), s[:]...), value)
}

// unsign takes a value apart; ok is false if it is too short for one.
func unsign(value []byte) (s session, rest []byte, ok bool) {
	if len(value) < len(s) {
		return s, nil, false
	}
	return session(value[:len(s)]), value[len(s):], true
}

// found is what an earlier run left in storage.
type found struct {
	marks    rules.Marks // zero: none
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
		f.marks = rules.Marks{}
		return f, nil
	}
	if stopped, snapshot, ok := unsign(snapshot); ok && bytes.Equal(ran[:], stopped[:]) {
		f.snapshot = snapshot
	}
	return f, nil
}

// elsewhere reads the marks of this instance's other stores. A restart can move a
// key from one store to another, which has never heard of its tokens.
func (k kept) elsewhere() (all []rules.Marks, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), keptTimeout)
	defer cancel()
	instance := path.Dir(k.prefix)
	folders, err := k.storage.List(ctx, instance, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing %s: %w", instance, err)
	}
	for _, folder := range folders {
		if folder == k.prefix {
			continue
		}
		other := kept{storage: k.storage, prefix: folder}
		value, err := other.load(keptMarks)
		if err != nil {
			return nil, err
		}
		var marks rules.Marks
		if _, encoded, ok := unsign(value); !ok {
			continue // none
		} else if err := marks.UnmarshalBinary(encoded); err != nil {
			return nil, fmt.Errorf("%s: %w; if no token of its keys can still be valid, remove it", other.key(keptMarks), err)
		}
		all = append(all, marks)
	}
	return all, nil
}
