//go:build unix

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// chaosRounds is how often a server is disturbed in each run: 50 is the full
// form, which takes a quarter of an hour.
var chaosRounds = flag.Int("chaos.rounds", 4, "rounds of each chaos run")

const (
	chaosClients = 32
	// chaosKeys take turns: after a crash, nothing that is issued within MarkStep
	// is honoured of a key that was in use, so there has to be another.
	chaosKeys = 12
	chaosTurn = 2 * time.Second
	chaosBare = "bare" // the key of tokens without iat
)

// ticket is a token and what became of it.
type ticket struct {
	text, fingerprint string
	kid               string
	issued, expires   time.Time // by the clock of the server; issued is zero for tokens without iat

	answered atomic.Int32 // requests that were answered at all
	opened   atomic.Int32 // answers of which a byte of the file arrived
	received atomic.Int64 // bytes of the file, in all answers
}

// chaos is a server, what is done to it, and 32 clients that go on meanwhile.
type chaos struct {
	*process
	settings chaosSettings
	ahead    atomic.Int64 // how far the server's clock is ahead
	bare     bool         // some tokens have no iat
	redis    *redisServer // of the store; nil: it has none

	mu      sync.Mutex
	tickets []*ticket
	crashes []crash
	begun   time.Time // when the first start was complete
}

// chaosSettings are what reloads change.
type chaosSettings struct {
	leeway, maxTTL time.Duration
	capacity       int
	oneTime        string
	store          string // as in the Caddyfile; "": a memory store with that capacity
}

// crash is when the server was killed, and what it may have marked until then.
type crash struct {
	at     time.Time
	marked map[string]time.Time // by kid: the largest iat (without iat: exp) that was shown
}

func (s chaosSettings) body() string {
	var b strings.Builder
	b.WriteString("download_token {\n")
	for i := range chaosKeys {
		fmt.Fprintf(&b, "key HS256 %q {\nkid %d\n}\n", chaosSecret(fmt.Sprint(i)), i)
	}
	fmt.Fprintf(&b, "key HS256 %q {\nkid %s\n}\n", chaosSecret(chaosBare), chaosBare)
	fmt.Fprintf(&b, "scope any\nmax_ttl %v\nleeway %v\n%s\n}\nfile_server", s.maxTTL, s.leeway, s.oneTime)
	return b.String()
}

func chaosSecret(kid string) string { return kid + secret }

func (c *chaos) apply(s chaosSettings) {
	c.mu.Lock()
	c.settings = s
	c.mu.Unlock()
	c.body = s.body()
	c.globals = fmt.Sprintf("download_token {\nstore memory {\ncapacity %d\n}\n}", s.capacity)
	if s.store != "" {
		c.globals = "download_token {\n" + s.store + "\n}"
	}
}

// reload changes the settings. A server that is down at the moment gets them
// when it starts.
func (c *chaos) reload(s chaosSettings) {
	c.apply(s)
	if err := c.load(c.body); err != nil && c.cmd != nil {
		c.t.Errorf("reload: %v", err)
	}
}

func (c *chaos) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// mint adds a ticket.
func (c *chaos) mint() {
	now := c.now()
	kid := fmt.Sprint(now.UnixNano() / int64(chaosTurn) % chaosKeys)
	k := &ticket{issued: now, expires: now.Add(3*time.Second + mrand.N(5*time.Second))}
	all := claims{"jti": rand.Text(), "iat": seconds(now)}
	if c.bare && mrand.IntN(5) == 0 {
		kid = chaosBare
		c.mu.Lock()
		k.issued, k.expires = time.Time{}, now.Add(c.settings.maxTTL)
		c.mu.Unlock()
		delete(all, "iat")
	}
	all["exp"] = seconds(k.expires)
	k.kid = kid
	k.text = mintExactly(c.t, kid, all)
	k.fingerprint = token.FingerprintOf(k.text).String()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tickets = append(c.tickets, k)
}

