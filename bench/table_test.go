package main

import (
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	self := func(n int) int { return n }
	for _, test := range []struct {
		samples []int
		median  int
	}{
		{nil, 0},
		{[]int{7}, 7},
		{[]int{9, 1, 5}, 5},
		{[]int{4, 1, 3, 2}, 2},
	} {
		if got := median(test.samples, self); got != test.median {
			t.Errorf("median of %v is %d", test.samples, got)
		}
	}
}

// TestRatio: rounds are compared with their own bare one. The machine is half as fast
// in the second round, which must not show.
func TestRatio(t *testing.T) {
	base := []sample{{cpu: 100}, {cpu: 200}, {cpu: 100}}
	samples := []sample{{cpu: 150}, {cpu: 300}, {cpu: 150}}
	if got := ratio(samples, base, cpuOf); got != 1.5 {
		t.Error(got)
	}
}

func TestShortDuration(t *testing.T) {
	for d, text := range map[time.Duration]string{
		1234 * time.Nanosecond:   "1.23 µs",
		-500 * time.Nanosecond:   "-0.5 µs",
		12345 * time.Microsecond: "12.3 ms",
		1266 * time.Millisecond:  "1.27 s",
	} {
		if got := short(d); got != text {
			t.Errorf("%d is %q", d, got)
		}
	}
}
