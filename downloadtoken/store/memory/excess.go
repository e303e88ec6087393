package memory

import "github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"

// excess is how long an entry is kept after its exp, never too short: so many
// microseconds, or, from 36 minutes on, seconds rounded up.
type excess uint32

const (
	inSeconds excess = 1 << 31 // the rest is in seconds
	forEver   excess = 1<<32 - 1
)

func excessOf(expires, keep rules.Stamp) excess {
	over := keep - expires
	switch {
	case over <= 0:
		return 0
	case over < rules.Stamp(inSeconds):
		return excess(over)
	}
	seconds := over / 1e6
	if over%1e6 != 0 {
		seconds++
	}
	return inSeconds | excess(min(seconds, rules.Stamp(forEver&^inSeconds)))
}

// after is the moment until which an entry with this exp is kept.
func (x excess) after(expires rules.Stamp) rules.Stamp {
	over := rules.Stamp(x)
	switch {
	case x == forEver:
		return rules.LastStamp
	case x >= inSeconds:
		over = rules.Stamp(x&^inSeconds) * 1e6
	}
	return min(expires+over, rules.LastStamp)
}
