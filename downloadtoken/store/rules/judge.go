package rules

// Judge is the promise: the rules of the package comment. found: the store has an
// entry for the token, with so many uses that are committed and reserved. Otherwise
// floor is that of the signer, and marks are as they were found at the start.
func Judge(s *Showing, found bool, committed, reserved uint32, floor Stamp, marks Marks) error {
	switch {
	case found && committed >= s.Uses:
		return ErrReplayed
	case found && committed+reserved >= s.Uses:
		return ErrInUse
	case !found && (s.Expires <= floor || !marks.Vouch(s) || !s.arrived()):
		return ErrUnproven
	}
	return nil
}

// arrived is rule 4: whether the token was issued since this store has been the one that
// is asked about it. Without marks of its own, that is rule 3 with another beginning.
func (s *Showing) arrived() bool { return s.Moved == 0 || Marks{since: s.Moved}.Vouch(s) }
