package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

var (
	// errDown: the server was out of reach, and nothing was sent.
	errDown = fmt.Errorf("%w: Redis cannot be reached", rules.ErrUnavailable)
	// errReplicas: the write may be lost with the server.
	errReplicas = errors.New("too few replicas have confirmed the write in time")
)

// link runs scripts on the server. When one fails it stops asking, so that a dead
// server costs a request nothing, until the monitor has reached it again.
type link struct {
	option   rueidis.ClientOption
	timeout  time.Duration
	replicas int           // that have to confirm what is committed
	patience time.Duration // with them
	// suspect is called before a script is loaded that the server should know: a
	// server that has forgotten its scripts may have forgotten more.
	suspect func(context.Context) error

	client atomic.Pointer[rueidis.Client]
	down   atomic.Bool
	tried  chan struct{} // closed when the server has been looked for once
	alarm  chan struct{} // for the monitor
}

func newLink(option rueidis.ClientOption, timeout time.Duration) *link {
	return &link{option: option, timeout: timeout, tried: make(chan struct{}), alarm: make(chan struct{}, 1)}
}

// probing marks contexts of the monitor, which asks a server that is down.
type probing struct{}

// connect makes the client, if there is none.
func (l *link) connect() error {
	if l.client.Load() != nil {
		return nil
	}
	client, err := rueidis.NewClient(l.option)
	if err != nil {
		return err
	}
	l.client.Store(&client)
	return nil
}

func (l *link) close() {
	if client := l.client.Swap(nil); client != nil {
		(*client).Close()
	}
}

// ready waits until the server has been looked for once.
func (l *link) ready(ctx context.Context) error {
	select {
	case <-l.tried:
		return nil
	default:
	}
	limited, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	select {
	case <-l.tried:
		return nil
	case <-limited.Done():
		return errDown
	}
}

// run runs a script. Every error but [errDown] leaves open whether it was done, so a
// client that goes away is not a reason to stop waiting for the answer.
func (l *link) run(ctx context.Context, s *script, keys, args []string) (reply, error) {
	if ctx.Err() != nil || ctx.Value(probing{}) == nil && l.down.Load() {
		return nil, errDown
	}
	client := l.client.Load()
	if client == nil {
		return nil, errDown
	}
	timeout := l.timeout
	if s.waits {
		timeout += l.patience
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	r, err := l.do(limited, *client, s, keys, args)
	if err != nil && limited.Err() == nil && !isAnswer(err) && !s.once {
		r, err = l.do(limited, *client, s, keys, args) // a connection broke; scripts know what they have done
	}
	if err == nil {
		return r, nil
	}
	if !errors.Is(err, errReplicas) {
		l.fail()
	}
	return nil, fmt.Errorf("%w: %w", rules.ErrUnavailable, err)
}

// isAnswer: the server has answered, and will answer the same again.
func isAnswer(err error) bool {
	_, ok := rueidis.IsRedisErr(err)
	return ok || errors.Is(err, errReplicas)
}

// fail opens the circuit, and has the monitor look at once.
func (l *link) fail() {
	l.down.Store(true)
	select {
	case l.alarm <- struct{}{}:
	default:
	}
}

func (l *link) do(ctx context.Context, client rueidis.Client, s *script, keys, args []string) (reply, error) {
	r, err := l.send(ctx, client, s, true, keys, args)
	if answer, ok := rueidis.IsRedisErr(err); !ok || !answer.IsNoScript() {
		return r, err
	}
	if s.judges && ctx.Value(learning{}) == nil {
		if err := l.suspect(ctx); err != nil {
			return nil, err
		}
	}
	return l.send(ctx, client, s, false, keys, args)
}

// send sends a script, or its hash, and waits for replicas on the same connection,
// since WAIT asks for what was written there.
func (l *link) send(ctx context.Context, client rueidis.Client, s *script, known bool, keys, args []string) (reply, error) {
	build := func(b rueidis.Builder) rueidis.Completed {
		if known {
			return b.Evalsha().Sha1(s.sha).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
		}
		return b.Eval().Script(s.text).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
	}
	if !s.waits || l.replicas == 0 {
		return answerOf(client.Do(ctx, build(client.B())))
	}
	dedicated, release := client.Dedicate()
	defer release()
	b := dedicated.B()
	results := dedicated.DoMulti(ctx, build(b), b.Arbitrary("WAIT", strconv.Itoa(l.replicas),
		strconv.FormatInt(max(1, l.patience.Milliseconds()), 10)).Build())
	r, err := answerOf(results[0])
	if err != nil || r.word(0) != "ok" {
		return r, err
	}
	if n, err := results[1].AsInt64(); err != nil {
		return nil, err
	} else if n < int64(l.replicas) {
		return nil, errReplicas
	}
	return r, nil
}

func answerOf(result rueidis.RedisResult) (reply, error) {
	r, err := result.ToArray()
	if err == nil && len(r) == 0 {
		err = errors.New("empty reply")
	}
	return r, err
}
