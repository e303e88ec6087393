// Command bench compares what a download costs with download_token in front of
// file_server, without it, and with what else guards a file: a few lines around
// golang-jwt, forward_auth, and nginx with and without secure_link.
//
//	go run ./bench
//	go run ./bench -case '^1KiB/h1/' -rounds 20
//	go run ./bench -short
//
// It starts each server as a process of its own on loopback, the Caddys from its own
// binary. A group is a size of file and a protocol; in each round of a group every case
// has its turn, in another order each time, because machines are noisy and do not stay
// the same. Every answer is checked for its status and length, and a refusal for its
// reason, so that no case measures another by mistake.
//
// The table has medians of the rounds. Server CPU is what the kernel accounts to the
// server's process, allocations are runtime.MemStats.Mallocs as that process reports
// them, and a ratio is the median of the ratios to the bare file_server of the same
// round. Tokens are minted before the clock starts. It runs on Linux.
//
// A ratio to bare file_server is of everything that differs, and not only of the check:
// see oneWrite for small files. Of large ones, download_token keeps sendfile where bare
// file_server loses it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	rounds      int
	requests    int // a round, of the smallest file
	connections int
	cases       *regexp.Regexp
	cpus        []int // GOMAXPROCS of the second table; empty: none
	timeout     time.Duration
	short       bool
}

func parse(args []string, out io.Writer) (*options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	o := &options{}
	flags.IntVar(&o.rounds, "rounds", 5, "how many `rounds` each group has")
	flags.IntVar(&o.requests, "requests", 2000, "`requests` a round and case for 1 KiB; larger files have fewer")
	flags.IntVar(&o.connections, "connections", 4, "how many `connections` ask at the same time")
	chosen := flags.String("case", "", "a `regexp` that chooses cases by name, such as ^1KiB/h1/; bare file_server is always there")
	cpus := flags.String("cpu", "1,2", "GOMAXPROCS values for the handler alone; empty: leave that out")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Minute, "give up after this `time`")
	flags.BoolVar(&o.short, "short", false, "only show that everything runs: one small round, and no file over 8 MiB")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.short {
		o.rounds, o.requests, o.connections = 1, 40, 2
	}
	if o.rounds < 1 || o.requests < 1 || o.connections < 1 {
		return nil, errors.New("rounds, requests and connections must be at least 1")
	}
	for field := range strings.SplitSeq(*cpus, ",") {
		if *cpus == "" {
			break
		}
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("cpu %q is not a list of numbers such as 1,2", *cpus)
		}
		o.cpus = append(o.cpus, n)
	}
	var err error
	o.cases, err = regexp.Compile(*chosen)
	return o, err
}

func main() {
	if done, err := child(os.Args[1:]); done {
		exit(err)
	}
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err = run(ctx, o, os.Stdout, os.Stderr)
		stop()
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures, writes the tables to out, and says on progress what it does.
func run(ctx context.Context, o *options, out, progress io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if _, err := processCPU(os.Getpid()); err != nil {
		return err
	}
	load := loadAverage()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	defer w.stop()

	var results []result
	for _, g := range groups(o) {
		chosen, err := w.choose(ctx, g, o.cases, progress)
		if err != nil {
			return err
		}
		if len(chosen) == 0 {
			continue
		}
		measured, err := w.measure(ctx, o, g, chosen, progress)
		if err != nil {
			return err
		}
		results = append(results, measured...)
	}
	w.stop()
	if len(results) == 0 && len(o.cpus) == 0 {
		return errors.New("no case has such a name")
	}
	writeMachine(out, o, load)
	if len(results) > 0 {
		writeTable(out, results)
	}
	if len(o.cpus) > 0 {
		alone, err := measureAlone(ctx, o, dir, progress)
		if err != nil {
			return err
		}
		writeAlone(out, alone)
	}
	return nil
}
