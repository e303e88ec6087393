package jwks

import (
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// maxJWKs is more than any issuer publishes. It bounds what a set can cost in
// memory, time and warnings.
const maxJWKs = 1000

var (
	errNoSet    = errors.New(`it is not a JWK set, a JSON object with an array named keys (RFC 7517 5)`)
	errManyJWKs = errors.New("it has more than 1000 keys")
)

// A policy decides which keys of a JWK set (RFC 7517 5) may verify what.
type policy struct {
	issuer  string
	algs    []string // for keys that name none
	secrets bool     // whether kty oct is taken
}

// A complaint is about one key of a set, or with an empty kid about one that has no
// ID. It holds no key material.
type complaint struct{ message, kid string }

// read makes a table of all usable keys. What is not usable is complained about and
// has no influence on the others. The error is about the set as a whole; a set with
// no usable key is none.
//
// Two different keys with the same ID and algorithm are both left out, since either
// might be the one that its publisher meant to replace. The same key twice counts
// once (RFC 9246 Appendix A publishes a public and a private half).
func (p policy) read(data []byte) (table *token.Table, complaints []complaint, err error) {
	values, err := splitJWKs(data)
	if err != nil {
		return nil, nil, err
	}
	var keys []token.Key
	for _, value := range values {
		made, complained := p.makeKeys(value)
		keys = append(keys, made...)
		complaints = append(complaints, complained...)
	}
	table, disputed := collect(keys)
	return table, append(complaints, disputed...), nil
}

// splitJWKs returns the elements of keys, whatever they hold. Duplicate members and
// invalid UTF-8 below are left to the key that has them.
func splitJWKs(data []byte) ([]jsontext.Value, error) {
	var set struct {
		Keys jwkArray `json:"keys"`
	}
	err := json.Unmarshal(data, &set, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	switch {
	case errors.Is(err, errManyJWKs):
		return nil, errManyJWKs
	case err != nil, set.Keys == nil:
		return nil, errNoSet
	}
	return set.Keys, nil
}

type jwkArray []jsontext.Value

// UnmarshalJSONFrom reads an array, once, and stops when there are too many elements.
func (a *jwkArray) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if *a != nil || decoder.PeekKind() != jsontext.KindBeginArray {
		return errNoSet
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	*a = jwkArray{}
	for decoder.PeekKind() != jsontext.KindEndArray {
		value, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		if len(*a) == maxJWKs {
			return errManyJWKs
		}
		*a = append(*a, value.Clone())
	}
	_, err := decoder.ReadToken()
	return err
}

// makeKeys binds one JWK to each algorithm that it may be used with.
func (p policy) makeKeys(value jsontext.Value) (keys []token.Key, complaints []complaint) {
	k, err := Parse(value)
	if err != nil {
		return nil, []complaint{{unused(err), ""}}
	}
	names, public, err := p.admit(k)
	if err != nil {
		return nil, []complaint{{unused(err), k.Kid}}
	}
	for _, name := range names {
		key, warnings, err := bind(name, public, k)
		if err != nil {
			return nil, []complaint{{unused(err), k.Kid}} // the same for all of them
		}
		for _, warning := range warnings {
			complaints = append(complaints, complaint{"JWK is weak: " + warning, k.Kid})
		}
		key.ID, key.Issuer = k.Kid, p.issuer
		keys = append(keys, key)
	}
	if k.isPrivate() {
		complaints = append(complaints, complaint{"JWK is a private key, with which whoever reads the set can sign tokens: make a new key and publish only its public part", k.Kid})
	}
	return keys, complaints
}

func (p policy) admit(k *JWK) (names []string, public any, err error) {
	if err := k.mayVerify(); err != nil {
		return nil, nil, err
	}
	if k.Kty == "oct" && !p.secrets {
		return nil, nil, errors.New("it is a secret, and what can be fetched is none: put it into a file, or publish a public key")
	}
	if public, err = k.public(); err != nil {
		return nil, nil, err
	}
	names, err = k.algorithms(p.algs, public)
	return names, public, err
}

// bind makes a secret as a configuration would, for the warnings.
func bind(alg string, public any, k *JWK) (token.Key, []string, error) {
	if family, _ := token.FamilyOf(alg); family == token.HMAC && k.Kty == "oct" {
		return token.ParseKey(alg, "base64:"+k.K)
	}
	key, err := token.NewKey(alg, public)
	return key, nil, err
}

func unused(err error) string { return "JWK is not used: " + err.Error() }

// collect puts the keys of one set into a table.
func collect(keys []token.Key) (*token.Table, []complaint) {
	type name struct{ id, alg string }
	first := make(map[name]*token.Key, len(keys))
	disputed := make(map[name]bool)
	for i := range keys {
		own := name{keys[i].ID, keys[i].Alg}
		if other := first[own]; other == nil {
			first[own] = &keys[i]
		} else if own.id != "" && other.Fingerprint() != keys[i].Fingerprint() {
			disputed[own] = true
		}
	}
	table := new(token.Table)
	var complaints []complaint
	for i := range keys {
		key := &keys[i]
		if disputed[name{key.ID, key.Alg}] {
			complaints = append(complaints, complaint{"JWK is not used: another key of the set has its kid and the algorithm " + key.Alg + ": each key needs a kid of its own", key.ID})
			continue
		}
		if has(table, key) {
			continue
		}
		if err := table.Add(key); err != nil {
			complaints = append(complaints, complaint{unused(err), key.ID})
		}
	}
	return table, complaints
}

// has tells whether this key is in the table already, under the same name and for
// the same issuer.
func has(table *token.Table, key *token.Key) bool {
	others, _ := table.Lookup(key.ID, key.Alg)
	return slices.ContainsFunc(others, func(other *token.Key) bool {
		return other.Fingerprint() == key.Fingerprint() && other.Issuer == key.Issuer
	})
}
