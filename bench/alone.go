package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The handler alone: Caddy's routes with a next handler that answers one byte, called
// in the process that holds the requests, with no network and no file. Two cores cannot
// host a client next to a server that shall have both, so this is also what shows
// whether two cores do twice the work.

// alone is a row: the handler in front of the trivial one.
type alone struct {
	Name    string
	Cost    []aloneCost // in the order of the options' cpus
	Scaling float64     // throughput with the last of cpus, as a multiple of the first
}

// aloneCost is a median, a request.
type aloneCost struct {
	CPUs      int // GOMAXPROCS, and how many requests there are at a time
	CPU       time.Duration
	PerSecond float64 // requests, by the wall clock
	Mallocs   float64
}

// aloneCases are rows of the table by their targets, as the requests ask for them. The
// first is the next handler on its own.
var aloneCases = []testCase{
	{name: "the next handler", server: bare, targets: plain},
	{name: "one-time-HS256-fresh", server: "one-time", targets: fresh("HS256")},
	{name: "multi-HS256-fresh", server: "HS256", targets: fresh("HS256")},
	{name: "multi-HS256-seen", server: "HS256", targets: seen("HS256")},
	{name: "multi-RS256-seen", server: "RS256", targets: seen("RS256")},
	{name: "naive-HS256-fresh", server: "naive", targets: fresh("HS256")},
	{name: "refused-missing", server: "HS256", refused: `"missing"`, targets: plain},
	{name: "refused-malformed", server: "HS256", refused: `"malformed"`, targets: malformed},
	{name: "refused-signature", server: "HS256", refused: `"invalid"`, targets: forged},
	{name: "control: SHA-256 in a loop", server: control, targets: plain},
}

// control shares nothing between requests. Where it does not scale, the machine was busy
// with something else, and what the others did shows nothing.
const control = "control"

func hashes(w http.ResponseWriter, _ *http.Request) {
	var sum [sha256.Size]byte
	for range 50 {
		sum = sha256.Sum256(sum[:])
	}
	_, _ = w.Write(sum[:1])
}

// measureAlone has another process of this program do it, in which no garbage of the
// clients is left.
func measureAlone(ctx context.Context, o *options, dir string, progress io.Writer) ([]alone, error) {
	plan := aloneOptions{Rounds: o.rounds, Requests: 5 * o.requests}
	for _, n := range o.cpus {
		if n > runtime.NumCPU() {
			fmt.Fprintf(progress, "SKIPPED: -cpu %d on %d cores shows nothing\n", n, runtime.NumCPU())
			continue
		}
		plan.CPUs = append(plan.CPUs, n)
	}
	if len(plan.CPUs) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "alone")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "the handler alone: %d rounds, GOMAXPROCS %v\n", o.rounds, plan.CPUs)
	cmd := exec.CommandContext(ctx, program, aloneArg, home, string(text))
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	answer, err := cmd.Output()
	if err != nil {
		said := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = strings.TrimSpace(string(exit.Stderr))
		}
		return nil, fmt.Errorf("the handler alone: %w: %s", err, said)
	}
	var rows []alone
	return rows, json.Unmarshal(answer, &rows)
}

// aloneOptions is what the other process is told.
type aloneOptions struct {
	Rounds, Requests int
	CPUs             []int
}

