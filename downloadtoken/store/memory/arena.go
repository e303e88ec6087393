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
// copied, and the garbage collector sees a few chunks and not millions of things.
// Memory is used again but not given back.
type arena[T any, P linked[T]] struct {
	chunks [][]T
	bits   uint8  // a chunk has so many things: 1 << bits
	filled uint32 // numbers that were ever in use
	free   uint32 // the first of them that is free
}

func (a *arena[T, P]) at(id uint32) *T {
	bits := a.bits & 31
	return &a.chunks[id>>bits][id&(1<<bits-1)]
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
	if int(a.filled>>a.bits) == len(a.chunks) {
		a.chunks = append(a.chunks, make([]T, 1<<a.bits))
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
