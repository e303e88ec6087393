package storetest

import (
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// taken is a revocation in the random worlds.
type taken struct {
	rules.Revocation
	sure bool      // it was answered that it is in force
	seen time.Time // the latest reading of the clock since
}

// revocable is what the token may be taken back by.
func (t token) revocable() rules.Revocable {
	return rules.Revocable{
		Nonces: []string{named("nonce", t.number)}, Fingerprint: named("fingerprint", t.number),
		Subjects: []string{named("sub", t.number%4)}, KeyID: named("kid", t.signer),
		Issuer: named("issuer", t.number%2), Issued: t.issued,
	}
}

// names reports whether the revocation is meant for the token, in force or not.
func (r taken) names(t token) bool {
	is := t.revocable()
	switch {
	case r.Issuer != "" && r.Issuer != is.Issuer:
		return false
	case !r.IssuedBefore.IsZero():
		return t.issued.Before(r.IssuedBefore) // no iat is before all
	}
	return r.Nonce == is.Nonces[0] || r.Fingerprint == is.Fingerprint || r.Subject == is.Subjects[0] || r.KeyID == is.KeyID
}

func (r taken) over(now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// takenBack: the token must be refused as revoked, or at least it may be. What is
// over may be forgotten, also if the clock is set back then.
func (m *model) takenBack(t token, now time.Time) (must, may bool) {
	for _, r := range m.taken {
		if r.names(t) && !r.over(now) {
			must = must || r.sure && !r.over(r.seen)
			may = true
		}
	}
	return must, may
}

// saw notes a reading of the clock.
func (m *model) saw(now time.Time) {
	for i := range m.taken {
		m.taken[i].seen = later(m.taken[i].seen, now)
	}
}

// revoke takes something back: mostly one token, and more than one never for long.
func (w *world) revoke() {
	_, t := w.pick()
	is := t.revocable()
	r := rules.Revocation{Until: w.clock.Add(w.seconds("taken back for", 1, 10))}
	switch n := w.chance("taken back by"); {
	case n < 50:
		r.Nonce = is.Nonces[0]
	case n < 70:
		r.Fingerprint = is.Fingerprint
	case n < 80:
		r.Subject = is.Subjects[0]
	case n < 90:
		r.KeyID = is.KeyID
	default:
		r.IssuedBefore = w.clock.Add(w.seconds("issued before", -5, 5))
	}
	if rapid.Bool().Draw(w.T, "of one issuer") {
		r.Issuer = rapid.SampledFrom([]string{named("issuer", 0), named("issuer", 1)}).Draw(w.T, "issuer")
	}
	if r.Nonce+r.Fingerprint != "" && rapid.Bool().Draw(w.T, "for good") {
		r.Until = time.Time{}
	}
	err := w.store.Revoke(background, r, w.clock)
	if err != nil && !(w.broken && errors.Is(err, rules.ErrUnavailable)) {
		w.Fatalf("revoke %+v: %v", r, err)
	}
	w.taken = append(w.taken, taken{r, err == nil, w.clock})
	w.audit()
	must, may := w.takenBack(t, w.clock)
	if err := w.store.Revoked(background, t.revocable, w.clock); must && err == nil || !may && err != nil {
		w.Fatalf("token %d: revoked: %v, must %t, may %t", t.number, err, must, may)
	}
}

// audit compares the list of revocations with the model: nothing else is in it,
// and all that must be in force is, perhaps as part of what takes back more.
func (w *world) audit() {
	all, err := w.store.Revocations(background, w.clock)
	if err != nil {
		w.Fatalf("revocations: %v", err)
	}
	for _, r := range all {
		if !slices.ContainsFunc(w.taken, func(t taken) bool { return !t.over(w.clock) && t.equal(r) }) {
			w.Fatalf("in force, and never asked for: %+v", r)
		}
	}
	for _, t := range w.taken {
		if t.sure && !t.over(t.seen) && !slices.ContainsFunc(all, t.within) {
			w.Fatalf("not in force any more: %+v", t.Revocation)
		}
	}
}

func (r taken) equal(o rules.Revocation) bool {
	return r.sameThing(o) && r.Issuer == o.Issuer && r.Until.Equal(o.Until) && r.IssuedBefore.Equal(o.IssuedBefore)
}

// within reports whether o takes back all that r does, for as long.
func (r taken) within(o rules.Revocation) bool {
	return r.sameThing(o) && (o.Issuer == "" || o.Issuer == r.Issuer) && !o.IssuedBefore.Before(r.IssuedBefore) &&
		(o.Until.IsZero() || !r.Until.IsZero() && !o.Until.Before(r.Until))
}

func (r taken) sameThing(o rules.Revocation) bool {
	return r.Nonce == o.Nonce && r.Fingerprint == o.Fingerprint && r.Subject == o.Subject && r.KeyID == o.KeyID &&
		r.IssuedBefore.IsZero() == o.IssuedBefore.IsZero()
}
