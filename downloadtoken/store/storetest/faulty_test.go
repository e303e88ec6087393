package storetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/storetest"
)

// faults are mistakes as they are made, and the cases that must find them.
var faults = map[string]struct {
	make func(*remote) store.Store
	find []string
}{
	"checks, then acts":              {func(r *remote) store.Store { return checkThenAct{r} }, []string{"race_for_one_token"}},
	"EXISTS, then SET NX, unchecked": {func(r *remote) store.Store { return setUnchecked{r} }, []string{"race_for_one_token"}},
	"opens a grant without a spend":  {func(r *remote) store.Store { return committer{r, unspent} }, []string{"grant", "promise"}},
	"opens no grant":                 {func(r *remote) store.Store { return committer{r, grantless} }, []string{"grant", "promise"}},
	"ends a grant with its token":    {func(r *remote) store.Store { return expiring{r} }, []string{"grant_past_exp", "promise"}},
	"gives back what was spent":      {func(r *remote) store.Store { return committer{r, givenBack} }, []string{"settle_once", "promise"}},
	"forgets in a crash":             {forgetful, []string{"crash", "grants_and_a_crash", "broken_at_random", "promise"}},
	"asks a stale cache":             {staleCache, []string{"revocations", "revoked,_then_not", "cut_off", "promise"}},
	"passes what it cannot ask":      {func(r *remote) store.Store { return unasked{r} }, []string{"cut_off"}},
	"revokes without an answer":      {func(r *remote) store.Store { return unanswered{r} }, []string{"revoked_on_broken_storage", "promise"}},
	"asks once, then waits":          {func(r *remote) store.Store { return askedOnce{r} }, []string{"revoked_in_mid-wait"}},
	"keeps the use of who went away": {func(r *remote) store.Store { return leaky{r} }, []string{"cancelled"}},
	"is not stopped by Stop":         {func(r *remote) store.Store { return &unstoppable{r} }, []string{"clean_stop", "promise"}},
}

const faultVariable = "STORETEST_FAULT"

// TestFaults runs the contract in processes of their own, where it has to fail.
func TestFaults(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			run := exec.Command(os.Args[0], "-test.run=^TestRemote$", "-test.short", "-test.timeout=2m", "-rapid.nofailfile", "-rapid.shrinktime=0s")
			run.Env = append(os.Environ(), faultVariable+"="+name)
			output, err := run.CombinedOutput()
			if err == nil {
				t.Fatal("it passes")
			}
			for _, found := range fault.find {
				if !strings.Contains(string(output), "--- FAIL: TestRemote/"+found+" (") {
					t.Errorf("%s does not find it:\n%s", found, output)
				}
			}
		})
	}
}

// faulty is the server of a faulty client.
type faulty struct {
	*server
	make func(*remote) store.Store
}

func (f faulty) Open(l storetest.Life) store.Store { return f.make(f.server.Open(l).(*remote)) }

// checkThenAct asks whether the token may be used, and takes it later.
type checkThenAct struct{ *remote }

func (r checkThenAct) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	if open, err := r.Look(ctx, q, clock); open != nil || err != nil {
		return r.remote.Admit(ctx, q, clock)
	}
	runtime.Gosched()
	u, p := &remoteUse{remote: r.remote}, q.Showing()
	err := r.ask(ctx, true, func() error { u.booking = r.server.take(&q, &p); return nil }, u.Release)
	return u, err
}

// setUnchecked does so too, but does not take what somebody else has: it only
// goes on as if it had.
type setUnchecked struct{ *remote }

func (r setUnchecked) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	if _, err := r.Look(ctx, q, clock); err != nil {
		return nil, err
	}
	runtime.Gosched()
	q.Patience = 0
	u, err := r.remote.Admit(ctx, q, clock)
	if errors.Is(err, rules.ErrInUse) || errors.Is(err, rules.ErrReplayed) {
		return nothing{}, nil
	}
	return u, err
}

type nothing struct{}

func (nothing) Grant() store.Grant                                        { return nil }
func (nothing) Commit(context.Context, *rules.Terms) (store.Grant, error) { return nil, nil }
func (nothing) Release()                                                  {}

// committer commits in a way of its own.
type committer struct {
	*remote
	commit func(*remoteUse, *rules.Terms) error // on the server
}

func (r committer) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	u, err := r.remote.Admit(ctx, q, clock)
	if err != nil {
		return nil, err
	}
	return committed{u.(*remoteUse), r.commit}, nil
}

type committed struct {
	*remoteUse
	commit func(*remoteUse, *rules.Terms) error
}

