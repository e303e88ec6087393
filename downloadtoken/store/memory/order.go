package memory

import (
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// byExpiry ranks the entries of one owner: soonest exp first, and among equals
// the least recently used. It ranks by exp and not by the end of the leeway,
// because exp is what the floor is raised to.
type byExpiry struct{ *ledger }

func (r byExpiry) before(a, b uint32) bool {
	x, y := r.at(a), r.at(b)
	if x.expires != y.expires {
		return x.expires < y.expires
	}
	return x.used < y.used
}

func (r byExpiry) placed(id uint32, place int32) { r.at(id).place = place }

// bySoonest ranks owners by when their first entry may be forgotten.
type bySoonest struct{ *ledger }

func (r bySoonest) before(a, b uint32) bool { return r.firstKeep(a) < r.firstKeep(b) }

func (r bySoonest) firstKeep(slot uint32) rules.Stamp { return r.at(r.owners[slot].queue[0]).keep }

func (r bySoonest) placed(slot uint32, place int32) { r.owners[slot].soonest = place }

// byLargest ranks owners by how many entries they hold, most first.
type byLargest struct{ *ledger }

func (r byLargest) before(a, b uint32) bool {
	return len(r.owners[a].queue) > len(r.owners[b].queue)
}

func (r byLargest) placed(slot uint32, place int32) { r.owners[slot].largest = place }
