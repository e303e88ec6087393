package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// writeMachine says where and when the figures were measured, and how.
func writeMachine(out io.Writer, o *options, load string) {
	version, _ := caddy.Version()
	fmt.Fprintf(out, "%s, %s, %d cores, %s, Caddy %s, %s/%s, load %s at the start; medians of %d rounds, %d connections.\n\n",
		time.Now().UTC().Format(time.DateOnly), processor(), runtime.NumCPU(), runtime.Version(), version,
		runtime.GOOS, runtime.GOARCH, load, o.rounds, o.connections)
	if o.short {
		io.WriteString(out, "Too short to mean anything: this shows only that everything runs.\n\n")
	}
}

// processor is the model of the first CPU.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown processor"
}

// loadAverage is how many processes wanted to run in the last minute, on average. More
// than there are cores: the figures are those of a machine that was shared.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}
