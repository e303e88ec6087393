package noncetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

// Promise drives a store with random operations: tokens with and without iat,
// several signers, uses, policies, far too little room, clocks that jump, limits
// that change, crashes, lost and broken storage, late settlements. It makes fifty
// rounds (five with -short) of -rapid.checks worlds, by default a hundred.
func Promise(t *testing.T, newDisk func(t testing.TB) Disk) {
	t.Helper()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) {
			w := &world{T: rt, disk: newDisk(t), model: newModel(), minTTL: 1}
			w.clock = epoch.Add(w.seconds("first start", 0, 60))
			w.open()
			for range rapid.IntRange(30, 150).Draw(rt, "steps") {
				w.step()
			}
		})
	}
}

var epoch = time.Unix(1_800_000_000, 0)

// world is a site with one store: its clock, its configuration, its disk.
type world struct {
	*rapid.T
	*model
	disk  Disk
	store nonce.Store
	clock time.Time
	// highest is the highest reading of the clock in any life.
	highest time.Time
	broken  bool
	// layouts is the configured policy of each signer.
	layouts [signers]string
	// maxTTL in seconds was never larger before storage was last lost than
	// minTTL, and is never smaller since.
	minTTL, highTTL int
}

const signers = 3

var layouts = []string{"per token", "per path"}

func (w *world) seconds(label string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(w.T, label)) * time.Second
}

func (w *world) step() {
	switch n := w.chance("step"); {
	case n < 45:
		w.show()
	case n < 60:
		w.commit()
	case n < 70:
		w.release()
	case n < 85:
		w.setClock(w.clock.Add(w.seconds("passes", 0, 8)))
	case n < 86:
		w.setClock(w.clock.Add(w.seconds("jump", -60, 60)))
	case n < 90:
		w.layouts[rapid.IntRange(0, signers-1).Draw(w.T, "signer")] = rapid.SampledFrom(layouts).Draw(w.T, "layout")
	case n < 92:
		if s, ok := w.store.(resizer); ok {
			w.room = rapid.IntRange(1, 8).Draw(w.T, "new capacity")
			w.crowded = true
			s.SetCapacity(w.room, w.clock)
		}
	case n < 94:
		w.broken = !w.broken
		w.disk.Break(w.broken)
	case n < 95:
		w.disk.Lose()
		w.lose()
		w.open()
	case n < 96:
		w.setClock(w.clock.Add(w.seconds("jump while down", -60, 60)))
		w.open()
	case n < 98:
		w.restart()
	default:
		w.setClock(w.clock.Add(w.seconds("down", 0, 8)))
		w.open()
	}
}

// chance draws 0 to 99 evenly. Integer ranges favour their ends, and a world
// that ends all the time proves nothing.
func (w *world) chance(label string) (n int) {
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 10, 10).Draw(w.T, label) {
		n <<= 1
		if bit {
			n++
		}
	}
	return n * 100 / 1024
}

func (w *world) setClock(t time.Time) {
	w.clock = t
	w.highest = later(w.highest, t)
}

// open starts the store anew. Where nothing is found in storage, only the clock
// tells old tokens from new ones: then it must not have been set back, and from
// then on maxTTL must not shrink below what it was. See package nonce.
func (w *world) open() {
	if !w.kept {
		w.setClock(later(w.clock, w.highest))
		w.minTTL = max(w.minTTL, w.highTTL)
	}
	capacity := rapid.IntRange(1, 8).Draw(w.T, "capacity")
	w.begin(w.clock, capacity)
	w.store = w.disk.Open(Life{Capacity: capacity, Start: w.clock})
}

