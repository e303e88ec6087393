package nonce

import "time"

// stamp is a moment in microseconds since 1970, the only form in which times
// are compared here: no locations, no monotonic readings, no nanoseconds that
// survive in memory but not in storage. Zero means absent.
type stamp int64

// lastStamp is where times saturate, far beyond what a verified token may hold
// (2^33 seconds). Saturating keeps the order, and equal stamps are always
// decided against the token.
const lastStamp stamp = 1 << 62

func stampOf(t time.Time) stamp {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() >= int64(lastStamp/1e6):
		return lastStamp
	case t.Unix() < 0:
		return 1
	}
	return max(1, stamp(t.UnixMicro()))
}

// plus adds a duration, rounded up to the microsecond so that what is kept is
// never kept too short. Negative durations count as none.
func (s stamp) plus(d time.Duration) stamp {
	if d <= 0 {
		return s
	}
	us := stamp(d / time.Microsecond)
	if d%time.Microsecond != 0 {
		us++
	}
	return min(s+us, lastStamp)
}

func (s stamp) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(s))
}
