package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// median of one figure of the samples; of an even number the lower of the two.
func median[S any, T cmp.Ordered](samples []S, figure func(S) T) T {
	var zero T
	if len(samples) == 0 {
		return zero
	}
	figures := make([]T, len(samples))
	for i, s := range samples {
		figures[i] = figure(s)
	}
	slices.Sort(figures)
	return figures[(len(figures)-1)/2]
}

// ratio is the median of the ratios round by round.
func ratio(samples, base []sample, figure func(sample) float64) float64 {
	ratios := make([]float64, len(samples))
	for i := range samples {
		ratios[i] = figure(samples[i]) / figure(base[i])
	}
	return median(ratios, func(r float64) float64 { return r })
}

func cpuOf(s sample) float64     { return float64(s.cpu) }
func speedOf(s sample) float64   { return s.perSecond }
func mallocsOf(s sample) float64 { return s.mallocs }

// writeTable writes the rows in Markdown, and what secure_link costs nginx itself.
func writeTable(out io.Writer, results []result) {
	io.WriteString(out, "| file / protocol / case | server CPU a request | x bare | requests/s | x bare | allocations | p50 | p99 |\n"+
		"|---|---|---|---|---|---|---|---|\n")
	var notes, forwards string
	for i, r := range results {
		allocations := "-"
		if r.test.server != nginxServer {
			allocations = fmt.Sprintf("%.0f", median(r.samples, mallocsOf))
		}
		name := r.group.name(r.test)
		fmt.Fprintf(out, "| %s | %s | %.2f | %.4g | %.2f | %s | %s | %s |\n", name,
			short(median(r.samples, func(s sample) time.Duration { return s.cpu })), ratio(r.samples, r.base, cpuOf),
			median(r.samples, speedOf), ratio(r.samples, r.base, speedOf), allocations,
			short(median(r.samples, func(s sample) time.Duration { return s.p50 })),
			short(median(r.samples, func(s sample) time.Duration { return s.p99 })))
		switch r.test.name {
		case bareOneWrite:
			for _, other := range results {
				if other.group == r.group && other.test.refused == "" && other.test.server != nginxServer && other.test.name != bareOneWrite {
					notes += fmt.Sprintf("%s: CPU x %.2f of %s.\n", other.group.name(other.test), ratio(other.samples, r.samples, cpuOf), bareOneWrite)
				}
			}
		case secureLink:
			if i > 0 && results[i-1].test.name == nginxServer {
				nginx := results[i-1].samples
				notes += fmt.Sprintf("%s: CPU x %.2f of nginx without it.\n", name, ratio(r.samples, nginx, cpuOf))
			}
		case forwardAuth:
			forwards = "forward_auth is without the CPU of the responder that it asks, a process of its own.\n"
		}
	}
	fmt.Fprintf(out, "\n%s is the same as bare: how far it is from 1 is the noise. %s delivers a small file like\n"+
		"download_token, in one write instead of two: what the check costs is the ratio to that.\n\n%s%s",
		bareAgain, bareOneWrite, notes, forwards)
}

// writeAlone writes the second table: the handler without network and files.
func writeAlone(out io.Writer, rows []alone) {
	if len(rows) == 0 {
		return
	}
	io.WriteString(out, "\nThe handler alone, called in one process with a next handler that answers one byte,\n"+
		"because two cores cannot also host the client. P is GOMAXPROCS.\n\n| case |")
	cells := "|---|"
	for _, c := range rows[0].Cost {
		fmt.Fprintf(out, " P %d: CPU a request | over next | allocations over next | requests/s |", c.CPUs)
		cells += "---|---|---|---|"
	}
	fmt.Fprintf(out, " last P x first |\n%s---|\n", cells)
	for _, row := range rows {
		fmt.Fprintf(out, "| %s |", row.Name)
		for i, c := range row.Cost {
			next := rows[0].Cost[i]
			fmt.Fprintf(out, " %s | %s | %.1f | %.4g |", short(c.CPU), short(c.CPU-next.CPU), c.Mallocs-next.Mallocs, c.PerSecond)
		}
		fmt.Fprintf(out, " %.2f |\n", row.Scaling)
	}
}

// short writes a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d.Abs() >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	case d.Abs() >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.3g µs", float64(d)/1e3)
}
