package token

import (
	"errors"
	"fmt"
)

// MaxKidless is how many keys without an ID one algorithm may have, since each of
// them is tried on every forged token that names none.
const MaxKidless = 4

// Table is a fixed set of keys, indexed by ID and algorithm. It may be shared, and
// is not changed any more from then on. The zero value has no keys.
type Table struct {
	keys    []*Key
	index   map[keyName][]*Key
	ids     map[string]bool // "" stands for the keys without an ID
	issuers map[string]bool // that keys are bound to
}

type keyName struct{ id, alg string }

// NewTable makes a table of keys, all of which [Table.Add] takes.
func NewTable(keys ...Key) (*Table, error) {
	t := new(Table)
	for _, key := range keys {
		if err := t.Add(&key); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Add puts a key, which must not be changed any more, into a table that is not yet
// shared. It refuses, and leaves the table as it is, a key that [ParseKey] or [NewKey]
// did not make, a second one with the same ID and algorithm, more than [MaxKidless] of
// one algorithm without an ID, and among those the same key bound to two issuers,
// since a token could not tell which is meant.
func (t *Table) Add(key *Key) error {
	if !key.signs(key.Alg) {
		return errors.New("key was not made for its algorithm: make it with ParseKey or NewKey")
	}
	name := keyName{key.ID, key.Alg}
	others := t.index[name]
	if key.ID != "" && len(others) > 0 {
		return fmt.Errorf("two keys have the kid %q and the algorithm %s: give each its own kid", key.ID, key.Alg)
	}
	if len(others) == MaxKidless {
		return fmt.Errorf("more than %d %s keys have no kid, and every token without one would be tried on all: give them kids", MaxKidless, key.Alg)
	}
	for _, other := range others {
		if other.Fingerprint() == key.Fingerprint() && other.Issuer != key.Issuer {
			return fmt.Errorf("one %s key without a kid is given for two issuers: give each entry a kid, or each issuer a key", key.Alg)
		}
	}
	if t.index == nil {
		t.index, t.ids, t.issuers = make(map[keyName][]*Key), make(map[string]bool), make(map[string]bool)
	}
	t.keys = append(t.keys, key)
	// Clipped, so that no caller can append to what Lookup hands out.
	t.index[name] = append(others[:len(others):len(others)], key)
	t.ids[key.ID] = true
	if key.Issuer != "" {
		t.issuers[key.Issuer] = true
	}
	return nil
}

// Lookup returns the keys with this ID (none: "") and algorithm, in the order they
// were given; they must not be changed. [ErrUnknownKey]: there is no such ID.
// [ErrAlgorithm]: there is, but for other algorithms, or no key could have this one.
func (t *Table) Lookup(kid, alg string) ([]*Key, error) {
	if keys := t.index[keyName{kid, alg}]; len(keys) > 0 {
		return keys, nil
	}
	if algorithmByName[alg] == nil {
		return nil, errNone
	}
	if t.ids[kid] {
		return nil, ErrAlgorithm
	}
	return nil, ErrUnknownKey
}

// Keys returns all keys, in the order they were given; they must not be changed.
func (t *Table) Keys() []*Key { return append([]*Key(nil), t.keys...) }

// IssuerBound tells whether any key is bound to this iss.
func (t *Table) IssuerBound(iss string) bool { return t.issuers[iss] }
