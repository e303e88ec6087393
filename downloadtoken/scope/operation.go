package scope

import "strings"

// Operation is what a request wants to do with a path.
type Operation int

// The operations that read.
const (
	// Download is the GET of a file. Upload's tokens need a downloadFile slug for it.
	Download Operation = iota

	// Details is the HEAD of a file, or the PROPFIND of one. It needs getFileDetails, or
	// what Download needs.
	Details

	// List is the GET or HEAD of a listing, whose path ends in a slash, or the PROPFIND of a
	// folder. It needs listFolderChildren on the folder. A caller that admits it must see
	// to it that nothing but a listing is served, not the folder's index file.
	List
)

// The operations that write. The path of a folder has no slash at its end, except for
// Upload and Describe.
const (
	CreateFile    Operation = iota + 16 // where there is nothing
	OverwriteFile                       // or change its properties
	DeleteFile
	RenameFile   // away from its path; what becomes of the new one is asked for itself
	CreateFolder // where there is nothing
	DeleteFolder // the folder alone; what is in it is asked for itself
	RenameFolder // likewise
	Describe     // change the properties of a folder, whose path ends in a slash

	// Upload is to create a file in a folder, whose path ends in a slash, under a name that
	// is not known yet. CreateFile is asked for when it is.
	Upload
)

// Words says what one of the operations does, as it follows "to".
func Words(ops []Operation) string {
	words := make([]string, len(ops))
	for i, op := range ops {
		words[i] = wordsOf[op]
	}
	return strings.Join(words, " or to ")
}

var wordsOf = map[Operation]string{
	Download: "download the file", Details: "see its details", List: "list the folder",
	CreateFile: "create the file", OverwriteFile: "overwrite the file", DeleteFile: "delete the file", RenameFile: "rename the file",
	CreateFolder: "create the folder", DeleteFolder: "delete the folder", RenameFolder: "rename the folder",
	Describe: "describe the folder", Upload: "upload into the folder",
}

// Writes tells whether the operation changes anything.
func (op Operation) Writes() bool { return op >= CreateFile }
