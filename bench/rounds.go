package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// sample is what one case cost in one round, a request.
type sample struct {
	cpu       time.Duration // of the server
	perSecond float64       // requests
	mallocs   float64       // of the server
	p50, p99  time.Duration
}

// result is a row of the table: the samples of a case, in the order of the rounds.
type result struct {
	group   group
	test    testCase
	samples []sample
	base    []sample // those of bare file_server in the same rounds
}

// measure runs the rounds of a group. The first, which warms up, does not count.
func (w *world) measure(ctx context.Context, o *options, g group, chosen []testCase, progress io.Writer) ([]result, error) {
	samples := make([][]sample, len(chosen))
	for round := range o.rounds + 1 {
		fmt.Fprintf(progress, "%s/%s: round %d of %d, %d cases\n", g.file(), g.mode, round, o.rounds, len(chosen))
		for _, i := range rand.Perm(len(chosen)) { // no case always follows the same one
			s, err := w.round(ctx, o, g, &chosen[i], round == 0)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", g.name(chosen[i]), err)
			}
			if round > 0 {
				samples[i] = append(samples[i], s)
			}
		}
	}
	results := make([]result, len(chosen))
	for i := range chosen {
		results[i] = result{group: g, test: chosen[i], samples: samples[i], base: samples[0]}
	}
	return results, nil
}

// round is one turn of one case; a tenth of it to warm up.
func (w *world) round(ctx context.Context, o *options, g group, c *testCase, warmup bool) (sample, error) {
	n := g.requests
	if warmup {
		n = max(1, n/10)
	}
	targets, err := c.targets(w.keys, g.file(), n)
	if err != nil {
		return sample{}, err
	}
	s := w.servers[c.server]
	clients := make([]client, min(o.connections, n))
	for i := range clients {
		if clients[i], err = w.dial(ctx, s, g.mode); err != nil {
			return sample{}, s.explain(err)
		}
		defer clients[i].close()
	}
	wanted, err := w.settle(g, c, s, clients, targets)
	if err != nil {
		return sample{}, s.explain(err)
	}
	costs, err := s.costs(clients, targets, wanted)
	if err != nil {
		return sample{}, s.explain(err)
	}
	return costs, nil
}

// settle makes each connection, and its handshake, before the clock starts, with a
// request that spends no token. It returns what all answers of the round must be: the
// refusals all as long as the first.
func (w *world) settle(g group, c *testCase, s *server, clients []client, targets []string) (want, error) {
	wanted := c.want(g.size)
	if c.spent {
		if _, err := clients[0].get(targets[0], want{status: http.StatusOK, length: g.size}); err != nil {
			return want{}, err
		}
	}
	for _, client := range clients {
		if c.refused == "" {
			if _, err := client.get("/absent", want{status: c.absent, length: -1}); err != nil {
				return want{}, err
			}
			continue
		}
		length, err := client.get(targets[0], wanted)
		if err != nil {
			return want{}, err
		}
		wanted.length = length
	}
	return wanted, nil
}

// costs sends the requests, as many at a time as there are clients, and takes the
// server's account before and after.
func (s *server) costs(clients []client, targets []string, w want) (sample, error) {
	mallocs, err := s.mallocs()
	if err != nil {
		return sample{}, err
	}
	cpu, err := processCPU(s.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	took, elapsed, err := send(clients, targets, w)
	if err != nil {
		return sample{}, err
	}
	cpuAfter, err := processCPU(s.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	mallocsAfter, err := s.mallocs()
	if err != nil {
		return sample{}, err
	}
	n := len(targets)
	slices.Sort(took)
	return sample{
		cpu:       (cpuAfter - cpu) / time.Duration(n),
		perSecond: float64(n) / elapsed.Seconds(),
		mallocs:   float64(mallocsAfter-mallocs) / float64(n),
		p50:       took[n/2],
		p99:       took[n*99/100],
	}, nil
}

// send gives each client its share of the targets, one after another.
func send(clients []client, targets []string, w want) (took []time.Duration, elapsed time.Duration, err error) {
	took = make([]time.Duration, len(targets))
	failed := make([]error, len(clients))
	var all sync.WaitGroup
	began := time.Now()
	for i, client := range clients {
		all.Go(func() {
			for j := i; j < len(targets) && failed[i] == nil; j += len(clients) {
				asked := time.Now()
				_, failed[i] = client.get(targets[j], w)
				took[j] = time.Since(asked)
			}
		})
	}
	all.Wait()
	return took, time.Since(began), errors.Join(failed...)
}
