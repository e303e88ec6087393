package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Revocation takes tokens back before they expire. It names exactly one thing
// by which it knows them.
type Revocation struct {
	// Nonce is the value of a claim that can hold the nonce (jti, nonce, or what
	// is configured).
	Nonce string `json:"nonce,omitempty"`

	// Fingerprint is that of one token, in hex.
	Fingerprint string `json:"fingerprint,omitempty"`

	// Subject is the claim sub, or else user.
	Subject string `json:"sub,omitempty"`

	// KeyID is the kid of the token's header.
	KeyID string `json:"kid,omitempty"`

	// IssuedBefore takes back everything with an iat before this time. A token
	// without iat is taken back too, since its age is unknown.
	IssuedBefore time.Time `json:"issued_before,omitzero"`

	// Issuer limits the revocation to tokens with this iss. Default: any.
	Issuer string `json:"issuer,omitempty"`

	// Until is when the revocation is forgotten; by then the tokens should have
	// expired. Default: never.
	Until time.Time `json:"until,omitzero"`
}

// MaxRevocations is how many revocations are kept. The whole set is written to
// storage with each new one, so a set without a bound would grow slow first.
// Nothing in force is ever dropped to make room: that would give a token back.
const MaxRevocations = 100_000

// spareRevocations is the room that is kept for revocations of more than one
// token, so that those of single tokens, which every holder of one may ask for,
// never leave the operator without a way to take tokens back.
const spareRevocations = 1000

// ErrRevocationsFull: the set has no room until some of it is over.
var ErrRevocationsFull = errors.New("store: too many revocations are in force")

// ErrRevocation: a revocation must name exactly one thing.
var ErrRevocation = errors.New("store: name exactly one of nonce, fingerprint, sub, kid and issued_before")

// Check is nil if exactly one thing is named.
func (r Revocation) Check() error {
	named := 0
	for _, is := range []bool{r.Nonce != "", r.Fingerprint != "", r.Subject != "", r.KeyID != "", !r.IssuedBefore.IsZero()} {
		if is {
			named++
		}
	}
	if named != 1 {
		return ErrRevocation
	}
	return nil
}

// Revocable is what a token is known by when it is asked about.
type Revocable struct {
	Nonces      []string // values of all claims that can hold the nonce
	Fingerprint string
	Subjects    []string // sub and user
	KeyID       string
	Issuer      string
	Issued      time.Time // zero if the token has no iat
}

// Revocations is a set of them, at most [MaxRevocations]. Asking takes no lock.
// The zero value is empty and ready for use.
type Revocations struct {
	mu      sync.Mutex // held while the set is changed
	current atomic.Pointer[revoked]
}

// revoked is never changed once it can be seen.
type revoked struct {
	all         []Revocation
	byValue     map[valueOf][]Revocation
	issuedBound []Revocation // those with IssuedBefore
}

// valueOf says what a revocation names.
type valueOf struct{ kind, value string }

// Kind is the JSON name of what the revocation names.
func (r Revocation) Kind() string {
	if !r.IssuedBefore.IsZero() {
		return "issued_before"
	}
	return r.valueOf().kind
}

func (r Revocation) valueOf() valueOf {
	switch {
	case r.Nonce != "":
		return valueOf{"nonce", r.Nonce}
	case r.Fingerprint != "":
		return valueOf{"fingerprint", r.Fingerprint}
	case r.Subject != "":
		return valueOf{"sub", r.Subject}
	}
	return valueOf{"kid", r.KeyID}
}

// Revoked reports whether the token was taken back. What it is known by is asked
// for only if the set is not empty; nil stands for a token known by nothing.
func (s *Revocations) Revoked(known func() Revocable, now time.Time) bool {
	set := s.current.Load()
	if set == nil || len(set.all) == 0 || known == nil {
		return false
	}
	t := known()
	for _, r := range set.issuedBound {
		if r.holds(t, now) && (t.Issued.IsZero() || t.Issued.Before(r.IssuedBefore)) {
			return true
		}
	}
	named := func(kind, value string) bool {
		if value == "" {
			return false
		}
		for _, r := range set.byValue[valueOf{kind, value}] {
			if r.holds(t, now) {
				return true
			}
		}
		return false
	}
	for _, n := range t.Nonces {
		if named("nonce", n) {
			return true
		}
	}
	for _, sub := range t.Subjects {
		if named("sub", sub) {
			return true
		}
	}
	return named("fingerprint", t.Fingerprint) || named("kid", t.KeyID)
}

// holds reports whether the revocation is in force for the token's issuer.
func (r Revocation) holds(t Revocable, now time.Time) bool {
	return (r.Issuer == "" || r.Issuer == t.Issuer) && (r.Until.IsZero() || now.Before(r.Until))
}