func serveAlone(dir string, args []string, out io.Writer) error {
	var o aloneOptions
	if err := json.Unmarshal([]byte(strings.Join(args, " ")), &o); err != nil {
		return err
	}
	keys, err := newKeys(dir)
	if err != nil {
		return err
	}
	handlers, err := aloneHandlers(dir, keys)
	if err != nil {
		return err
	}
	type cell struct{ row, cpu int }
	samples := make(map[cell][]aloneCost)
	for round := range o.Rounds + 1 {
		for i, c := range aloneCases {
			for j, cpus := range o.CPUs {
				targets, err := c.targets(keys, "file", o.Requests)
				if err != nil {
					return err
				}
				cost, err := call(handlers[c.server], targets, c.want(1), cpus)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				if round > 0 { // the first warms up
					samples[cell{i, j}] = append(samples[cell{i, j}], cost)
				}
			}
		}
	}
	rows := make([]alone, len(aloneCases))
	for i, c := range aloneCases {
		rows[i].Name = c.name
		for j, cpus := range o.CPUs {
			rows[i].Cost = append(rows[i].Cost, aloneCost{
				CPUs:      cpus,
				CPU:       median(samples[cell{i, j}], func(c aloneCost) time.Duration { return c.CPU }),
				PerSecond: median(samples[cell{i, j}], func(c aloneCost) float64 { return c.PerSecond }),
				Mallocs:   median(samples[cell{i, j}], func(c aloneCost) float64 { return c.Mallocs }),
			})
		}
		first, last := samples[cell{i, 0}], samples[cell{i, len(o.CPUs) - 1}]
		scaled := make([]float64, len(first))
		for round := range first {
			scaled[round] = last[round].PerSecond / first[round].PerSecond
		}
		rows[i].Scaling = median(scaled, func(s float64) float64 { return s })
	}
	return json.NewEncoder(out).Encode(rows)
}

// aloneHandlers loads all sites into this process and finds what serves each.
func aloneHandlers(dir string, k *keys) (map[string]http.Handler, error) {
	text, addrs := globals(dir, ""), make(map[string]string)
	directives := sites(k)
	for _, c := range aloneCases {
		if c.server == control || addrs[c.server] != "" {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		addrs[c.server] = l.Addr().String()
		l.Close()
		text += fmt.Sprintf("http://%s {\n\troute {\n\t\t%s\n\t\trespond x\n\t}\n}\n", addrs[c.server], directives[c.server])
	}
	if err := load([]byte(text)); err != nil {
		return nil, err
	}
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		return nil, err
	}
	handlers := map[string]http.Handler{control: http.HandlerFunc(hashes)}
	for name, addr := range addrs {
		for _, s := range app.(*caddyhttp.App).Servers {
			if slices.Contains(s.Listen, addr) {
				handlers[name] = toHost{s, addr}
			}
		}
		if handlers[name] == nil {
			return nil, fmt.Errorf("no server listens on %s", addr)
		}
	}
	return handlers, nil
}

// toHost sends requests to the site that has the address.
type toHost struct {
	next http.Handler
	host string
}

func (h toHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Host = h.host
	h.next.ServeHTTP(w, r)
}

// call hands the requests to the handler, made before the clock starts, because the
// handler takes the token out of each.
func call(h http.Handler, targets []string, wanted want, cpus int) (aloneCost, error) {
	requests := make([]*http.Request, len(targets))
	for i, target := range targets {
		r, err := http.NewRequest(http.MethodGet, target, nil)
		if err != nil {
			return aloneCost{}, err
		}
		r.RequestURI, r.RemoteAddr = target, "127.0.0.1:1"
		requests[i] = r
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cpus))
	runtime.GC()
	failed := make([]error, cpus)
	var before, after runtime.MemStats
	var all sync.WaitGroup
	runtime.ReadMemStats(&before)
	cpu, err := processCPU(os.Getpid())
	if err != nil {
		return aloneCost{}, err
	}
	began := time.Now()
	for i := range cpus {
		all.Go(func() {
			w := &answer{header: make(http.Header)}
			for j := i; j < len(requests) && failed[i] == nil; j += cpus {
				clear(w.header)
				w.status, w.body = 0, w.body[:0]
				h.ServeHTTP(w, requests[j])
				failed[i] = wanted.check(w.status, int64(len(w.body)), w.body)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	cpuAfter, err := processCPU(os.Getpid())
	if err != nil {
		return aloneCost{}, err
	}
	runtime.ReadMemStats(&after)
	if err := errors.Join(failed...); err != nil {
		return aloneCost{}, err
	}
	n := len(targets)
	return aloneCost{
		CPUs:      cpus,
		CPU:       (cpuAfter - cpu) / time.Duration(n),
		PerSecond: float64(n) / took.Seconds(),
		Mallocs:   float64(after.Mallocs-before.Mallocs) / float64(n),
	}, nil
}

// answer keeps what is written until the next one.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.body = append(a.body, p...)
	return len(p), nil
}
