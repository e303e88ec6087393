package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// monitor is an engine with a connection that is looked after: it keeps the process
// alive in the eyes of others, closes the circuit when the server is back, checks
// what may change on the server, and says so once.
type monitor struct {
	*engine
	place string
	link  atomic.Pointer[link]
	end   chan struct{}
	ended chan struct{}
	stop  sync.Once
}

const (
	// beat is how often a server that answers is looked at.
	beat = time.Second
	// retry is how often one is that does not, and how long an alarm is ignored.
	retry = 200 * time.Millisecond
)

func newMonitor(s *Redis) *monitor {
	m := &monitor{
		engine: newEngine(s.Prefix, time.Duration(s.Skew), s.logger),
		place:  s.Place(), end: make(chan struct{}), ended: make(chan struct{}),
	}
	m.run = func(ctx context.Context, s *script, keys, args []string) (reply, error) {
		return m.link.Load().run(ctx, s, keys, args)
	}
	m.ready = func(ctx context.Context) error { return m.link.Load().ready(ctx) }
	m.apply(s)
	go m.watch()
	return m
}

// apply changes to a connection with these settings. What is in flight goes on with
// the one before.
func (m *monitor) apply(s *Redis) {
	l := newLink(s.option, time.Duration(s.Timeout))
	l.replicas, l.patience, l.suspect = s.WaitReplicas, time.Duration(s.WaitTimeout), m.suspect
	if before := m.link.Swap(l); before != nil {
		before.fail() // has the monitor look at the new one
	}
}

// Stop implements [store.Opened]. At the end of the process, requests in flight may
// still commit.
func (m *monitor) Stop() error {
	m.stop.Do(func() {
		close(m.end)
		<-m.ended
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		defer cancel()
		_ = m.seal(ctx) // if it fails, the lease of the process ends by itself
		if !caddy.Exiting() {
			m.link.Load().close()
		}
	})
	return nil
}

func (m *monitor) watch() {
	defer close(m.ended)
	told, before := "", m.link.Load()
	defer func() {
		if before != m.link.Load() {
			before.close()
		}
	}()
	for {
		l := m.link.Load()
		if l != before { // nothing connects the one before any more
			time.AfterFunc(2*before.timeout+before.patience, before.close)
			before = l
		}
		err := m.look(l)
		l.down.Store(err != nil && !isRefusal(err))
		select {
		case <-l.tried:
		default:
			close(l.tried)
		}
		pause := beat
		if err != nil {
			pause = retry
		}
		told = m.tell(told, err)
		select {
		case <-m.end:
			return
		case <-time.After(min(pause, retry/10)):
		}
		select {
		case <-m.end:
			return
		case <-l.alarm:
		case <-time.After(pause):
		}
	}
}

// look connects, if need be, and asks for the epoch.
func (m *monitor) look(l *link) error {
	if err := l.connect(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), probing{}, true), l.timeout)
	defer cancel()
	k, err := m.learn(ctx, time.Now(), m.known.Load())
	if err != nil {
		return err
	}
	m.late.settle(ctx, m.engine)
	if k.policy != "noeviction" {
		return errPolicy
	}
	return nil
}

// isRefusal: the server answers, and nothing can be honoured on it.
func isRefusal(err error) bool {
	var skew *skewError
	return errors.Is(err, errPolicy) || errors.Is(err, errLayout) || errors.Is(err, errReplica) || errors.As(err, &skew)
}

// tell logs the first failure, and that it is over. told is what was said last.
func (m *monitor) tell(told string, err error) string {
	kind, remedy := "", "check that it runs there, that this machine may connect to it, and the user, password and certificates"
	var skew *skewError
	switch {
	case err == nil && told != "":
		m.logger.Info("the Redis server is in use again", zap.String("server", m.place))
	case err == nil:
	case errors.Is(err, errPolicy):
		kind, remedy = "policy", "CONFIG SET maxmemory-policy noeviction, and in redis.conf"
	case errors.Is(err, errLayout):
		kind, remedy = "layout", "see the error"
	case errors.Is(err, errReplica):
		kind, remedy = "replica", "see the error"
	case errors.As(err, &skew):
		kind, remedy = "skew", "see the error"
	default:
		kind = "connection"
	}
	if kind != "" && kind != told {
		m.logger.Error("the Redis server cannot be used; requests that need it are answered with 503 until it can",
			zap.String("server", m.place), zap.Error(err), zap.String("remedy", remedy))
	}
	return kind
}
