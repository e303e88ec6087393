package memory

import (
	"iter"
	"slices"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// fan is how many places a node has.
const fan = 32

// node is a node of a B+ tree that has the entries of one owner in the order in which
// they are given up: soonest exp first, and among equals the least recently used,
// which is the one that was put there first. Nodes hold no pointers and stay where
// they are.
type node struct {
	parent uint32 // none: it is the root; of a free node, the next one
	owner  uint32
	n      uint16 // places in use; 0: it is free, or about to be
	leaf   bool
	// exps are those of the entries in a leaf. In any other node, no entry below
	// ids[i] has an exp less than exps[i] or greater than exps[i+1]; exps[0] says
	// nothing.
	exps [fan]rules.Stamp
	ids  [fan]uint32 // entries in a leaf, nodes in any other
}

// after is the place behind all that have this exp or a lesser one.
func (d *node) after(exp rules.Stamp) int {
	i := int(d.n)
	for i > 0 && d.exps[i-1] > exp { // from the end, where most belong
		i--
	}
	return i
}

func (d *node) place(id uint32) int { return slices.Index(d.ids[:d.n], id) }

func (d *node) link() *uint32 { return &d.parent }

// nodes holds the nodes of all trees.
type nodes struct{ arena[node, *node] }

func newNodes() nodes { return nodes{arena[node, *node]{bits: 11}} }

func (s *nodes) node(id uint32) *node { return s.arena.at(id) }

func (s *nodes) newNode(owner uint32, leaf bool) uint32 {
	id := s.take()
	d := s.node(id)
	d.owner, d.leaf = owner, leaf
	return id
}

// first is the entry that is given up first, with its exp.
func (s *nodes) first(root uint32) (id uint32, exp rules.Stamp) {
	d := s.node(root)
	for !d.leaf {
		d = s.node(d.ids[0])
	}
	return d.ids[0], d.exps[0]
}

// leaves are those of a tree, in order.
func (s *nodes) leaves(root uint32) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		if root != none {
			s.eachLeaf(root, yield)
		}
	}
}

func (s *nodes) eachLeaf(in uint32, yield func(*node) bool) bool {
	d := s.node(in)
	if d.leaf {
		return yield(d)
	}
	for _, id := range d.ids[:d.n] {
		if !s.eachLeaf(id, yield) {
			return false
		}
	}
	return true
}

// enqueue puts the entry behind all others of its owner with this exp.
func (l *ledger) enqueue(owner, id uint32, exp rules.Stamp) {
	o := &l.owners[owner]
	if o.root == none {
		o.root = l.newNode(owner, true)
	}
	in := o.root
	d := l.node(in)
	for !d.leaf {
		in = d.ids[max(d.after(exp), 1)-1]
		d = l.node(in)
	}
	l.put(in, d.after(exp), exp, id)
}

// dequeue takes the entry out, and returns its exp.
func (l *ledger) dequeue(id uint32) rules.Stamp {
	in := l.at(id).leaf
	d := l.node(in)
	place := d.place(id)
	exp := d.exps[place]
	l.cut(in, place)
	return exp
}

// adopt tells an entry or a node where it is.
func (l *ledger) adopt(parent uint32, d *node, id uint32) {
	if d.leaf {
		l.at(id).leaf = parent
	} else {
		l.node(id).parent = parent
	}
}

// put makes room for an entry or a node at a place of a node.
func (l *ledger) put(in uint32, place int, exp rules.Stamp, id uint32) {
	if l.node(in).n == fan {
		in, place = l.divide(in, place, exp)
	}
	d := l.node(in)
	copy(d.exps[place+1:d.n+1], d.exps[place:])
	copy(d.ids[place+1:d.n+1], d.ids[place:])
	d.exps[place], d.ids[place] = exp, id
	d.n++
	l.adopt(in, d, id)
}

// divide moves a part of a full node to a new one on its right, and says where the
// place is then.
func (l *ledger) divide(in uint32, place int, exp rules.Stamp) (uint32, int) {
	d, keep := l.node(in), l.keep(in, place)
	right := l.newNode(d.owner, d.leaf)
	bound := exp
	if keep < fan {
		bound = d.exps[keep]
		l.move(right, d.exps[keep:], d.ids[keep:])
		d.n = uint16(keep)
	}
	if d.parent == none {
		top := l.newNode(d.owner, false)
		l.owners[d.owner].root = top
		l.put(top, 0, 0, in)
	}
	l.put(d.parent, l.node(d.parent).place(in)+1, bound, right)
	if place > keep || keep == fan {
		return right, place - keep
	}
	return in, place
}

// keep is how many places a full node keeps when it is divided because of one more at
// this place. What is added in order leaves full nodes behind: at the end of the tree,
// where most come, nothing is moved.
func (l *ledger) keep(in uint32, place int) int {
	switch {
	case place == fan && l.isLast(in):
		return fan
	case place > fan*7/8:
		return fan * 7 / 8
	case place < fan/8:
		return fan / 8
	}
	return fan / 2
}

// move appends to a node what was in another.
func (l *ledger) move(to uint32, exps []rules.Stamp, ids []uint32) {
	d := l.node(to)
	copy(d.exps[d.n:], exps)
	copy(d.ids[d.n:], ids)
	d.n += uint16(len(ids))
	for _, id := range ids {
		l.adopt(to, d, id)
	}
}

// isLast reports whether nothing of the tree is on the right of the node.
func (l *ledger) isLast(in uint32) bool {
	for up := l.node(in).parent; up != none; in, up = up, l.node(up).parent {
		if d := l.node(up); d.ids[d.n-1] != in {
			return false
		}
	}
	return true
}

// cut takes out what is at a place of a node, and the node if nothing is left.
func (l *ledger) cut(in uint32, place int) {
	d := l.node(in)
	copy(d.exps[place:], d.exps[place+1:d.n])
	copy(d.ids[place:], d.ids[place+1:d.n])
	d.n--
	switch up := d.parent; {
	case d.n == 0 && up == none:
		l.owners[d.owner].root = none
		l.nodes.give(in)
	case d.n == 0:
		l.nodes.give(in)
		l.cut(up, l.node(up).place(in))
	case d.n == 1 && up == none && !d.leaf:
		l.owners[d.owner].root = d.ids[0]
		l.node(d.ids[0]).parent = none
		l.nodes.give(in)
	case d.n < fan/4 && up != none:
		if place := l.node(up).place(in); !l.merge(up, place) {
			l.merge(up, place-1)
		}
	}
}

// merge puts the node at a place of its parent and the next one together, if that
// leaves some room.
func (l *ledger) merge(up uint32, place int) bool {
	p := l.node(up)
	if place < 0 || place+1 >= int(p.n) {
		return false
	}
	left, right := p.ids[place], p.ids[place+1]
	r := l.node(right)
	if l.node(left).n+r.n > fan*3/4 {
		return false
	}
	if !r.leaf {
		r.exps[0] = p.exps[place+1]
	}
	l.move(left, r.exps[:r.n], r.ids[:r.n])
	l.nodes.give(right)
	l.cut(up, place+1)
	return true
}
