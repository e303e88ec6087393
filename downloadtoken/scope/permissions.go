package scope

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrPermissions says that an access claim is not the JSON that Upload
// defines. It never tells what stood there instead.
var ErrPermissions = errors.New("access claim is malformed")

// Permissions is the access claim of an Upload (now Bytescale) token: a list
// of paths with what may be done there. The zero value admits nothing, and so
// does nil.
type Permissions struct {
	grants []grant
}

// grant is one entry of pathPermissions.
type grant struct {
	path  string // "" is the root; never ends in a slash
	reach reach
	slugs []string
	may   Allowance // all that needs no slug, and no second permission
}

// reach says how far below its path a grant extends. The three are disjoint:
// a whole tree takes three grants.
type reach int

const (
	this          reach = iota + 1 // the path itself
	children                       // exactly one segment below
	grandchildren                  // two segments below, or more
)

var reaches = map[string]reach{"This": this, "Children": children, "Grandchildren+": grandchildren}

// The limits of the list of unknown values that ParsePermissions returns.
const (
	maxUnknown       = 8
	maxUnknownLength = 32
)

// ParsePermissions reads the access claim, given as JSON. It is strict:
// duplicate members, members of a wrong type (null is one) and text that is
// not UTF-8 are [ErrPermissions]. Members that it does not know, and those that
// grant what is no [Operation], are ignored.
//
// An entry with a path that is not canonical or not 1 to 512 characters long,
// and one with a scope other than This, Children or Grandchildren+, admits
// nothing. One slash at the end of a path is forgiven, though the vendor says
// that there should be none.
//
// The strings are the unknown scopes that were met, each once and no more than
// eight. What does not look like a word of 32 letters at most is shown as "?",
// as these are meant for a log.
func ParsePermissions(access []byte) (*Permissions, []string, error) {
	var claim accessClaim
	if err := json.Unmarshal(access, &claim, strict); err != nil {
		// The decoder's own error would quote the claim.
		return nil, nil, ErrPermissions
	}
	p := &Permissions{}
	var unknown []string
	for _, entry := range claim.PathPermissions {
		reach, known := reaches[entry.Match.Scope]
		if !known {
			if name := loggable(entry.Match.Scope); len(unknown) < maxUnknown && !slices.Contains(unknown, name) {
				unknown = append(unknown, name)
			}
			continue
		}
		// Canonical comes before the slash is taken off: "//" is not the root.
		path := entry.Match.Path
		if !canonical(path) || utf8.RuneCountInString(path) > 512 {
			continue
		}
		p.grants = append(p.grants, grant{
			path:  strings.TrimSuffix(path, "/"),
			reach: reach,
			slugs: entry.Permissions.Read.File.DownloadFile,
			may:   entry.Permissions.allowance(),
		})
	}
	return p, unknown, nil
}

// Admits tells whether one of the entries lets op be done on path, which is a
// result of [Path]. The slug is the name of the transformation that is asked
// for; "raw" is the file as it is. It is matched by a downloadFile pattern that
// equals it, or that ends in a star and is equal up to there.
//
// To rename a file is to download it and to delete it, a folder to list it and to
// delete it. Upload needs createFile for whatever is in the folder.
//
// The path of a listing ends in a slash, that of a file does not, see [Operation]: all
// else is refused, and so is an empty slug. The cost is linear in the number of entries.
func (p *Permissions) Admits(path, slug string, op Operation) bool {
	if p == nil || !fits(op, path) {
		return false
	}
	target := strings.TrimSuffix(path, "/")
	switch op {
	case RenameFile:
		return p.grant(target, slug, Download) && p.grant(target, slug, DeleteFile)
	case RenameFolder:
		return p.grant(target, slug, List) && p.grant(target, slug, DeleteFolder)
	}
	return p.grant(target, slug, op)
}

// grant needs a target that has no slash at its end, as the paths of the grants.
func (p *Permissions) grant(target, slug string, op Operation) bool {
	for i := range p.grants {
		if g := &p.grants[i]; g.reaches(target, op) && g.allows(slug, op) {
			return true
		}
	}
	return false
}