// mintExactly signs a token with the key of that kid.
func mintExactly(t testing.TB, kid string, all claims) string {
	unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, all)
	unsigned.Header["kid"] = kid
	signed, err := unsigned.SignedString([]byte(chaosSecret(kid)))
	if err != nil {
		t.Error(err)
	}
	return signed
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// pick returns one of the newest tickets, or any.
func (c *chaos) pick() *ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.tickets)
	if n == 0 {
		return nil
	}
	if mrand.IntN(5) < 3 {
		return c.tickets[n-1-mrand.IntN(min(n, 50))]
	}
	return c.tickets[mrand.IntN(n)]
}

// client shows tickets until ctx ends.
func (c *chaos) client(ctx context.Context) {
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	visitor := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for ctx.Err() == nil {
		k := c.pick()
		if k == nil || c.show(visitor, k) != nil {
			time.Sleep(2 * time.Millisecond) // the server is down, or there is nothing to show
		}
	}
}

// show sends one request and notes what came of it.
func (c *chaos) show(visitor *http.Client, k *ticket) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	method, path := http.MethodGet, []string{"/a.txt", "/b.bin"}[mrand.IntN(2)]
	switch mrand.IntN(20) {
	case 0:
		method = http.MethodHead
	case 1: // gone before, or in the middle of, the answer
		time.AfterFunc(mrand.N(4*time.Millisecond), cancel)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path+"?download_token="+k.text, nil)
	if err != nil {
		return err
	}
	if size := len(chaosFiles["b.bin"]); mrand.IntN(4) == 0 {
		first := mrand.IntN(size)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, first+mrand.IntN(size)))
	}
	resp, err := visitor.Do(req)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	k.answered.Add(1)
	n, _ := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode < 300 && n > 0 {
		k.opened.Add(1)
		k.received.Add(n)
	}
	return nil
}

// crashed kills the server and notes what it may have marked.
func (c *chaos) crashed() {
	c.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	marked := make(map[string]time.Time)
	for _, k := range c.tickets {
		at := k.issued
		if at.IsZero() {
			at = k.expires
		}
		if at.After(marked[k.kid]) {
			marked[k.kid] = at
		}
	}
	c.crashes = append(c.crashes, crash{time.Now(), marked})
}

// explained reports whether rule 3 of the store says that a token could be
// unproven at that time.
func (c *chaos) explained(k *ticket, at time.Time) bool {
	if k.issued.IsZero() && !k.expires.After(c.begun.Add(c.settings.maxTTL+token.MaxTTLSlack)) {
		return true // it could be from before the first start
	}
	if c.settings.store != "" {
		return false // a crash costs it nothing
	}
	for _, crash := range c.crashes {
		mark := crash.marked[k.kid].Add(rules.MarkStep + time.Millisecond)
		if !at.Before(crash.at) && !mark.Before(k.issued) && (!k.issued.IsZero() || !mark.Before(k.expires)) {
			return true
		}
	}
	return false
}

var chaosFiles = map[string]string{"a.txt": "content of a", "b.bin": strings.Repeat("0123456789abcdef", 16<<10)}

// chaosRun is one way of disturbing a server.
type chaosRun struct {
	name    string
	round   func(c *chaos)
	prepare func(c *chaos)

	bare     bool                  // some tokens have no iat
	skewed   bool                  // the clock is changed
	store    func(c *chaos) string // sets up a store for the Caddyfile; nil: it is a memory store
	unproven bool                  // unproven for other reasons than crashes, too
	reasons  []string              // by which else tokens that nobody used may be refused
	honoured float64               // the least share of tokens that must be honoured
}

// The ways to disturb a server, each for about a second.

func (c *chaos) killIt() {
	time.Sleep(200*time.Millisecond + mrand.N(1600*time.Millisecond))
	c.crashed()
	for mrand.IntN(3) == 0 { // once more, while it starts
		c.spawn()
		time.Sleep(mrand.N(100 * time.Millisecond))
		c.crashed()
	}
	c.start()
}

