package downloads

import "slices"

// spans are parts of a file that do not touch, in their order.
type spans []span

// span is the bytes from first to before end.
type span struct{ first, end int64 }

// maxSpans bounds what is remembered of a download of which a client reads here and there.
// Further parts that touch no other are then not counted as distinct.
const maxSpans = 1000

func (s *spans) add(first, end int64) {
	if end <= first {
		return
	}
	// All from i to before j touch the new one.
	i, _ := slices.BinarySearchFunc(*s, first, func(x span, first int64) int {
		if x.end < first {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(*s) && (*s)[j].first <= end; j++ {
		first, end = min(first, (*s)[j].first), max(end, (*s)[j].end)
	}
	if i == j && len(*s) >= maxSpans {
		return
	}
	*s = slices.Replace(*s, i, j, span{first, end})
}

func (s spans) length() (n int64) {
	for _, x := range s {
		n += x.end - x.first
	}
	return n
}
