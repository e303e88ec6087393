package rules

import (
	"maps"
	"time"
)

// MarkStep is how far ahead of an honoured token its signer's mark is put, so
// that storage is written once for many tokens and not once for each.
//
// What it costs: after a crash, tokens issued (without iat: expiring) up to
// MarkStep after the last honoured one are unproven.
const MarkStep = 5 * time.Second

// MaxSigners is how many signers have marks, a floor and a policy of their own.
// Those that come later share one, which is stricter for all of them but forgets
// nothing. Signers are configured or published keys, so a site that rotates daily
// gets there after 27 years.
const MaxSigners = 10_000

// Marks tell, per signer, how far tokens have been honoured: the largest iat
// of tokens that have one, and the largest exp of tokens that have none. They
// are all that has to reach storage for the promise to survive a crash, a few
// dozen bytes a signer.
//
// The zero value means that no marks were found. Marks are immutable; they are
// written to storage and read back with UnmarshalBinary.
type Marks struct {
	// since is the start of the store that found no marks and began these.
	// What came before it may have been honoured without leaving a mark, so
	// it stands for every signer that has none of its own.
	since Stamp
	// of holds the signers' own marks, at most MaxSigners.
	of map[Signer]Mark
	// rest is the common mark of all signers beyond MaxSigners.
	rest Mark
}

// Mark covers every honoured token of a signer whose iat (without iat: exp) is
// no larger. Zero: none was honoured.
type Mark struct{ Issued, Expires Stamp }

// NewMarks returns the marks of a store that begins to remember at start and has
// honoured nothing.
func NewMarks(start time.Time) Marks { return Marks{since: StampOf(start)} }

// IsZero reports whether these are no marks at all, not even the knowledge
// that nothing was honoured.
func (k Marks) IsZero() bool { return k.since == 0 }

// get returns the signer's mark and whether it is its own.
func (k Marks) get(s Signer) (m Mark, own bool) {
	if m, own = k.of[s]; own {
		return m, true
	}
	return k.rest, false
}

// Vouch is rule 3: whether marks found at the start show that the token was
// not honoured before it. Equal is not enough anywhere.
func (k Marks) Vouch(s *Showing) bool {
	if k.since == 0 {
		return false
	}
	m, own := k.get(s.Signer)
	if s.Issued != 0 {
		return s.Issued > max(m.Issued, k.since)
	}
	if own && m.Expires != 0 {
		return s.Expires > m.Expires
	}
	return s.MaxTTL > 0 && s.Expires > max(m.Expires, k.since.Plus(s.MaxTTL))
}

// Cover reports whether these marks, once in storage, keep the token from being
// honoured again after a crash.
func (k Marks) Cover(s *Showing) bool {
	m, _ := k.get(s.Signer)
	return m.Covers(s)
}

// Covers is Cover for the mark of the token's signer.
func (m Mark) Covers(s *Showing) bool {
	if s.Issued != 0 {
		return s.Issued <= m.Issued
	}
	return s.Expires <= m.Expires
}

// Ahead is the mark that covers the token and those of the next MarkStep.
func (s *Showing) Ahead() Mark {
	if s.Issued != 0 {
		return Mark{Issued: s.Issued.Plus(MarkStep)}
	}
	return Mark{Expires: s.Expires.Plus(MarkStep)}
}

func (m Mark) Max(o Mark) Mark {
	return Mark{max(m.Issued, o.Issued), max(m.Expires, o.Expires)}
}

// Raised returns marks that reach at least as far as the wanted ones. They
// never go back, whatever is wanted.
func (k Marks) Raised(wanted map[Signer]Mark) Marks {
	next := Marks{since: k.since, of: maps.Clone(k.of), rest: k.rest}
	if next.of == nil {
		next.of = make(map[Signer]Mark, len(wanted))
	}
	for s, w := range wanted {
		m, own := next.get(s)
		if own || len(next.of) < MaxSigners {
			next.of[s] = m.Max(w)
		} else {
			next.rest = next.rest.Max(w)
		}
	}
	return next
}

// Join returns marks that also reach as far as the signers' own ones in others.
func (k Marks) Join(others []Marks) Marks {
	for _, o := range others {
		k = k.Raised(o.of)
		k.rest = k.rest.Max(o.rest)
	}
	return k
}

// Signers is the number of signers with a mark of their own.
func (k Marks) Signers() int { return len(k.of) }

// NotBefore returns the marks as those of a store that began no earlier than the
// one of other.
func (k Marks) NotBefore(other Marks) Marks {
	k.since = max(k.since, other.since)
	return k
}
