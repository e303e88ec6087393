package nonce

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

// Marks tell, per signer, how far tokens have been honoured: the largest iat
// of tokens that have one, and the largest exp of tokens that have none. They
// are all that has to reach storage for the promise to survive a crash, a few
// dozen bytes a signer.
//
// The zero value means that no marks were found. Marks are immutable; they are
// handed to [MemoryOptions.Persist] and read back with UnmarshalBinary.
type Marks struct {
	// since is the start of the store that found no marks and began these.
	// What came before it may have been honoured without leaving a mark, so
	// it stands for every signer that has none of its own.
	since stamp
	// of holds the signers' own marks, at most maxSigners.
	of map[Signer]mark
	// rest is the common mark of all signers beyond maxSigners.
	rest mark
}

// mark covers every honoured token of a signer whose iat (without iat: exp) is
// no larger. Zero: none was honoured.
type mark struct{ issued, expires stamp }

// NewMarks returns the marks of a store that begins to remember at start and has
// honoured nothing.
func NewMarks(start time.Time) Marks { return Marks{since: stampOf(start)} }

// IsZero reports whether these are no marks at all, not even the knowledge
// that nothing was honoured.
func (k Marks) IsZero() bool { return k.since == 0 }

// get returns the signer's mark and whether it is its own.
func (k Marks) get(s Signer) (m mark, own bool) {
	if m, own = k.of[s]; own {
		return m, true
	}
	return k.rest, false
}

// vouch is rule 3: whether marks found at the start show that the token was
// not honoured before it. Equal is not enough anywhere.
func (k Marks) vouch(s *showing) bool {
	if k.since == 0 {
		return false
	}
	m, own := k.get(s.signer)
	if s.issued != 0 {
		return s.issued > max(m.issued, k.since)
	}
	if own && m.expires != 0 {
		return s.expires > m.expires
	}
	return s.maxTTL > 0 && s.expires > max(m.expires, k.since.plus(s.maxTTL))
}

// cover reports whether these marks, once in storage, keep the token from being
// honoured again after a crash.
func (k Marks) cover(s *showing) bool {
	m, _ := k.get(s.signer)
	if s.issued != 0 {
		return s.issued <= m.issued
	}
	return s.expires <= m.expires
}

// ahead is the mark that covers the token and those of the next MarkStep.
func (s *showing) ahead() mark {
	if s.issued != 0 {
		return mark{issued: s.issued.plus(MarkStep)}
	}
	return mark{expires: s.expires.plus(MarkStep)}
}

func (m mark) max(o mark) mark {
	return mark{max(m.issued, o.issued), max(m.expires, o.expires)}
}

// raised returns marks that reach at least as far as the wanted ones. They
// never go back, whatever is wanted.
func (k Marks) raised(wanted map[Signer]mark) Marks {
	next := Marks{since: k.since, of: maps.Clone(k.of), rest: k.rest}
	if next.of == nil {
		next.of = make(map[Signer]mark, len(wanted))
	}
	for s, w := range wanted {
		m, own := next.get(s)
		if own || len(next.of) < maxSigners {
			next.of[s] = m.max(w)
		} else {
			next.rest = next.rest.max(w)
		}
	}
	return next
}

// join returns marks that also reach as far as the signers' own ones in others.
func (k Marks) join(others []Marks) Marks {
	for _, o := range others {
		k = k.raised(o.of)
		k.rest = k.rest.max(o.rest)
	}
	return k
}
