package rules

import (
	"math"
	"testing"
	"time"
)

func TestStamp(t *testing.T) {
	for _, c := range []struct {
		name string
		time time.Time
		want Stamp
	}{
		{"absent", time.Time{}, 0},
		{"epoch is not absent", time.Unix(0, 0), 1},
		{"before epoch", time.Unix(-5, 0), 1},
		{"before year one", time.Unix(math.MinInt64/2, 0), 1},
		{"a second", time.Unix(1, 0), 1_000_000},
		{"milliseconds", time.UnixMilli(1234), 1_234_000},
		{"nanoseconds are cut", time.Unix(1, 1999), 1_000_001},
		{"another zone", time.Unix(1, 0).In(time.FixedZone("", 3600)), 1_000_000},
		{"last claim", time.Unix(1<<33, 0), 1 << 33 * 1_000_000},
		{"beyond all", time.Unix(math.MaxInt64/2, 0), LastStamp},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := StampOf(c.time); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestStampPlus(t *testing.T) {
	for _, c := range []struct {
		name string
		from Stamp
		d    time.Duration
		want Stamp
	}{
		{"nothing", 10, 0, 10},
		{"negative", 10, -time.Hour, 10},
		{"microsecond", 10, time.Microsecond, 11},
		{"part of one counts whole", 10, 1, 11},
		{"longest", 10, math.MaxInt64, 10 + math.MaxInt64/1000 + 1},
		{"saturates", LastStamp, time.Hour, LastStamp},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.from.Plus(c.d); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
