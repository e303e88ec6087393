package redis

import (
	"context"
	"errors"
	"strings"
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
		l.down.Store(err != nil && !errors.As(err, new(*refusal)))
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
	if k.replicas < l.replicas {
		return errFew
	}
	return nil
}

// tell logs the first failure, and that it is over. told is what was said last.
func (m *monitor) tell(told string, err error) string {
	if err == nil {
		if told != "" {
			m.logger.Info("the Redis server is in use again", zap.String("server", m.place))
		}
		return ""
	}
	kind, fields := "connection", []zap.Field{zap.String("server", m.place), zap.Error(err)}
	if r := new(refusal); errors.As(err, &r) {
		kind = r.kind
	} else {
		fields = append(fields, zap.String("remedy", remedy(err)))
	}
	if kind != told {
		m.logger.Error("the Redis server cannot be used; requests that need it are answered with 503 until it can", fields...)
	}
	return kind
}

// remedy says what helps, by what the server or the network has said.
func remedy(err error) string {
	for _, r := range [][2]string{
		{"NOAUTH", "the server wants a password: write password <password> or user <name> <password> into the block"},
		{"WRONGPASS", "check the user and the password in the block"},
		{"NOPERM", "give the ACL user the commands and keys that the reference names"},
		{"cluster support disabled", "write one address, or name the master if the addresses are those of sentinels: sentinel <master>"},
		{"'SENTINEL'", "with sentinel, write the addresses of the sentinels (port 26379), not that of the server"},
		{"DB index", "choose a database that the server has"},
		{"unknown authority", "write ca <file> into the block tls, with the certificate that the server's is signed by"},
		{"certificate", "check the certificates of both sides, and server_name"},
		{"connection reset", "check that both sides use TLS, or neither, and that the server gets the certificate that it wants"},
		{"OOM", "the server is out of memory: raise maxmemory"},
	} {
		if strings.Contains(err.Error(), r[0]) {
			return r[1]
		}
	}
	return "check that it runs there, that this machine may connect to it, and that both sides use TLS, or neither"
}
