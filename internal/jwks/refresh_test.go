package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// A wire stands for the network where time is faked.
type wire func(*http.Request) (string, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := w(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

func overWire(t testing.TB, o Options, answer wire) *Set {
	t.Helper()
	o.Location, o.Client = "https://id.example/jwks", &http.Client{Transport: answer}
	return makeJWKS(t, o)
}

func TestSchedule(t *testing.T) {
	tests := []struct {
		name     string
		refresh  time.Duration
		failures []bool // of each fetch
		least    []time.Duration
	}{
		{"well", 0, make([]bool, 4), []time.Duration{0, 15 * time.Minute, 15 * time.Minute, 15 * time.Minute}},
		{"well, configured", time.Minute, make([]bool, 3), []time.Duration{0, time.Minute, time.Minute}},
		{"down, then up", time.Minute, []bool{true, true, true, true, true, true, true, true, false, false, true, false},
			[]time.Duration{0, 1e9, 2e9, 4e9, 8e9, 16e9, 32e9, time.Minute, time.Minute, time.Minute, time.Minute, 1e9}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancel(t.Context())
				var mu sync.Mutex
				var at []time.Time
				times := func() []time.Time { mu.Lock(); defer mu.Unlock(); return at }
				set := setOf(jwkFor(t, "ES256", "a"))
				j := overWire(t, Options{Refresh: test.refresh}, func(*http.Request) (string, error) {
					mu.Lock()
					defer mu.Unlock()
					at = append(at, time.Now())
					if len(at) == len(test.failures) {
						defer end()
					}
					if test.failures[len(at)-1] {
						return "", errors.New("down")
					}
					return set, nil
				})
				last := time.Now()
				j.Start(ctx)
				j.Start(t.Context()) // once is enough
				synctest.Wait()
				if n := len(times()); n != 1 {
					t.Fatalf("%d fetches at once", n)
				}
				<-ctx.Done()
				time.Sleep(24 * time.Hour) // of fake time
				if n := len(times()); n != len(test.failures) {
					t.Fatalf("%d fetches", n)
				}
				for i, when := range times() {
					if waited := when.Sub(last); waited > test.least[i] || waited < test.least[i]*9/10 {
						t.Errorf("fetch %d came after %v, want %v", i, waited, test.least[i])
					}
					last = when
				}
			})
		})
	}
}

func TestNextDelay(t *testing.T) {
	for _, test := range []struct {
		refresh  time.Duration
		failures int
		random   float64
		want     time.Duration
	}{
		{time.Hour, 0, 0, time.Hour},
		{time.Hour, 0, 1, 54 * time.Minute},
		{time.Hour, 1, 0, time.Second},
		{time.Hour, 1, 0.5, 950 * time.Millisecond},
		{time.Hour, 12, 0, 2048 * time.Second},
		{time.Hour, 13, 0, time.Hour},
		{time.Hour, 31, 0, time.Hour},
		{time.Hour, 1 << 40, 0, time.Hour},
		{10 * time.Second, 5, 0, 10 * time.Second},
	} {
		if got := nextDelay(test.refresh, test.failures, test.random); got != test.want {
			t.Errorf("%v %d %v: %v, want %v", test.refresh, test.failures, test.random, got, test.want)
		}
	}
}

func TestBucket(t *testing.T) {
	var b bucket
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	for i, step := range []struct {
		at   int
		want bool
	}{
		{0, true}, {0, true}, {0, true}, {0, false}, {9, false}, {10, true}, {10, false}, {25, true}, {29, false}, {30, true},
		{1000, true}, {1000, true}, {1000, true}, {1000, false},
	} {
		if b.take(at(step.at)) != step.want {
			t.Errorf("step %d at %d: %v", i, step.at, !step.want)
		}
	}
}

// 200 requests with one unknown kid cause one fetch; and the kid, being absent, none
// for a minute.
func TestThunderingHerd(t *testing.T) {
	for name, kid := range map[string]string{"new": "new", "absent": "absent"} {
		t.Run(name, func(t *testing.T) {
			i := startIssuer(t, jwkFor(t, "ES256", "old"))
			clock := new(clock)
			j := makeJWKS(t, Options{Location: i.URL, Client: i.client(), Now: clock.now})
			refresh(t, j)
			i.fetches.Store(0)
			i.publishes(jwkFor(t, "ES256", "old"), jwkFor(t, "ES256", "new"))
			herd := func() {
				var wait sync.WaitGroup
				for range 200 {
					wait.Go(func() {
						keys, err := j.LookupFresh(t.Context(), kid, "ES256")
						if (kid == "new") != (err == nil) || len(keys) > 1 {
							t.Errorf("got %v and error %v", keys, err)
						}
					})
				}
				wait.Wait()
			}
			herd()
			if n := i.fetches.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
			clock.pass(absentFor - 1)
			herd()
			if n := i.fetches.Load(); n != 1 {
				t.Errorf("%d fetches within a minute", n)
			}
			if n := len(j.absent.until); (kid == "absent") != (n == 1) || n > 1 {
				t.Errorf("%d kids are absent", n)
			}
			clock.pass(1)
			herd()
			if n := i.fetches.Load(); kid == "absent" && n != 2 || kid == "new" && n != 1 {
				t.Errorf("%d fetches after a minute", n)
			}
		})
	}
}

