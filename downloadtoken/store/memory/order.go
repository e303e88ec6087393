package memory

// bySoonest ranks owners by when their first entry may be forgotten.
type bySoonest struct{ *ledger }

func (r bySoonest) before(a, b uint32) bool { return r.owners[a].keep < r.owners[b].keep }

func (r bySoonest) placed(slot uint32, place int32) { r.owners[slot].soonest = place }

// byLargest ranks owners by how many entries they hold, most first.
type byLargest struct{ *ledger }

func (r byLargest) before(a, b uint32) bool {
	return r.owners[a].entries > r.owners[b].entries
}

func (r byLargest) placed(slot uint32, place int32) { r.owners[slot].largest = place }
