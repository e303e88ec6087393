package command

import (
	"fmt"
	"time"
)

// inWords says what a time claim means at now.
func inWords(claim string, at, now time.Time) string {
	past := !at.After(now)
	distance := span(at.Sub(now).Abs())
	switch {
	case claim == "exp" && past:
		return "expired " + distance + " ago"
	case claim == "exp":
		return "expires in " + distance
	case claim == "nbf" && past:
		return "valid since " + distance
	case claim == "nbf":
		return "not valid before another " + distance
	case past:
		return "issued " + distance + " ago"
	}
	return "issued " + distance + " in the future; the clocks differ"
}

// span names a duration by its largest unit, and by the next one too where the
// first alone would be coarse. It rounds down.
func span(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{
		{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second},
	}
	for i, unit := range units {
		n := d / unit.size
		if n == 0 {
			continue
		}
		words := count(n, unit.name)
		if i+1 < len(units) && n < 3 {
			next := units[i+1]
			if rest := d % unit.size / next.size; rest > 0 {
				words += " " + count(rest, next.name)
			}
		}
		return words
	}
	return "less than a second"
}

func count(n time.Duration, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
