package memory

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// TestNobodyIsForgotten: a crowd wants a few tokens, again and again, in a store with
// room for one. It waits, joins, spends, gives back and goes away; nobody waits until
// their patience ends, no token is honoured twice, and in the end nothing is left
// of the crowd.
func TestNobodyIsForgotten(t *testing.T) {
	const tokens, crowd, rounds = 40, 32, 300
	for _, capacity := range []int{1, 3, 1000} {
		m := open(capacity)
		var honoured [tokens]atomic.Int32
		var forgotten, joined, left atomic.Int32
		var wg sync.WaitGroup
		for i := range crowd {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), uint64(capacity)))
				for round := range rounds {
					n := (round*tokens/rounds + random.IntN(3)) % tokens // most want the same
					q := resumed(n)
					q.Expires = at(60 + n) // later than what had to be forgotten
					q.Grants = []rules.GrantKey{rules.NewGrantKey(q.Key, "/a", "client", ""), rules.NewGrantKey(q.Key, "/a", "client", "press")}
					switch random.IntN(4) {
					case 0:
						q.Grants = q.Grants[:1]
					case 1:
						q.Grants = nil
					}
					q.Patience = 20 * time.Second
					ctx, cancel := context.WithCancel(t.Context())
					if random.IntN(4) == 0 {
						time.AfterFunc(time.Duration(random.IntN(50_000)), cancel)
					}
					u, err := m.Admit(ctx, q, stopped(start))
					switch {
					case err != nil && ctx.Err() != nil:
						left.Add(1)
					case errors.Is(err, rules.ErrInUse):
						forgotten.Add(1)
					case err != nil:
					case u.Grant() != nil:
						joined.Add(1)
						draw(u.Grant(), 10)
					case random.IntN(2) == 0: // gives it back
						time.Sleep(time.Duration(random.IntN(20_000)))
					default:
						var terms *rules.Terms
						if len(q.Grants) > 0 && random.IntN(4) > 0 {
							terms = &rules.Terms{Key: q.Grants[random.IntN(len(q.Grants))], ETag: `"e"`, Size: 100, Copies: 1, Begins: start, Ends: at(600)}
						}
						if commitWith(u, terms) == nil {
							honoured[n].Add(1)
						}
					}
					cancel()
					if err == nil {
						u.Release()
						u.Release()
					}
				}
			})
		}
		wg.Wait()
		if n := forgotten.Load(); n > 0 {
			t.Errorf("capacity %d: %d waited in vain", capacity, n)
		}
		spent := 0
		for n := range honoured {
			spent += int(honoured[n].Load())
			if honoured[n].Load() > 1 {
				t.Errorf("capacity %d: token %d was honoured %d times", capacity, n, honoured[n].Load())
			}
		}
		if spent == 0 || joined.Load() == 0 || left.Load() == 0 {
			t.Errorf("capacity %d: %d spent, %d joined, %d left", capacity, spent, joined.Load(), left.Load())
		}
		if waiting, opening, joined := residue(m); waiting+opening+joined+m.reserved != 0 {
			t.Errorf("capacity %d: %d waiting, %d opening, %d joined, %d reserved", capacity, waiting, opening, joined, m.reserved)
		}
	}
}

func commitWith(u store.Use, t *rules.Terms) error {
	_, err := u.Commit(context.Background(), t)
	return err
}