// restart stops the store cleanly and opens it again, whatever the clock says.
func (w *world) restart() {
	d, ok := w.disk.(Stopper)
	if !ok || w.broken {
		return
	}
	old := w.store
	w.latest = later(w.latest, w.clock)
	d.Stop(w.clock)
	p := nonce.Presentation{Key: nonce.Key{1}, Signer: signer(0), Expires: w.clock.Add(time.Hour), Issued: w.clock}
	if _, err := old.Reserve(context.Background(), p, w.clock); !errors.Is(err, nonce.ErrUnavailable) {
		w.Fatalf("a stopped store answered %v", err)
	}
	w.setClock(w.clock.Add(w.seconds("jump between stop and start", -60, 60)))
	capacity := rapid.IntRange(1, 8).Draw(w.T, "capacity")
	w.resume(w.clock, capacity)
	w.store = w.disk.Open(Life{Capacity: capacity, Start: w.clock})
}

// pick chooses a token, new or old.
func (w *world) pick() (int, token) {
	known := len(w.tokens)
	if known > 0 && w.chance("old token") < 60 {
		i := known - 1 - rapid.IntRange(0, known-1).Draw(w.T, "how old")
		return i, w.tokens[i]
	}
	t := token{
		signer: rapid.IntRange(0, signers-1).Draw(w.T, "of signer"),
		number: known,
		uses:   rapid.SampledFrom([]int{1, 0, 2, 3}).Draw(w.T, "uses"),
	}
	t.expires = w.clock.Add(w.seconds("lives", 1, 30))
	if rapid.Bool().Draw(w.T, "has iat") {
		t.issued = w.clock.Add(-w.seconds("age", 0, 3))
	}
	w.tokens = append(w.tokens, t)
	return known, t
}

func signer(n int) nonce.Signer { return nonce.Signer{byte(n + 1)} }

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
	p := nonce.Presentation{
		Key:     nonce.NewKey(signer(t.signer), "", fmt.Sprint(t.number), path),
		Signer:  signer(t.signer),
		Expires: t.expires,
		Issued:  t.issued,
		Leeway:  leeway,
		MaxTTL:  maxTTL,
		Uses:    t.uses,
		Policy:  layout,
	}
	looked := w.store.Look(context.Background(), p, w.clock)
	w.present(t.signer, layout, w.clock)
	r, err := w.store.Reserve(context.Background(), p, w.clock)
	if !errors.Is(err, nonce.ErrUnavailable) && !errors.Is(err, looked) {
		w.Fatalf("Look said %v, Reserve %v", looked, err)
	}
	w.explain(p, t, maxTTL, err)
	if err == nil {
		w.reserved(&booking{use: use{i, p.Key}, policy: layout, life: w.life, r: r}, t, leeway)
	}
}

// explain checks that whoever is refused is refused by a rule.
func (w *world) explain(p nonce.Presentation, t token, maxTTL time.Duration, err error) {
	uses, open := max(t.uses, 1), w.model.open(p.Key)
	ok := false
	switch {
	case err == nil:
		ok = true
	case errors.Is(err, nonce.ErrReplayed):
		ok = w.spent(p.Key) >= uses
	case errors.Is(err, nonce.ErrInUse):
		ok = open > 0 && w.spent(p.Key)+open >= uses
	case errors.Is(err, nonce.ErrUnproven):
		ok = w.floored(t) || w.older(t, maxTTL)
	case errors.Is(err, nonce.ErrUnavailable):
		ok = w.broken
	}
	if !ok {
		w.Fatalf("token %d (issued %v, expires %v) refused without a reason: %v",
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
	late := b.settled || b.life != w.life
	err := w.store.Commit(context.Background(), b.r)
	switch {
	case late && err == nil:
		w.Fatalf("token %d: a reservation of the past was committed", b.token)
	case late:
		return
	case err != nil && !(w.broken && errors.Is(err, nonce.ErrUnavailable)):
		w.Fatalf("token %d: commit failed: %v", b.token, err)
	case err != nil:
		return
	}
	b.settled = true
	w.honour(b)
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
	w.store.Release(b.r)
	if b.life == w.life {
		b.settled = true
	}
}
