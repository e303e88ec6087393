package memory

// none is the number of nothing in any arena.
const none = 0

// linked is what an arena holds: without pointers, and with a number in it that can
// lead to the next one while it is free.
type linked[T any] interface {
	*T
	link() *uint32
}

// arena holds things under numbers that they keep until they are freed, from 1 on.
// They stay where they are in memory: it grows by chunks, so that nothing is ever
// copied, and the garbage collector sees a few large chunks and not millions of
// things. As much as the first chunk would hold comes in 64 pieces, so that a store
// that is little used is small. Memory is used again but not given back.
type arena[T any, P linked[T]] struct {
	pieces [][]T
	chunks [][]T
	bits   uint8  // a chunk has so many things: 1 << bits
	filled uint32 // numbers that were ever in use
	free   uint32 // the first of them that is free
}

// piece is how many bits less than a chunk a piece has.
const piece = 6

func (a *arena[T, P]) at(id uint32) *T {
	bits := a.bits & 31
	if n := id >> bits; n > 0 {
		return &a.chunks[n-1][id&(1<<bits-1)]
	}
	bits -= piece
	return &a.pieces[id>>(bits&31)][id&(1<<(bits&31)-1)]
}

// take finds a number, and empties what it stands for.
func (a *arena[T, P]) take() (id uint32) {
	if id = a.free; id != none {
		t := a.at(id)
		a.free = *P(t).link()
		*P(t).link() = none
		return id
	}
	a.filled++
	if n := int(a.filled >> a.bits); n > len(a.chunks) {
		a.chunks = append(a.chunks, make([]T, 1<<a.bits))
	} else if n == 0 && int(a.filled>>(a.bits-piece)) == len(a.pieces) {
		a.pieces = append(a.pieces, make([]T, 1<<(a.bits-piece)))
	}
	return a.filled
}

// give frees a number.
func (a *arena[T, P]) give(id uint32) {
	t := a.at(id)
	var empty T
	*t = empty
	*P(t).link() = a.free
	a.free = id
}