// A flood of made-up kids costs the origin three fetches and then one every ten
// seconds, this process a few dozen bytes, and the clients with a real new kid ten
// seconds at most.
func TestFlood(t *testing.T) {
	const flood = 100_000
	var fetches atomic.Int32
	var set atomic.Pointer[string]
	publish := func(jwks ...string) { text := setOf(jwks...); set.Store(&text) }
	publish(jwkFor(t, "ES256", "old"))
	clock := new(clock)
	j := overWire(t, Options{Now: clock.now}, func(*http.Request) (string, error) {
		fetches.Add(1)
		return *set.Load(), nil
	})
	refresh(t, j)
	fetches.Store(0)
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	heap := int64(memory.HeapAlloc)
	for n := range flood {
		kid := fmt.Sprintf("%d%s", n, repeat("x", n%maxKidBytes))
		if keys, err := j.LookupFresh(t.Context(), kid, "ES256"); !errors.Is(err, token.ErrUnknownKey) || keys != nil {
			t.Fatalf("got %v and error %v", keys, err)
		}
	}
	if n := fetches.Load(); n != forcedBurst {
		t.Errorf("%d fetches", n)
	}
	runtime.GC()
	runtime.ReadMemStats(&memory)
	if grown := int64(memory.HeapAlloc) - heap; grown > 256<<10 {
		t.Errorf("%d bytes more in use", grown)
	}

	publish(jwkFor(t, "ES256", "old"), jwkFor(t, "ES384", "new"))
	_, err := j.LookupFresh(t.Context(), "new", "ES384")
	wantErr(t, err, token.ErrUnknownKey)
	clock.pass(forcedEvery)
	_, err = j.LookupFresh(t.Context(), "made up", "ES256")
	wantErr(t, err, token.ErrUnknownKey)
	_, err = j.Lookup("new", "ES384")
	wantErr(t, err, nil) // the attacker's own fetch brought it

	for range 10_000 { // a day of it
		clock.pass(forcedEvery)
		_, err := j.LookupFresh(t.Context(), fmt.Sprint(clock.now()), "ES256")
		wantErr(t, err, token.ErrUnknownKey)
	}
	if n := len(j.absent.until); n > forcedBurst+int(absentFor/forcedEvery) {
		t.Errorf("%d kids are remembered", n)
	}
	if n := fetches.Load(); n != forcedBurst+10_001 {
		t.Errorf("%d fetches", n)
	}
}

// What needs no fetch causes none.
func TestLookupFreshDoesNotFetch(t *testing.T) {
	var fetches atomic.Int32
	j := overWire(t, Options{Now: new(clock).now}, func(*http.Request) (string, error) {
		fetches.Add(1)
		return setOf(jwkFor(t, "ES256", "a")), nil
	})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := j.LookupFresh(cancelled, "a", "ES256")
	wantErr(t, err, token.ErrUnknownKey)
	_, err = j.LookupFresh(t.Context(), "a", "none")
	wantErr(t, err, token.ErrAlgorithm)
	if n := fetches.Load(); n != 0 || j.flight != nil || j.forced != (bucket{}) {
		t.Fatalf("%d fetches before there were keys", n)
	}
	refresh(t, j)
	for _, test := range []struct {
		kid, alg string
		err      error
	}{
		{"a", "ES256", nil}, {"a", "RS256", token.ErrAlgorithm}, {"", "ES256", token.ErrUnknownKey}, {"b", "none", token.ErrAlgorithm},
	} {
		_, err := j.LookupFresh(t.Context(), test.kid, test.alg)
		wantErr(t, err, test.err)
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// No request waits for a hanging origin for more than five seconds, no more than a
// thousand at a time, and none whose turn for a fetch has not come.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int32
		j := overWire(t, Options{}, func(r *http.Request) (string, error) {
			fetches.Add(1)
			<-r.Context().Done()
			return "", r.Context().Err()
		})
		began := time.Now()
		ask := func(kid string) time.Duration {
			began := time.Now()
			_, err := j.LookupFresh(t.Context(), kid, "ES256")
			wantErr(t, err, token.ErrUnknownKey)
			return time.Since(began)
		}
		var waited [maxWaiting]time.Duration
		var group sync.WaitGroup
		for i := range waited {
			group.Go(func() { waited[i] = ask(fmt.Sprint(i)) })
		}
		synctest.Wait()
		if d := ask("one too many"); d != 0 {
			t.Errorf("one too many waited %v", d)
		}
		group.Wait()
		for _, d := range waited {
			if d != maxWait {
				t.Fatalf("waited %v", d)
			}
		}
		if d := ask("after they left"); d != maxWait {
			t.Errorf("waited %v", d)
		}
		synctest.Wait()
		if n, d := fetches.Load(), time.Since(began); n != 1 || d != fetchTimeout || j.Status().LastError != "does not answer in time" {
			t.Errorf("%d fetches in %v, status %v", n, d, j.Status())
		}
	})
}

// A fetch serves all, so it goes on when the request that caused it is gone.
func TestFlightOutlivesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := overWire(t, Options{}, func(r *http.Request) (string, error) {
			time.Sleep(3 * time.Second)
			return setOf(jwkFor(t, "ES256", "a")), r.Context().Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := j.LookupFresh(ctx, "a", "ES256")
		wantErr(t, err, token.ErrUnknownKey)
		_, err = j.LookupFresh(t.Context(), "a", "ES256")
		wantErr(t, err, nil)
	})
}

func TestStatus(t *testing.T) {
	clock, fail := new(clock), false
	j := overWire(t, Options{Algs: []string{"RS256", "PS256"}, Now: clock.now}, func(*http.Request) (string, error) {
		if fail {
			return "", errors.New("down")
		}
		return setOf(jwkOf(t, public(signers()["RS256"]), "a", nil)), nil
	})
	refresh(t, j)
	if got, want := j.Status(), (Status{Keys: 2, LastSuccess: now}); got != want {
		t.Errorf("is %v, want %v", got, want)
	}
	clock.pass(time.Hour)
	fail = true
	refresh(t, j)
	if got, want := j.Status(), (Status{2, now, "cannot be fetched: down"}); got != want {
		t.Errorf("is %v, want %v", got, want)
	}
}
