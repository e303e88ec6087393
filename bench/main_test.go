package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestMain lets the test binary be the children, too.
func TestMain(m *testing.M) {
	if done, err := child(os.Args[1:]); done {
		exit(err)
	}
	os.Exit(m.Run())
}

func onLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of another process is read on Linux only")
	}
}

// TestShort: everything that the command measures runs, and every case has its row with
// figures in it.
func TestShort(t *testing.T) {
	onLinux(t)
	o, err := parse([]string{"-short"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	if err := run(t.Context(), o, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	here := make(map[string]bool)
	for server, program := range programs {
		_, err := exec.LookPath(program)
		here[server] = err == nil
		if skipped := strings.Contains(progress.String(), "SKIPPED: "+program); skipped == here[server] {
			t.Errorf("%s is here: %t; said to be skipped: %t", program, here[server], skipped)
		}
		if !here[server] && os.Getenv("DOWNLOAD_TOKEN_STRICT") != "" {
			t.Errorf("%s is not installed", program)
		}
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(out.String()) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		rows[cells[0]] = cells[1:]
	}
	for _, g := range groups(o) {
		for _, c := range cases {
			if !g.has(c) || programs[c.server] != "" && !here[c.server] {
				continue
			}
			checkRow(t, g.name(c), rows[g.name(c)], c.server == nginxServer)
		}
	}
	for _, c := range aloneCases {
		if len(rows[c.name]) != 4*len(o.cpus)+1 && runtime.NumCPU() > 1 {
			t.Errorf("%s has no row in the second table", c.name)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// checkRow: all figures are there, and more than nothing.
func checkRow(t *testing.T, name string, cells []string, foreign bool) {
	t.Helper()
	if len(cells) != 7 {
		t.Errorf("%s has %d cells", name, len(cells))
		return
	}
	for i, cell := range cells {
		if foreign && i == 4 && cell == "-" {
			continue
		}
		var figure float64
		if _, err := fmt.Sscanf(cell, "%g", &figure); err != nil || figure <= 0 && i != 1 && i != 3 {
			t.Errorf("%s: cell %d is %q", name, i, cell)
		}
	}
}

func TestNoSuchCase(t *testing.T) {
	onLinux(t)
	o, err := parse([]string{"-case", "^nothing$", "-cpu", ""}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), o, io.Discard, io.Discard); err == nil {
		t.Error("an empty table is no error")
	}
}

func TestParse(t *testing.T) {
	for _, args := range []string{"-rounds 0", "-requests 0", "-connections 0", "-cpu 0", "-cpu 1,,2", "-cpu x", "-case (", "more"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
	o, err := parse([]string{"-cpu", "1,2,4"}, io.Discard)
	if err != nil || fmt.Sprint(o.cpus) != "[1 2 4]" {
		t.Errorf("%v, %v", o, err)
	}
}
