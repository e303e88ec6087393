package memory

// queue is a binary heap of numbers that stand for owners. What it ranks is told its
// place, so that it can be moved or taken out of the middle in O(log n).
type queue []uint32

// ranking says which of two numbers comes first, and is told where each stands.
type ranking interface {
	before(a, b uint32) bool
	placed(id uint32, place int32)
}

// nowhere is the place of what is not in a queue.
const nowhere = -1

func push[R ranking](q *queue, r R, id uint32) {
	*q = append(*q, id)
	rise(*q, r, len(*q)-1)
}

// fix restores the order after the rank of the number at place has changed.
func fix[R ranking](q queue, r R, place int32) {
	i := int(place)
	if !sink(q, r, i) {
		rise(q, r, i)
	}
}

func remove[R ranking](q *queue, r R, place int32) {
	i, last := int(place), len(*q)-1
	r.placed((*q)[i], nowhere)
	moved := (*q)[last]
	*q = (*q)[:last]
	if i < last {
		(*q)[i] = moved
		fix(*q, r, place)
	}
}

func rise[R ranking](q queue, r R, i int) {
	id := q[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !r.before(id, q[parent]) {
			break
		}
		q[i] = q[parent]
		r.placed(q[i], int32(i))
		i = parent
	}
	q[i] = id
	r.placed(id, int32(i))
}

// sink reports whether the number at i moved.
func sink[R ranking](q queue, r R, i int) bool {
	id, start := q[i], i
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && r.before(q[child+1], q[child]) {
			child++
		}
		if !r.before(q[child], id) {
			break
		}
		q[i] = q[child]
		r.placed(q[i], int32(i))
		i = child
	}
	q[i] = id
	r.placed(id, int32(i))
	return i != start
}
