package bolt

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// begin fills an empty file.
func begin(tx *bbolt.Tx, now time.Time) error {
	for _, name := range [][]byte{bucketTokens, bucketExpiry, bucketSigners} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucket(bucketStore)
	if err != nil {
		return err
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	for _, value := range []struct{ key, value []byte }{
		{keyFormat, binary.BigEndian.AppendUint32(nil, format)},
		{keyID, id},
		{keyBegan, binary.BigEndian.AppendUint64(nil, uint64(rules.StampOf(now)))},
		{keyCount, make([]byte, 8)},
	} {
		if err := b.Put(value.key, value.value); err != nil {
			return err
		}
	}
	return nil
}

// row is a token in the file.
type row struct {
	expires, keep rules.Stamp // it may be forgotten once the clock has passed keep
	uses          uint32
	signer        uint32 // its number
}

const rowSize = 8 + 8 + 4 + 4

func (r row) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, rowSize), uint64(r.expires))
	b = binary.BigEndian.AppendUint64(b, uint64(r.keep))
	b = binary.BigEndian.AppendUint32(b, r.uses)
	return binary.BigEndian.AppendUint32(b, r.signer)
}

// rowFrom decodes a value; nil is none.
func rowFrom(b []byte) (r row, found bool, err error) {
	if b == nil {
		return row{}, false, nil
	}
	if len(b) != rowSize {
		return row{}, false, errDamaged
	}
	return row{stampFrom(b), stampFrom(b[8:]), binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])}, true, nil
}

func stampFrom(b []byte) rules.Stamp { return rules.Stamp(binary.BigEndian.Uint64(b)) }

// count is how many tokens the file has.
func count(tx *bbolt.Tx) uint64 {
	return binary.BigEndian.Uint64(tx.Bucket(bucketStore).Get(keyCount))
}

func setCount(tx *bbolt.Tx, n uint64) error {
	return tx.Bucket(bucketStore).Put(keyCount, binary.BigEndian.AppendUint64(nil, n))
}
