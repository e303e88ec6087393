package rules

import "time"

// Stamp is a moment in microseconds since 1970, the only form in which times
// are compared here: no locations, no monotonic readings, no nanoseconds that
// survive in memory but not in storage. Zero means absent.
type Stamp int64

// LastStamp is where times saturate, far beyond what a verified token may hold
// (2^33 seconds). Saturating keeps the order, and equal stamps are always
// decided against the token.
const LastStamp Stamp = 1 << 62

func StampOf(t time.Time) Stamp {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() >= int64(LastStamp/1e6):
		return LastStamp
	case t.Unix() < 0:
		return 1
	}
	return max(1, Stamp(t.UnixMicro()))
}

// plus adds a duration, rounded up to the microsecond so that what is kept is
// never kept too short. Negative durations count as none.
func (s Stamp) Plus(d time.Duration) Stamp {
	if d <= 0 {
		return s
	}
	us := Stamp(d / time.Microsecond)
	if d%time.Microsecond != 0 {
		us++
	}
	return min(s+us, LastStamp)
}

func (s Stamp) Time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(s))
}
