package storetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// token is a one-time token as its issuer knows it.
type token struct {
	signer          int
	number          int
	issued, expires time.Time // issued is zero if the token has no iat
	uses            int
}

// use is a token under one of the keys it can be remembered by.
type use struct {
	token int
	key   rules.Key
}

// booking is a reservation that the store gave out in some life.
type booking struct {
	use
	policy  string
	life    int
	r       store.Use
	grants  []rules.GrantKey // that it may open
	settled bool             // committed or released
	pending bool             // committed, and may still open a grant
}

// grant is an open grant.
type grant struct {
	terms rules.Terms
	left  int64
	users int // in this life
}

// joining is a use of a grant.
type joining struct {
	*grant
	life  int
	use   store.Use
	at    store.Grant // as this use of it sees it
	drawn int64
}

// model knows everything that ever happened, and so what may happen next.
type model struct {
	tokens   []token
	honoured map[rules.Key]int
	under    map[int]string // token: the policy under which it was honoured
	bookings []*booking

	life     int
	stranded map[rules.Key]int // reservations that a crash left unsettled
	grants   map[rules.GrantKey]*grant
	joinings []*joining
	taken    []taken

	// Of the present life, for explaining refusals.
	begun    time.Time
	latest   time.Time // the latest reading of the clock
	held     []holding
	changed  map[int]bool // signers whose policy changed
	crowded  bool
	room     int
	policies map[int]string

	// keeps: a crash loses nothing that was honoured; see [Keeper].
	keeps bool

	// What storage may know.
	since time.Time
	kept  bool // something was written since storage was last empty
	iat   map[int]time.Time
	exp   map[int]time.Time
	// As since, iat and exp stood when this life began.
	before struct {
		since    time.Time
		iat, exp map[int]time.Time
	}
}

// holding is a token that the store remembered at some time in this life.
type holding struct {
	signer         int
	key            rules.Key
	expires, until time.Time
}

func newModel(keeps bool) *model {
	return &model{
		keeps:    keeps,
		honoured: map[rules.Key]int{},
		under:    map[int]string{},
		stranded: map[rules.Key]int{},
		grants:   map[rules.GrantKey]*grant{},
		iat:      map[int]time.Time{},
		exp:      map[int]time.Time{},
	}
}

// begin is a new life. Everything reserved is stranded.
func (m *model) begin(start time.Time, capacity int) {
	m.strand()
	clear(m.grants)
	m.begun = start
	if m.keeps && m.kept {
		m.latest = later(m.latest, start)
	} else {
		m.latest = start
	}
	m.room = capacity
	if !m.keeps || !m.kept {
		m.held, m.changed, m.crowded, m.policies = nil, map[int]bool{}, false, map[int]string{}
	}
	if !m.kept {
		m.since = start
	}
	m.before.since = m.since
	if !m.keeps {
		m.before.iat, m.before.exp = maps.Clone(m.iat), maps.Clone(m.exp)
	}
}

// resume is a new life that knows all of the one before, but for grants that
// somebody draws on.
func (m *model) resume(start time.Time, capacity int) {
	m.strand()
	for k, g := range m.grants {
		if g.users > 0 {
			delete(m.grants, k)
		}
	}
	m.latest, m.room = later(m.latest, start), capacity
	m.measure()
	if !m.kept {
		m.since = later(m.since, start)
	}
}

// strand ends a life: what is reserved counts as spent.
func (m *model) strand() {
	for _, b := range m.bookings {
		if b.life == m.life && !b.settled {
			m.stranded[b.key]++
		}
	}
	m.life++
}

func (m *model) lose() {
	m.kept, m.taken = false, nil
	clear(m.iat)
	clear(m.exp)
}

// present notes that a token was shown, whatever came of it.
func (m *model) present(signer int, policy string, now time.Time) {
	if p, ok := m.policies[signer]; ok && p != policy {
		m.changed[signer] = true
	}
	m.policies[signer] = policy
	m.latest = later(m.latest, now)
}

// wrote notes that a mark for the token may be in storage.
func (m *model) wrote(t token) {
	m.kept = true
	if t.issued.IsZero() {
		m.exp[t.signer] = later(m.exp[t.signer], t.expires)
	} else {
		m.iat[t.signer] = later(m.iat[t.signer], t.issued)
	}
}

func (m *model) reserved(b *booking, t token, leeway time.Duration) {
	m.bookings = append(m.bookings, b)
	m.wrote(t)
	m.held = append(m.held, holding{t.signer, b.key, t.expires, t.expires.Add(leeway)})
	m.measure()
}

// measure notes whether the store was ever short of room.
func (m *model) measure() {
	distinct := map[rules.Key]bool{}
	for _, h := range m.held {
		distinct[h.key] = true
	}
	m.crowded = m.crowded || len(distinct) > m.room
}

// open counts the reservations of the key that are neither committed nor
// released.
func (m *model) open(k rules.Key) (n int) {
	for _, b := range m.bookings {
		if b.key == k && b.life == m.life && !b.settled {
			n++
		}
	}
	return n
}

// opening reports whether a grant under one of the keys may be about to be opened.
func (m *model) opening(keys []rules.GrantKey) bool {
	for _, b := range m.bookings {
		for _, k := range keys {
			if b.life == m.life && (!b.settled || b.pending) && slices.Contains(b.grants, k) {
				return true
			}
		}
	}
	return false
}

// granted finds the grant of which a request at now would be served. exhausted:
// there is one, with nothing left. lapsed: the clock has already been past its
// end, so it may be gone.
func (m *model) granted(keys []rules.GrantKey, now time.Time) (open *grant, exhausted, lapsed bool) {
	for _, k := range keys {
		g := m.grants[k]
		if g == nil || !now.Before(g.terms.Ends) {
			continue
		}
		lapsed = lapsed || !m.latest.Before(g.terms.Ends)
		if g.left > 0 {
			return g, false, lapsed
		}
		exhausted = true
	}
	return nil, exhausted, lapsed
}

// spent counts the uses that are gone for good. What a crash stranded counts
// too: a durable store may not know whether it was honoured.
func (m *model) spent(k rules.Key) int { return m.honoured[k] + m.stranded[k] }

// floored reports whether the floor may have risen over the token.
func (m *model) floored(t token) bool {
	for _, h := range m.held {
		if h.signer == t.signer && !t.expires.After(h.expires) &&
			(m.changed[t.signer] || m.crowded || m.latest.After(h.until)) {
			return true
		}
	}
	return false
}

// older reports whether the token may have been honoured before this life.
func (m *model) older(t token, maxTTL time.Duration) bool {
	if !t.issued.IsZero() {
		return !t.issued.After(m.before.since) || !t.issued.After(m.before.iat[t.signer].Add(rules.MarkStep))
	}
	if mark, ok := m.before.exp[t.signer]; ok {
		return !t.expires.After(mark.Add(rules.MarkStep))
	}
	return !t.expires.After(m.before.since.Add(maxTTL))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// grantName names the grant of a token in the random worlds.
func grantName(k rules.Key, client int) rules.GrantKey {
	return rules.NewGrantKey(k, "", fmt.Sprint(client), "")
}