func (c *chaos) stopIt() {
	time.Sleep(200*time.Millisecond + mrand.N(1200*time.Millisecond))
	c.stop()
	c.start()
}

func (c *chaos) validateBesideIt() {
	for until := time.Now().Add(time.Second); time.Now().Before(until); {
		if out, err := c.command("validate", "--adapter", "caddyfile", "--config", c.config()).CombinedOutput(); err != nil {
			c.t.Errorf("validate: %v\n%s", err, out)
		}
	}
}

func (c *chaos) reloadIt(capacity ...int) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		c.reload(chaosSettings{
			leeway:   []time.Duration{0, time.Second, 4 * time.Second}[mrand.IntN(3)],
			maxTTL:   []time.Duration{3 * time.Hour, 4 * time.Hour}[mrand.IntN(2)],
			capacity: capacity[mrand.IntN(len(capacity))],
			oneTime:  c.settings.oneTime,
			store:    c.settings.store,
		})
	}
}

// stepClock takes the clock an hour back or ahead, to a few seconds that it has
// been at before: what has expired, and was forgotten, is valid again.
func (c *chaos) stepClock() {
	for range 3 {
		at := chaosBegan.Add(time.Duration(1+mrand.IntN(2))*time.Hour + mrand.N(5*time.Second))
		ahead := time.Until(at)
		c.ahead.Store(int64(ahead))
		c.setClock(ahead)
		time.Sleep(200*time.Millisecond + mrand.N(300*time.Millisecond))
	}
}

var chaosBegan = time.Now()

func onBolt(c *chaos) string {
	return fmt.Sprintf("store bolt %q", filepath.Join(c.home, "tokens.bolt"))
}

func onRedis(c *chaos) string {
	c.redis = startRedis(c.t)
	return "store redis 127.0.0.1:" + c.redis.port + " {\nskew 200ms\n}"
}