// over reports whether the revocation is not needed any more.
func (r *Revocation) over(now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// covers reports whether r takes back all that other, which names the same, does,
// for as long.
func (r *Revocation) covers(other *Revocation) bool {
	return (r.Issuer == "" || r.Issuer == other.Issuer) &&
		(r.Until.IsZero() || !other.Until.IsZero() && !r.Until.Before(other.Until)) &&
		r.valueOf() == other.valueOf() && !r.IssuedBefore.Before(other.IssuedBefore)
}

// limit is how many revocations there may be with this one.
func (r *Revocation) limit() int {
	if r.Nonce != "" || r.Fingerprint != "" {
		return MaxRevocations - spareRevocations
	}
	return MaxRevocations
}

// InForce returns the revocations that are needed at now, the newest first.
func (s *Revocations) InForce(now time.Time) []Revocation {
	set := s.current.Load()
	if set == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(set.all), func(r Revocation) bool { return r.over(now) })
}

// has reports whether what r takes back is taken back already, for as long.
func (s *Revocations) has(r *Revocation) bool {
	set := s.current.Load()
	if set == nil {
		return false
	}
	named := set.issuedBound
	if r.IssuedBefore.IsZero() {
		named = set.byValue[r.valueOf()]
	}
	return slices.ContainsFunc(named, func(old Revocation) bool { return old.covers(r) })
}

// Add puts a revocation in force once persist has written the whole set, in
// the form that [Revocations.Load] reads, durably; if that fails, nothing
// changes. What is in force already, for as long, is not written again. What is
// no longer needed at now, or with the new one, is left out. If there is no room
// then, it fails with [ErrRevocationsFull].
func (s *Revocations) Add(r Revocation, now time.Time, persist func([]byte) error) error {
	if err := r.Check(); err != nil {
		return err
	}
	if s.has(&r) { // first without waiting for others: it was written when it became visible
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has(&r) || r.over(now) {
		return nil
	}
	next, replaces := []Revocation{r}, false
	for _, old := range s.InForce(now) {
		if r.covers(&old) {
			replaces = true
		} else {
			next = append(next, old)
		}
	}
	if len(next) > r.limit() && !replaces {
		return ErrRevocationsFull
	}
	encoded, err := encodeRevocations(next)
	if err != nil {
		return err
	}
	if err := persist(encoded); err != nil {
		return err
	}
	s.current.Store(index(next))
	return nil
}

// ErrNotRevoked: no such revocation is in force.
var ErrNotRevoked = errors.New("store: nothing was revoked by that")

// Remove takes a revocation out of force once persist has written the rest, as Add does.
// It is the one that names the same of the same issuer, whenever it would have ended;
// [ErrNotRevoked]: there is none.
func (s *Revocations) Remove(r Revocation, now time.Time, persist func([]byte) error) error {
	if err := r.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.InForce(now)
	rest := slices.DeleteFunc(slices.Clone(all), func(old Revocation) bool {
		return old.valueOf() == r.valueOf() && old.IssuedBefore.Equal(r.IssuedBefore) && old.Issuer == r.Issuer
	})
	if len(rest) == len(all) {
		return ErrNotRevoked
	}
	encoded, err := encodeRevocations(rest)
	if err != nil {
		return err
	}
	if err := persist(encoded); err != nil {
		return err
	}
	s.current.Store(index(rest))
	return nil
}

// Rewrite has persist write the set again, in the form that [Revocations.Load]
// reads, nil if it is empty. Meanwhile nothing is added.
func (s *Revocations) Rewrite(persist func([]byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.current.Load()
	if set == nil || len(set.all) == 0 {
		return persist(nil)
	}
	encoded, err := encodeRevocations(set.all)
	if err != nil {
		return err
	}
	return persist(encoded)
}

// Load replaces the set by one that was persisted. Damaged data is an error,
// and must not be taken for an empty set.
func (s *Revocations) Load(encoded []byte) error {
	all, err := decodeRevocations(encoded)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Store(index(all))
	return nil
}

func index(all []Revocation) *revoked {
	set := &revoked{all: all, byValue: make(map[valueOf][]Revocation, len(all))}
	for _, r := range all {
		if r.IssuedBefore.IsZero() {
			set.byValue[r.valueOf()] = append(set.byValue[r.valueOf()], r)
		} else {
			set.issuedBound = append(set.issuedBound, r)
		}
	}
	return set
}

// revocationsHeader begins the persisted form, followed by a checksum and JSON.
const revocationsHeader = "download_token revocations 1\n"

var errRevocations = errors.New("store: stored revocations are damaged")

func encodeRevocations(all []Revocation) ([]byte, error) {
	body, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return bytes.Join([][]byte{[]byte(revocationsHeader), sum[:], body}, nil), nil
}

func decodeRevocations(encoded []byte) ([]Revocation, error) {
	rest, ok := bytes.CutPrefix(encoded, []byte(revocationsHeader))
	if !ok || len(rest) < sha256.Size {
		return nil, errRevocations
	}
	body := rest[sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return nil, errRevocations
	}
	var all []Revocation
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, errRevocations
	}
	for _, r := range all {
		if r.Check() != nil {
			return nil, errRevocations
		}
	}
	return all, nil
}
