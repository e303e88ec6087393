package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// GrantKey is what a grant is found by.
type GrantKey [32]byte

// NewGrantKey pins a grant to a use of a token, to a path, to a client, and to
// one press of a button; an empty client or press is any.
func NewGrantKey(token Key, path, client, press string) GrantKey {
	b := append(make([]byte, 0, 256), token[:]...)
	for _, field := range [...]string{path, client} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
		b = append(b, field...)
	}
	return sha256.Sum256(append(b, press...))
}

// Terms are what a grant is for.
type Terms struct {
	Key    GrantKey  // what it will be found by
	ETag   string    // strong entity tag of the file
	Size   int64     // of the file, in bytes; 0 if it is not known, then whole answers are counted
	Copies int       // how often the file may be sent in all; less than 1 means 1
	Begins time.Time // when it was opened
	Ends   time.Time // when its window ends, be it after the exp of the token
}

// Budget is the number of bytes that a grant for these terms sends in all:
// Copies times the file, and a little more for what clients ask for twice. Of a
// file whose size is not known it is the number of answers; each one that joins
// takes one, and so does the first.
func (t Terms) Budget() int64 {
	if t.Size == 0 {
		return int64(max(t.Copies, 1))
	}
	return int64(max(t.Copies, 1))*t.Size + min(1<<20, t.Size/4)
}

// IsOpen reports whether the window has not ended at now.
func (t Terms) IsOpen(now time.Time) bool { return StampOf(now) < StampOf(t.Ends) }