// killRedis ends the server of the store as a power failure does, and starts it with what
// it has written by then, all of it or nothing.
func (c *chaos) killRedis() {
	time.Sleep(200*time.Millisecond + mrand.N(800*time.Millisecond))
	c.redis.kill()
	time.Sleep(mrand.N(200 * time.Millisecond))
	if mrand.IntN(2) == 0 {
		if err := os.RemoveAll(filepath.Join(c.redis.dir, "appendonlydir")); err != nil {
			c.t.Error(err)
		}
	}
	c.redis.start()
	eventually(c.t, func() bool { // and it honours what is issued now
		now := c.now()
		token := mintExactly(c.t, "0", claims{"jti": rand.Text(), "iat": seconds(now), "exp": seconds(now.Add(time.Minute))})
		resp, err := restless.Head(c.url + "/a.txt?download_token=" + token)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func TestChaos(t *testing.T) {
	t.Parallel()
	for _, run := range []chaosRun{
		{name: "killed", round: (*chaos).killIt, bare: true, honoured: 0.2},
		{name: "stopped", round: (*chaos).stopIt, bare: true, honoured: 0.8},
		{name: "validate", round: (*chaos).validateBesideIt, bare: true, honoured: 0.9},
		{name: "reloaded", round: func(c *chaos) { c.reloadIt(100_000, 200_000) }, honoured: 0.9},
		{name: "clock", round: (*chaos).stepClock, bare: true, skewed: true, unproven: true,
			reasons: []string{"not_yet_valid", "too_long_lived"}, honoured: 0.2},
		{name: "full", round: func(*chaos) { time.Sleep(time.Second) }, bare: true, unproven: true, honoured: 0.1,
			prepare: func(c *chaos) { c.settings.capacity = 40 }},
		{name: "all", bare: true, skewed: true, unproven: true, honoured: 0.02,
			reasons: []string{"not_yet_valid", "too_long_lived", "replayed"},
			round: func(c *chaos) {
				for range 2 {
					[]func(){c.killIt, c.stopIt, c.validateBesideIt, c.stepClock, func() { c.reloadIt(1, 40, 100_000) }, func() {
						c.terminate()
						time.Sleep(mrand.N(20 * time.Millisecond))
						c.crashed()
						c.start()
					}}[mrand.IntN(6)]()
				}
			}},
		// A token can be in the file, and its server killed before it sends or logs a word.
		{name: "bolt killed", round: (*chaos).killIt, bare: true, store: onBolt, reasons: []string{"replayed"}, honoured: 0.5},
		{name: "bolt stopped", round: (*chaos).stopIt, bare: true, store: onBolt, honoured: 0.8},
		{name: "bolt validate", round: (*chaos).validateBesideIt, bare: true, store: onBolt, honoured: 0.9},
		{name: "bolt reloaded", round: func(c *chaos) { c.reloadIt(100_000) }, store: onBolt, honoured: 0.9},
		{name: "bolt clock", round: (*chaos).stepClock, bare: true, store: onBolt, skewed: true, unproven: true,
			reasons: []string{"not_yet_valid", "too_long_lived"}, honoured: 0.2},
		{name: "bolt all", bare: true, store: onBolt, skewed: true, unproven: true, honoured: 0.1,
			reasons: []string{"not_yet_valid", "too_long_lived", "replayed"},
			round: func(c *chaos) {
				for range 2 {
					[]func(){c.killIt, c.stopIt, c.validateBesideIt, c.stepClock, func() { c.reloadIt(100_000) }}[mrand.IntN(5)]()
				}
			}},
		{name: "redis killed", round: (*chaos).killIt, bare: true, store: onRedis, unproven: true, reasons: []string{"replayed"}, honoured: 0.3},
		{name: "redis stopped", round: (*chaos).stopIt, bare: true, store: onRedis, unproven: true, honoured: 0.6},
		{name: "redis validate", round: (*chaos).validateBesideIt, bare: true, store: onRedis, unproven: true, honoured: 0.8},
		{name: "redis reloaded", round: func(c *chaos) { c.reloadIt(100_000) }, store: onRedis, unproven: true, honoured: 0.8},
		{name: "redis clock", round: (*chaos).stepClock, bare: true, store: onRedis, skewed: true, unproven: true,
			reasons: []string{"not_yet_valid", "too_long_lived"}}, // a Caddy whose clock is wrong honours nothing
		{name: "redis lost", round: (*chaos).killRedis, bare: true, store: onRedis, unproven: true, reasons: []string{"replayed"}, honoured: 0.1},
	} {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			c := newChaos(t, run, "one_time")
			c.run(run)
			c.judge(run)
		})
	}
}

func newChaos(t *testing.T, run chaosRun, oneTime string) *chaos {
	c := &chaos{bare: run.bare}
	if run.skewed {
		c.process = newSkewedProcess(t, chaosFiles, "")
	} else {
		c.process = newProcess(t, chaosFiles, "")
	}
	c.settings = chaosSettings{maxTTL: 3 * time.Hour, capacity: 100_000, oneTime: oneTime}
	if run.store != nil {
		c.settings.store = run.store(c)
	}
	if run.prepare != nil {
		run.prepare(c)
	}
	c.apply(c.settings)
	c.start()
	c.begun = time.Now()
	if run.skewed {
		c.stepClock()
	}
	return c
}

// run has the clients at work while the server is disturbed, and shows every
// token twice more at the end.
func (c *chaos) run(run chaosRun) {
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	for range chaosClients {
		clients.Go(func() { c.client(ctx) })
	}
	clients.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			c.mint()
		}
	})
	for range *chaosRounds {
		run.round(c)
	}
	time.Sleep(200 * time.Millisecond)
	cancel()
	clients.Wait()
	for range 2 {
		var next atomic.Int64
		var last sync.WaitGroup
		for range chaosClients {
			last.Go(func() {
				visitor := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
				defer visitor.CloseIdleConnections()
				for i := next.Add(1); int(i) <= len(c.tickets); i = next.Add(1) {
					_ = c.show(visitor, c.tickets[i-1])
				}
			})
		}
		last.Wait()
	}
}

