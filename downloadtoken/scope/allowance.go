package scope

import (
	"fmt"
	"strings"
)

// Allowance is a set of operations: what a scope lets be done with the paths that it
// opens. The zero value allows nothing.
type Allowance uint32

// The sets that have a name.
var (
	read   = allowing(Download, Details, List)
	create = allowing(CreateFile, CreateFolder, Upload)
	rename = allowing(RenameFile, RenameFolder)
	modify = create | rename | allowing(OverwriteFile, DeleteFile, DeleteFolder, Describe)
)

func allowing(ops ...Operation) (a Allowance) {
	for _, op := range ops {
		a |= 1 << op
	}
	return a
}

// ParseAllowance returns what any of these words allows; without a word that is read:
//
//   - read: Download, Details and List
//   - create: CreateFile, CreateFolder and Upload. What is there stays as it is.
//   - rename: RenameFile and RenameFolder
//   - modify: every operation that writes
//
// The error says which word is none of them, and lists them.
func ParseAllowance(words []string) (Allowance, error) {
	if len(words) == 0 {
		return read, nil
	}
	var all Allowance
	for _, word := range words {
		one, ok := allowances[word]
		if !ok {
			return 0, fmt.Errorf("allow: unknown permission '%s'; write one or more of read, create, modify, rename", word)
		}
		all |= one
	}
	return all, nil
}

// IsPermission tells whether [ParseAllowance] knows the word.
func IsPermission(word string) bool { return allowances[word] != 0 }

var allowances = map[string]Allowance{"read": read, "create": create, "modify": modify, "rename": rename}

// Allows tells whether op is in the set.
func (a Allowance) Allows(op Operation) bool { return op >= 0 && a&(1<<op) != 0 }

// Grants is [Allowance.Permits] for an op that writes; one that reads may be done on what
// the scope opens, if it is in the set.
func (a Allowance) Grants(op Operation, path string, opens func(path string) bool) bool {
	if op.Writes() {
		return a.Permits(op, path, opens)
	}
	return a.Allows(op) && opens(path)
}

// Writes tells whether any operation that writes is in the set.
func (a Allowance) Writes() bool { return a&modify != 0 }

// Permits tells whether op, which writes, may be done on path, by what a scope opens. A
// path is refused that [Path] would have refused, or that ends in a slash if that of op
// does not; see [Operation]. So the root can be neither made, removed nor renamed.
//
// What opens the inside of a folder permits to create the folder: /users/{sub}/* opens
// /users/ada/. Upload needs a scope that opens all that can be in the folder.
func (a Allowance) Permits(op Operation, path string, opens func(path string) bool) bool {
	if !op.Writes() || !a.Allows(op) || !fits(op, path) {
		return false
	}
	switch op {
	case CreateFolder:
		return opens(path) || opens(path+"/")
	case Upload:
		// A pattern without a star at its end opens a folder or a file in one, not both.
		return opens(path) && opens(path+"x")
	}
	return opens(path)
}

// fits tells whether op can be asked about path.
func fits(op Operation, path string) bool {
	return canonical(path) && strings.HasSuffix(path, "/") == (op == List || op == Describe || op == Upload)
}
