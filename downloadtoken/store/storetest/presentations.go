package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// show presents a token as a request would. What the caller must have checked,
// was checked; that it has not expired does not matter to the store.
func (w *world) show() {
	i, t := w.pick()
	ttl := w.minTTL + rapid.IntRange(0, 10).Draw(w.T, "max_ttl")
	maxTTL := time.Duration(ttl) * time.Second
	if t.issued.After(w.clock) || t.issued.IsZero() && t.expires.After(w.clock.Add(maxTTL)) {
		return
	}
	if t.issued.IsZero() {
		w.highTTL = max(w.highTTL, ttl)
	}
	layout, path := w.layouts[t.signer], ""
	if layout == "" {
		layout = layouts[0]
	}
	if layout == "per path" {
		path = rapid.SampledFrom([]string{"/a", "/b"}).Draw(w.T, "path")
	}
	leeway := w.seconds("leeway", 0, 5)
	p := rules.Presentation{
		Key:     rules.NewKey(signer(t.signer), "", fmt.Sprint(t.number), path),
		Signer:  signer(t.signer),
		Expires: t.expires,
		Issued:  t.issued,
		Leeway:  leeway,
		MaxTTL:  maxTTL,
		Uses:    t.uses,
		Policy:  layout,
	}
	q := store.Query{Presentation: p, Revocable: t.revocable}
	for client := range 2 {
		if w.chance("resumes") < 40 {
			q.Grants = append(q.Grants, grantName(p.Key, client))
		}
	}
	open, looked := w.store.Look(background, q, stopped(w.clock))
	w.present(t.signer, layout, w.clock)
	u, err := w.store.Admit(background, q, stopped(w.clock))
	if !errors.Is(err, rules.ErrUnavailable) && !errors.Is(err, looked) || err == nil && (open != nil) != (u.Grant() != nil) {
		w.Fatalf("Look said %v, %v, Admit %v, %v", open, looked, u, err)
	}
	w.explain(q, t, maxTTL, u, err)
	switch {
	case err != nil:
	case u.Grant() != nil:
		g, _, _ := w.granted(q.Grants, w.clock)
		w.join(g, u)
	default:
		w.reserved(&booking{use: use{i, p.Key}, policy: layout, life: w.life, r: u, grants: q.Grants}, t, leeway)
	}
}

// explain checks that whoever is refused is refused by a rule, and that whoever
// joins joins what was opened.
func (w *world) explain(q store.Query, t token, maxTTL time.Duration, u store.Use, err error) {
	must, may := w.takenBack(t, w.clock)
	if must && !errors.Is(err, rules.ErrRevoked) && !(w.broken && errors.Is(err, rules.ErrUnavailable)) {
		w.Fatalf("token %d was taken back, and answered %v, %v", t.number, u, err)
	}
	uses, held := max(t.uses, 1), w.model.open(q.Key)
	grant, exhausted, lapsed := w.granted(q.Grants, w.clock)
	if err == nil && u.Grant() != nil {
		if grant == nil || !sameTerms(u.Grant().Terms(), grant.terms) || u.Grant().Left() != grant.left {
			w.Fatalf("token %d joined a grant that nobody opened", t.number)
		}
		return
	}
	ok := grant == nil || lapsed
	switch {
	case err == nil:
		ok = ok && !w.opening(q.Grants)
	case errors.Is(err, rules.ErrReplayed):
		ok = ok && w.spent(q.Key) >= uses && (!exhausted || lapsed)
	case errors.Is(err, rules.ErrBudget):
		ok = ok && w.spent(q.Key) >= uses && exhausted
	case errors.Is(err, rules.ErrInUse):
		ok = ok && (w.opening(q.Grants) || held > 0 && w.spent(q.Key)+held >= uses)
	case errors.Is(err, rules.ErrUnproven):
		ok = ok && (w.floored(t) || w.older(t, maxTTL))
	case errors.Is(err, rules.ErrRevoked):
		ok = may
	case errors.Is(err, rules.ErrUnavailable):
		ok = w.broken
	default:
		ok = false
	}
	if !ok {
		w.Fatalf("token %d (issued %v, expires %v) answered without a reason: %v",
			t.number, t.issued, t.expires, err)
	}
}

