package storetest_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/storetest"
)

// TestRemote: a store that keeps everything on a server can be written from
// outside. This one is a toy, in this file and server_test.go. TestFaults runs it with one
// of the faults, and then it has to fail.
func TestRemote(t *testing.T) {
	fault, faulted := faults[os.Getenv(faultVariable)]
	storetest.Run(t, func(t testing.TB) storetest.Disk {
		if faulted {
			return faulty{newServer(t), fault.make}
		}
		return newServer(t)
	})
}

// remote is a client of the server. It implements [store.Store].
type remote struct {
	server *server
	client int
}

// ask has the server do something. When ctx ends first, it may still be done;
// undo, if there is one, then follows.
func (r *remote) ask(ctx context.Context, writes bool, do func() error, undo func()) error {
	a := ask{client: r.client, writes: writes, do: do, answer: make(chan error, 1)}
	select {
	case r.server.asks <- a:
	case <-r.server.gone:
		return rules.ErrUnavailable
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", rules.ErrUnavailable, context.Cause(ctx))
	}
	select {
	case err := <-a.answer:
		return err
	case <-ctx.Done():
		go func() {
			if <-a.answer == nil && undo != nil {
				undo()
			}
		}()
		return fmt.Errorf("%w: %w", rules.ErrUnavailable, context.Cause(ctx))
	}
}

func (r *remote) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	return poll(ctx, q.Patience, func() (store.Use, error) {
		u, now := &remoteUse{remote: r}, clock()
		err := r.ask(ctx, true, func() (err error) { u.booking, err = r.server.admit(&q, now); return err }, u.Release)
		if err != nil {
			return nil, err
		}
		u.joined()
		return u, nil
	})
}

func (r *remote) Look(ctx context.Context, q store.Query, clock func() time.Time) (open *store.Open, err error) {
	return poll(ctx, q.Patience, func() (*store.Open, error) {
		var g *held
		now := clock()
		err := r.ask(ctx, false, func() (err error) { g, err = r.server.judge(&q, now); return err }, nil)
		if err != nil || g == nil {
			return nil, err
		}
		return &store.Open{Left: g.left, Ends: g.terms.Ends}, nil
	})
}

// poll asks again while something is in use.
func poll[T any](ctx context.Context, patience time.Duration, once func() (T, error)) (T, error) {
	for until := time.Now().Add(patience); ; {
		got, err := once()
		if err != rules.ErrInUse || !time.Now().Before(until) {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("%w: %w", rules.ErrInUse, context.Cause(ctx))
		case <-time.After(time.Millisecond):
		}
	}
}

func (r *remote) Revoked(ctx context.Context, t func() rules.Revocable, now time.Time) error {
	return r.ask(ctx, false, func() error { return r.server.isRevoked(t, now) }, nil)
}

func (r *remote) Revoke(ctx context.Context, v rules.Revocation, now time.Time) error {
	return r.ask(ctx, true, func() error { return r.server.revoked.Add(v, now, func([]byte) error { return nil }) }, nil)
}

func (r *remote) Reinstate(ctx context.Context, v rules.Revocation, now time.Time) error {
	return r.ask(ctx, true, func() error { return r.server.revoked.Remove(v, now, func([]byte) error { return nil }) }, nil)
}

func (r *remote) Revocations(ctx context.Context, now time.Time) ([]rules.Revocation, error) {
	return answer(ctx, r, func() []rules.Revocation { return r.server.revoked.InForce(now) })
}

func (r *remote) Stats(ctx context.Context, now time.Time) (store.Stats, error) {
	return answer(ctx, r, func() store.Stats { return r.server.stats(now) })
}

// answer asks for something that has no reason to be refused.
func answer[T any](ctx context.Context, r *remote, get func() T) (T, error) {
	got := make(chan T, 1)
	if err := r.ask(ctx, false, func() error { got <- get(); return nil }, nil); err != nil {
		var none T
		return none, err
	}
	return <-got, nil
}

// remoteUse implements [store.Use]. booking is touched by the server only.
type remoteUse struct {
	*remote
	*booking
	grant *remoteGrant
}

func (u *remoteUse) joined() {
	if u.booking.grant != nil {
		u.grant = &remoteGrant{u.remote, u.booking.grant, u.booking.grant.terms}
	}
}

func (u *remoteUse) Grant() store.Grant {
	if u.grant == nil {
		return nil
	}
	return u.grant
}

func (u *remoteUse) Commit(ctx context.Context, t *rules.Terms) (store.Grant, error) {
	if err := u.ask(ctx, true, func() error { return u.server.commit(u.booking, t) }, nil); err != nil {
		return nil, err
	}
	u.joined()
	return u.Grant(), nil
}

func (u *remoteUse) Release() {
	_ = u.ask(context.Background(), false, func() error { u.server.release(u.booking); return nil }, nil)
	u.grant = nil
}

// remoteGrant implements [store.Grant].
type remoteGrant struct {
	*remote
	at    *held // touched by the server only
	terms rules.Terms
}

func (g *remoteGrant) Terms() rules.Terms { return g.terms }

func (g *remoteGrant) Draw(ctx context.Context, n int64) (int64, error) {
	return answer(ctx, g.remote, func() int64 {
		n = max(0, min(n, g.at.left))
		g.at.left -= n
		return n
	})
}

func (g *remoteGrant) Return(n int64) {
	_, _ = answer(context.Background(), g.remote, func() bool { g.at.left += n; return true })
}

func (g *remoteGrant) Left() int64 {
	left, _ := answer(context.Background(), g.remote, func() int64 { return g.at.left })
	return left
}

func (g *remoteGrant) Exhausted() bool {
	first, _ := answer(context.Background(), g.remote, func() bool {
		defer func() { g.at.told = true }()
		return !g.at.told
	})
	return first
}
