package nonce

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
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
	// without iat is taken back too, since nobody can tell.
	IssuedBefore time.Time `json:"issued_before,omitzero"`

	// Issuer limits the revocation to tokens with this iss. Default: any.
	Issuer string `json:"issuer,omitempty"`

	// Until is when the revocation is forgotten; by then the tokens should have
	// expired. Default: never.
	Until time.Time `json:"until,omitzero"`
}

// ErrRevocation: a revocation must name exactly one thing.
var ErrRevocation = errors.New("nonce: name exactly one of nonce, fingerprint, sub, kid and issued_before")

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

// Revocations is a set of them. It is not bounded: forgetting one would give a
// token back. Asking takes no lock. The zero value is empty and ready for use.
type Revocations struct {
	mu      sync.Mutex // held by who changes the set
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

// Revoked reports whether the token was taken back.
func (s *Revocations) Revoked(t Revocable, now time.Time) bool {
	set := s.current.Load()
	if set == nil || len(set.all) == 0 {
		return false
	}
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

// Len is the number of revocations.
func (s *Revocations) Len() int {
	if set := s.current.Load(); set != nil {
		return len(set.all)
	}
	return 0
}

// Add puts a revocation in force once persist has written the whole set, in
// the form that [Revocations.Load] reads, durably; if that fails, nothing
// changes. What is no longer needed at now is left out.
func (s *Revocations) Add(r Revocation, now time.Time, persist func([]byte) error) error {
	if err := r.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := []Revocation{r}
	if set := s.current.Load(); set != nil {
		for _, old := range set.all {
			if old != r && (old.Until.IsZero() || now.Before(old.Until)) {
				next = append(next, old)
			}
		}
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

// Encode returns the whole set in the form that [Revocations.Load] reads.
func (s *Revocations) Encode() ([]byte, error) {
	if set := s.current.Load(); set != nil {
		return encodeRevocations(set.all)
	}
	return encodeRevocations(nil)
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

var errRevocations = errors.New("nonce: stored revocations are damaged")

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