func (u committed) Commit(ctx context.Context, t *rules.Terms) (store.Grant, error) {
	if err := u.ask(ctx, true, func() error { return u.commit(u.remoteUse, t) }, nil); err != nil {
		return nil, err
	}
	u.joined()
	return u.Grant(), nil
}

func unspent(u *remoteUse, t *rules.Terms) error {
	reserved := u.reserved
	err := u.server.commit(u.booking, t)
	if reserved && u.booking.grant != nil {
		u.server.entries[u.key].committed--
	}
	return err
}

func grantless(u *remoteUse, t *rules.Terms) error {
	err := u.server.commit(u.booking, t)
	if u.booking.grant != nil {
		delete(u.server.grants, t.Key)
		u.booking.grant = nil
	}
	return err
}

func givenBack(u *remoteUse, t *rules.Terms) error {
	reserved := u.reserved
	err := u.server.commit(u.booking, t)
	if reserved && u.booking.grant == nil {
		u.reserved = true
		u.server.entries[u.key].committed--
		u.server.entries[u.key].reserved++
	}
	return err
}

// expiring finds no grant of a token that has expired.
type expiring struct{ *remote }

func (r expiring) Look(ctx context.Context, q store.Query, clock func() time.Time) (*store.Open, error) {
	return r.remote.Look(ctx, r.without(q, clock()), clock)
}

func (r expiring) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	return r.remote.Admit(ctx, r.without(q, clock()), clock)
}

func (expiring) without(q store.Query, now time.Time) store.Query {
	if !now.Before(q.Expires) {
		q.Grants = nil
	}
	return q
}

// forgetful finds nothing of what was before.
func forgetful(r *remote) store.Store {
	r.server.operate(func() { r.server.entries, r.server.found = map[rules.Key]*entry{}, rules.NewMarks(time.Unix(1, 0)) })
	return r
}

// cached reads the revocations when it is opened.
type cached struct {
	*remote
	revoked rules.Revocations
}

func staleCache(r *remote) store.Store {
	c := &cached{remote: r}
	all, _ := r.Revocations(context.Background(), time.Time{})
	for _, v := range all {
		_ = c.revoked.Add(v, time.Time{}, func([]byte) error { return nil })
	}
	return c
}

func (c *cached) Revoked(_ context.Context, t func() rules.Revocable, now time.Time) error {
	if c.revoked.Revoked(t, now) {
		return rules.ErrRevoked
	}
	return nil
}

func (c *cached) Look(ctx context.Context, q store.Query, clock func() time.Time) (*store.Open, error) {
	if err := c.Revoked(ctx, q.Revocable, clock()); err != nil {
		return nil, err
	}
	q.Revocable = nil
	return c.remote.Look(ctx, q, clock)
}

func (c *cached) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	if err := c.Revoked(ctx, q.Revocable, clock()); err != nil {
		return nil, err
	}
	q.Revocable = nil
	return c.remote.Admit(ctx, q, clock)
}

// unasked takes no answer for a good one.
type unasked struct{ *remote }

func (r unasked) Revoked(ctx context.Context, t func() rules.Revocable, now time.Time) error {
	if err := r.remote.Revoked(ctx, t, now); errors.Is(err, rules.ErrRevoked) {
		return err
	}
	return nil
}

// unanswered sends a revocation and does not wait for what becomes of it.
type unanswered struct{ *remote }

func (r unanswered) Revoke(ctx context.Context, v rules.Revocation, now time.Time) error {
	if err := r.remote.Revoke(ctx, v, now); !errors.Is(err, rules.ErrUnavailable) {
		return err
	}
	return nil
}

// askedOnce asks for revocations before it waits.
type askedOnce struct{ *remote }

func (r askedOnce) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	if err := r.Revoked(ctx, q.Revocable, clock()); err != nil {
		return nil, err
	}
	q.Revocable = nil
	return r.remote.Admit(ctx, q, clock)
}

// leaky does not look after what it asked for when nobody wants it any more.
type leaky struct{ *remote }

func (r leaky) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	type result struct {
		use store.Use
		err error
	}
	done := make(chan result, 1)
	go func() {
		u, err := r.remote.Admit(context.Background(), q, clock)
		done <- result{u, err}
	}()
	select {
	case d := <-done:
		return d.use, d.err
	case <-ctx.Done():
		return nil, rules.ErrUnavailable
	}
}

// unstoppable connects again.
type unstoppable struct{ *remote }

func (r *unstoppable) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	u, err := r.remote.Admit(ctx, q, clock)
	if errors.Is(err, rules.ErrUnavailable) && !r.server.broken.Load() && !r.server.cut.Load() && ctx.Err() == nil {
		r.server.operate(func() { r.client = r.server.client })
		return r.remote.Admit(ctx, q, clock)
	}
	return u, err
}