// judge says whether the promise was kept.
func (c *chaos) judge(run chaosRun) {
	t := c.t
	c.kill()
	type fate struct {
		spent   int
		refused map[string]time.Time // reason to the first time
	}
	fates := make(map[string]*fate)
	for _, k := range c.tickets {
		fates[k.fingerprint] = &fate{refused: make(map[string]time.Time)}
	}
	for _, line := range c.logged() {
		f, ok := fates[line.Fingerprint]
		switch {
		case !ok:
		case line.Msg == "token spent":
			f.spent++
		case line.Reason != "" && f.refused[line.Reason].IsZero():
			f.refused[line.Reason] = line.time()
		}
	}
	allowed := append([]string{"unproven", "in_use", "reloaded", "store_unavailable", "expired"}, run.reasons...)
	var shown, honoured, twice, unproven, beyond, tooLate int
	reasons := make(map[string]int)
	for _, k := range c.tickets {
		f := fates[k.fingerprint]
		opened := int(k.opened.Load())
		shown += int(k.answered.Load())
		if opened > 1 || f.spent > 1 {
			twice++
			t.Errorf("honoured twice: %d answers with a body, spent %d times: %+v", opened, f.spent, k.fingerprint)
			continue
		}
		if opened > 0 || f.spent > 0 {
			honoured++
			continue
		}
		if !f.refused["expired"].IsZero() && len(f.refused) == 1 {
			tooLate++ // the machine was too slow to show it in its life
		}
		for reason, at := range f.refused {
			reasons[reason]++
			if !slices.Contains(allowed, reason) {
				t.Errorf("a token that was never used was refused as %s", reason)
			}
			if reason != "unproven" {
				continue
			}
			unproven++
			// a reading of the clock may be a little older than what it is compared with
			late := !run.skewed && at.After(k.expires.Add(-200*time.Millisecond))
			if !run.unproven && !late && !c.explained(k, at) {
				beyond++
			}
		}
	}
	t.Logf("%d rounds, %d crashes: %d tokens shown %d times; %d honoured, %d of them twice; never used and refused: %v",
		*chaosRounds, len(c.crashes), len(c.tickets), shown, honoured, twice, reasons)
	if beyond > 0 {
		t.Errorf("of %d unproven tokens, %d are not explained by the rules", unproven, beyond)
	}
	if share := float64(honoured) / float64(len(c.tickets)-tooLate); share < run.honoured {
		t.Errorf("only %.2f of all tokens that were shown in time were honoured", share)
	}
}

// TestChaosResume: what is sent for a token stays within its budget, however the
// server ends and starts again.
func TestChaosResume(t *testing.T) {
	t.Parallel()
	run := chaosRun{round: func(c *chaos) {
		[]func(){c.killIt, c.stopIt, func() {
			time.Sleep(mrand.N(time.Second))
			c.terminate()
			time.Sleep(mrand.N(50 * time.Millisecond))
			c.crashed()
			c.start()
		}}[mrand.IntN(3)]()
	}}
	c := newChaos(t, run, "one_time {\nresume 1h 1\n}")
	c.run(run)
	c.kill()
	budget := rules.Terms{Size: int64(len(chaosFiles["b.bin"])), Copies: 1}.Budget()
	var resumed, most int64
	for _, k := range c.tickets {
		most = max(most, k.received.Load())
		if k.opened.Load() > 1 {
			resumed++
		}
		if k.received.Load() > budget {
			t.Errorf("%d bytes were sent for a token, its budget is %d", k.received.Load(), budget)
		}
	}
	t.Logf("%d tokens, %d resumed; at most %d of %d bytes", len(c.tickets), resumed, most, budget)
	if resumed == 0 {
		t.Error("nothing was ever resumed")
	}
}