// Base returns the longest path, without a slash at its end, that everything is or is
// below that one of the entries lets be read. It may be asked of nil.
func (p *Permissions) Base() string {
	var all []string
	if p != nil {
		for _, g := range p.grants {
			if len(g.slugs) > 0 || g.may&read != 0 {
				all = append(all, g.path)
			}
		}
	}
	return common(all)
}

// reaches tells whether the grant is about the target, or for Upload, about all that is
// one segment below it.
func (g *grant) reaches(target string, op Operation) bool {
	depth := g.depth(target)
	if op == Upload && depth != 0 {
		depth = min(depth+1, grandchildren)
	}
	return g.reach == depth
}

// depth returns how far below the path of the grant the target is, 0 if it is not.
func (g *grant) depth(target string) reach {
	below, ok := strings.CutPrefix(target, g.path)
	switch {
	case !ok:
		return 0
	case below == "":
		return this
	case below[0] != '/': // in the middle of a segment
		return 0
	case strings.Contains(below[1:], "/"):
		return grandchildren
	}
	return children
}

func (g *grant) allows(slug string, op Operation) bool {
	return g.may.Allows(op) || (op == Download || op == Details) && g.serves(slug)
}

func (g *grant) serves(slug string) bool {
	return slug != "" && slices.ContainsFunc(g.slugs, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return pattern == slug || open && strings.HasPrefix(slug, prefix)
	})
}

// accessClaim is the part of the vendor's UploadJwtAccess type that decides
// about an [Operation].
type accessClaim struct {
	PathPermissions []struct {
		Match struct {
			Path  string `json:"path"`
			Scope string `json:"scope"`
		} `json:"match"`
		Permissions permissions `json:"permissions"`
	} `json:"pathPermissions"`
}

type permissions struct {
	Read struct {
		File struct {
			DownloadFile   []string `json:"downloadFile"`
			GetFileDetails bool     `json:"getFileDetails"`
		} `json:"file"`
		Folder struct {
			ListFolderChildren bool `json:"listFolderChildren"`
		} `json:"folder"`
	} `json:"read"`
	Write struct {
		File struct {
			CreateFile    bool `json:"createFile"`
			OverwriteFile bool `json:"overwriteFile"`
			DeleteFile    bool `json:"deleteFile"`
		} `json:"file"`
		Folder struct {
			CreateVirtualFolder  bool `json:"createVirtualFolder"`
			DeleteVirtualFolder  bool `json:"deleteVirtualFolder"`
			SetFolderDescription bool `json:"setFolderDescription"`
		} `json:"folder"`
	} `json:"write"`
}

func (p *permissions) allowance() (may Allowance) {
	file, folder := &p.Write.File, &p.Write.Folder
	for _, one := range []struct {
		granted bool
		may     Allowance
	}{
		{p.Read.File.GetFileDetails, allowing(Details)},
		{p.Read.Folder.ListFolderChildren, allowing(List)},
		{file.CreateFile, allowing(CreateFile, Upload)},
		{file.OverwriteFile, allowing(OverwriteFile)},
		{file.DeleteFile, allowing(DeleteFile)},
		{folder.CreateVirtualFolder, allowing(CreateFolder)},
		{folder.DeleteVirtualFolder, allowing(DeleteFolder)},
		{folder.SetFolderDescription, allowing(Describe)},
	} {
		if one.granted {
			may |= one.may
		}
	}
	return may
}

// strict refuses null, which the decoder would take for the zero value of any
// type. The rest is its default: no duplicate members, names are
// case-sensitive, text is UTF-8.
var strict = json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ any) error {
	if d.PeekKind() == 'n' {
		return ErrPermissions
	}
	return errors.ErrUnsupported // go on as if this function were not there
}))

// loggable returns a value from a token if it looks like a word of a
// vocabulary, which is no secret.
func loggable(value string) string {
	if value == "" || len(value) > maxUnknownLength {
		return "?"
	}
	for i := range len(value) {
		if c := value[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '+' || c == '-' || c == '_') {
			return "?"
		}
	}
	return value
}
