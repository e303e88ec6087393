package storetest

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// Promise drives a store with random operations: tokens with and without iat,
// several signers, uses, policies, grants, revocations, far too little room, clocks
// that jump, limits that change, crashes, lost and broken storage, late
// settlements. It makes fifty
// rounds (five with -short) of -rapid.checks worlds, by default a hundred.
func Promise(t *testing.T, newDisk func(t testing.TB) Disk) {
	t.Helper()
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) {
			d := newDisk(t)
			_, keeps := d.(Keeper)
			w := &world{T: rt, disk: d, model: newModel(keeps), minTTL: 1}
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
	store store.Store
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
	case n < 40:
		w.show()
	case n < 42:
		w.revoke()
	case n < 56:
		w.commit()
	case n < 66:
		w.release()
	case n < 76:
		w.download()
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
	w.saw(t)
}

// open starts the store anew. Where nothing is found in storage, only the clock
// tells old tokens from new ones: then it must not have been set back, and from
// then on maxTTL must not shrink below what it was. See package rules.
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
	p := rules.Presentation{Key: rules.Key{1}, Signer: signer(0), Expires: w.clock.Add(time.Hour), Issued: w.clock}
	if _, err := admit(old, p, w.clock); !errors.Is(err, rules.ErrUnavailable) {
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

func signer(n int) rules.Signer { return rules.Signer{byte(n + 1)} }
