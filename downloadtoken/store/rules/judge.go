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
	case !found && (s.Expires <= floor || !marks.Vouch(s)):
		return ErrUnproven
	}
	return nil
}