// booking picks any reservation ever given out, mostly one that is open.
func (w *world) booking() *booking {
	var open []*booking
	for _, b := range w.bookings {
		if b.life == w.life && !b.settled {
			open = append(open, b)
		}
	}
	from := open
	if len(open) == 0 || rapid.IntRange(0, 3).Draw(w.T, "late") == 0 {
		from = w.bookings
	}
	if len(from) == 0 {
		return nil
	}
	return from[rapid.IntRange(0, len(from)-1).Draw(w.T, "booking")]
}

func (w *world) commit() {
	b := w.booking()
	if b == nil {
		return
	}
	var terms *rules.Terms
	if b.life == w.life && len(b.grants) > 0 && w.chance("with a grant") < 70 {
		terms = &rules.Terms{
			Key: rapid.SampledFrom(b.grants).Draw(w.T, "grant"), ETag: `"e"`, Size: 8, Copies: rapid.IntRange(1, 2).Draw(w.T, "copies"),
			Begins: w.clock, Ends: w.clock.Add(w.seconds("window", 1, 20)),
		}
	}
	opened, err := b.r.Commit(background, terms)
	switch {
	case err != nil && w.broken && errors.Is(err, rules.ErrUnavailable):
		return
	case b.settled && !(b.pending && terms != nil):
		if err == nil {
			w.Fatalf("token %d: a reservation was committed twice, or after it was released", b.token)
		}
		return
	case err != nil && b.life != w.life: // a store may not know it any more
		return
	case err != nil:
		w.Fatalf("token %d: commit failed: %v", b.token, err)
	}
	if !b.settled {
		b.settled = true
		if b.life != w.life {
			w.stranded[b.key]--
		}
		w.honour(b)
	}
	b.pending = terms == nil && len(b.grants) > 0
	if terms == nil {
		return
	}
	if opened == nil {
		w.Fatalf("token %d: no grant was opened", b.token)
	}
	w.latest = later(w.latest, w.clock)
	w.grants[terms.Key] = &grant{terms: *terms, left: terms.Budget()}
	w.join(w.grants[terms.Key], b.r)
}

// join notes that somebody draws on a grant.
func (w *world) join(g *grant, u store.Use) {
	g.users++
	w.joinings = append(w.joinings, &joining{grant: g, life: w.life, use: u, at: u.Grant()})
}

// download draws on a grant, gives back what was not handed over, or ends.
func (w *world) download() {
	var open []*joining
	for _, j := range w.joinings {
		if j.life == w.life {
			open = append(open, j)
		}
	}
	w.joinings = open
	if len(open) == 0 {
		return
	}
	j := open[rapid.IntRange(0, len(open)-1).Draw(w.T, "joining")]
	switch n := rapid.Int64Range(0, 9).Draw(w.T, "bytes"); {
	case n == 0:
		j.use.Release()
		j.users--
		w.joinings = slices.DeleteFunc(open, func(o *joining) bool { return o == j })
	case n < 4:
		n = min(n, j.drawn)
		j.at.Return(n)
		j.drawn -= n
		j.left += n
	default:
		got, err := j.at.Draw(background, n)
		if err != nil || got != min(n, j.left) {
			w.Fatalf("drew %d of %d, and %d were left", got, n, j.left)
		}
		j.left -= got
		j.drawn += got
	}
}

// honour is the promise.
func (w *world) honour(b *booking) {
	w.honoured[b.key]++
	if n, uses := w.honoured[b.key], max(w.tokens[b.token].uses, 1); n > uses {
		w.Fatalf("token %d was honoured %d times, and may be %d times", b.token, n, uses)
	}
	if before, ok := w.under[b.token]; ok && before != b.policy {
		w.Fatalf("token %d was honoured %s, and before that %s", b.token, b.policy, before)
	}
	w.under[b.token] = b.policy
}

func (w *world) release() {
	b := w.booking()
	if b == nil {
		return
	}
	for _, j := range w.joinings {
		if j.use == b.r && j.life == w.life {
			return // it draws on the grant that it has opened; see download
		}
	}
	b.r.Release()
	b.settled, b.pending = true, false
}
