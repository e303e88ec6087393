package bolt

import (
	"encoding/binary"

	"go.etcd.io/bbolt"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// signer is what is known of a signing key. It outlives the key's tokens.
type signer struct {
	id       rules.Signer
	number   uint32      // by which its tokens name it in the file
	policy   string      // how keys are built
	known    bool        // policy is set
	floor    rules.Stamp // largest exp of any token that was forgotten
	farthest rules.Stamp // largest exp of any token there ever was
	written  bool        // as it is, it is in the file
}

// signers are all of them by number. The first stands for those beyond
// [rules.MaxSigners].
type signers struct {
	all     []*signer
	numbers map[rules.Signer]uint32
}

// find returns the signer, and nil for one that was never seen.
func (s *signers) find(id rules.Signer) *signer {
	if n, ok := s.numbers[id]; ok {
		return s.all[n]
	}
	if len(s.numbers) >= rules.MaxSigners {
		return s.all[0]
	}
	return nil
}

// floorFor is the floor that a token has to clear. Under another policy than the last
// one, any token in the file could be this one under another key.
func (o *signer) floorFor(policy string) rules.Stamp {
	switch {
	case o == nil:
		return 0
	case o.known && o.policy != policy:
		return max(o.floor, o.farthest)
	}
	return o.floor
}

// admit finds or adds the signer and makes policy its policy.
func (s *signers) admit(id rules.Signer, policy string) *signer {
	o := s.find(id)
	if o == nil {
		o = &signer{id: id}
		s.add(o)
	}
	if !o.known || o.policy != policy {
		o.floor, o.policy, o.known, o.written = o.floorFor(policy), policy, true, false
	}
	return o
}

func (s *signers) add(o *signer) {
	o.number = uint32(len(s.all))
	s.all = append(s.all, o)
	if o.number > 0 {
		s.numbers[o.id] = o.number
	}
}

// reach notes that there is a token with this exp.
func (o *signer) reach(expires rules.Stamp) {
	if expires > o.farthest {
		o.farthest, o.written = expires, false
	}
}

func (s *signers) highestFloor() (floor rules.Stamp) {
	for _, o := range s.all {
		floor = max(floor, o.floor)
	}
	return floor
}

// changed returns copies of those that are not in the file as they are, and counts
// them as written.
func (s *signers) changed() (changed []signer) {
	for _, o := range s.all {
		if !o.written {
			o.written = true
			changed = append(changed, *o)
		}
	}
	return changed
}

// A signer in the file, under its number: signer, floor, farthest exp, whether the
// policy is known, policy.
const signerHeader = 32 + 8 + 8 + 1

func (o *signer) put(tx *bbolt.Tx) error {
	b := append(make([]byte, 0, signerHeader+len(o.policy)), o.id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.floor))
	b = binary.BigEndian.AppendUint64(b, uint64(o.farthest))
	b = append(b, 0)
	if o.known {
		b[len(b)-1] = 1
	}
	return tx.Bucket(bucketSigners).Put(binary.BigEndian.AppendUint32(nil, o.number), append(b, o.policy...))
}

// load reads the signers of the file. The numbers have no gaps.
func (s *signers) load(tx *bbolt.Tx) error {
	*s = signers{numbers: make(map[rules.Signer]uint32)}
	err := tx.Bucket(bucketSigners).ForEach(func(k, v []byte) error {
		if len(v) < signerHeader || len(k) != 4 || binary.BigEndian.Uint32(k) != uint32(len(s.all)) {
			return errDamaged
		}
		o := &signer{id: rules.Signer(v), floor: stampFrom(v[32:]), farthest: stampFrom(v[40:]), known: v[48] != 0, policy: string(v[signerHeader:]), written: true}
		if !o.floor.Valid() || !o.farthest.Valid() {
			return errDamaged
		}
		s.add(o)
		return nil
	})
	if len(s.all) == 0 {
		s.add(new(signer))
	}
	return err
}
