package downloadtoken

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// demand is something that a token must permit: one of the operations on the path.
type demand struct {
	path  string
	anyOf []scope.Operation
}

// errand is a request that is neither GET nor HEAD, as it is judged.
type errand struct {
	method      string
	path        string // a result of scope.Path
	depth       string // the field Depth (RFC 4918 section 10.2)
	destination string // likewise a path; "" unless the method has one
	part        bool   // it writes a part of a file

	unlock func() // lets go of its paths; nil: none are locked
	plan   plan
	sent   *sent // what has come of the body; nil if it does not matter
}

// plan is what an errand needs, and what has to hold of it when it goes on.
type plan struct {
	demands []demand
	creates bool // nothing is at its path, and nothing may be then
	fresh   bool // nothing is at its destination, and nothing may be then
}

// maxPath bounds the paths of errands: PATH_MAX of Linux. Each folder of them is locked.
const maxPath = 4096

// planFor finds out what the errand does to the files.
func (e errand) planFor(f *files) (p plan, err error) {
	switch e.method {
	case http.MethodOptions:
		p.need(e.path, anything...)
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return e.store(f)
	case http.MethodDelete:
		err = p.tree(f, e.path, scope.DeleteFile, scope.DeleteFolder)
	case methodMkcol:
		p.need(e.path, scope.CreateFolder)
	case methodCopy:
		return e.transfer(f, scope.Download, scope.List)
	case methodMove:
		return e.transfer(f, scope.RenameFile, scope.RenameFolder)
	case methodPropfind:
		return e.propfind(f)
	case methodProppatch:
		p.entry(entry{e.path, f.look(e.path)}, scope.OverwriteFile, scope.Describe)
	case methodLock:
		switch f.look(e.path) {
		case nothing:
			p.need(e.path, scope.CreateFile)
		case unknown:
			p.need(e.path, scope.CreateFile)
			p.need(e.path, changes...)
		default:
			p.need(e.path, changes...)
		}
	case methodUnlock:
		p.need(e.path, allWrites...)
	default:
		err = errMethod
	}
	return p, err
}

// The operations of which one is enough for a method that does nothing by itself: those
// that change what is there, all that write, and all.
var (
	changes   = []scope.Operation{scope.OverwriteFile, scope.DeleteFile, scope.DeleteFolder, scope.RenameFile, scope.RenameFolder, scope.Describe}
	allWrites = append([]scope.Operation{scope.CreateFile, scope.CreateFolder, scope.Upload}, changes...)
	anything  = append([]scope.Operation{scope.Download, scope.Details, scope.List}, allWrites...)
)

// least is what the errand needs whatever is there. It is asked first, so that who may do
// none of it neither keeps others from the paths nor makes the disk be searched.
func (e errand) least() []demand {
	at, to := demand{e.path, allWrites}, demand{e.destination, allWrites}
	switch e.method {
	case http.MethodOptions:
		return nil
	case http.MethodDelete:
		at.anyOf = []scope.Operation{scope.DeleteFile, scope.DeleteFolder}
	case methodPropfind:
		at.anyOf = []scope.Operation{scope.Details, scope.List}
	case methodCopy:
		at.anyOf = []scope.Operation{scope.Download, scope.List}
		return []demand{at, to}
	case methodMove:
		at.anyOf = []scope.Operation{scope.RenameFile, scope.RenameFolder}
		return []demand{at, to}
	}
	return []demand{at}
}

// store is the plan of what puts a file at the path, or into the folder.
func (e errand) store(f *files) (p plan, err error) {
	if e.part { // RFC 9110 section 14.5: a server that does not know it would take it for the whole
		return p, fmt.Errorf("%w: a part of a file cannot be written", errRequest)
	}
	if e.method == http.MethodPost && strings.HasSuffix(e.path, "/") {
		p.need(e.path, scope.Upload)
		return p, nil
	}
	switch f.look(e.path) {
	case nothing:
		p.need(e.path, scope.CreateFile)
		p.creates = true
	case unknown:
		p.need(e.path, scope.CreateFile)
		p.need(e.path, scope.OverwriteFile)
	default:
		p.need(e.path, scope.OverwriteFile)
	}
	return p, nil
}

// propfind is the plan of what reads names and properties.
func (e errand) propfind(f *files) (p plan, err error) {
	all := []entry{{e.path, f.look(e.path)}}
	switch {
	case e.depth == "0" && all[0].kind == aFolder:
		p.need(e.path, scope.Details, scope.List)
		return p, nil
	case e.depth == "0" && all[0].kind == unknown:
		p.need(e.path, scope.Details)
		return p, nil
	case e.depth == "0", e.depth == "1":
	case e.depth == "", e.depth == "infinity":
		if all, err = f.tree(e.path); err != nil {
			return p, err
		}
	default:
		return p, fmt.Errorf("%w: Depth is neither 0, 1 nor infinity", errRequest)
	}
	for i, one := range all {
		if i == 0 || one.kind != aFile { // of the files in a folder, its listing tells
			p.entry(one, scope.Details, scope.List)
		}
	}
	return p, nil
}

// transfer is the plan of what takes what is at the path to the destination.
func (e errand) transfer(f *files, ofFile, ofFolder scope.Operation) (p plan, err error) {
	from, to := clean(e.path), clean(e.destination)
	if within(from, to) || within(to, from) {
		return p, fmt.Errorf("%w: of the source and the destination, one is in the other", errRequest)
	}
	source, err := f.tree(from)
	if err != nil {
		return p, err
	}
	for _, one := range source {
		p.entry(one, ofFile, ofFolder)
	}
	there := f.look(to)
	switch there {
	case nothing:
		p.fresh = true
	case aFile:
		p.need(to, scope.OverwriteFile)
		if source[0].kind == aFile {
			return p, nil
		}
	case unknown, aFolder:
		if err := p.tree(f, to, scope.DeleteFile, scope.DeleteFolder); err != nil {
			return p, err
		}
		if there == unknown {
			p.need(to, scope.OverwriteFile)
		}
	}
	for _, one := range source {
		p.entry(entry{to + strings.TrimPrefix(one.path, from), one.kind}, scope.CreateFile, scope.CreateFolder)
	}
	return p, nil
}

// within reports whether path is the folder, or below it in some file system: for a
// change of case, of which a rename may consist, only the latter.
func within(folder, path string) bool {
	below := strings.HasPrefix(strings.ToLower(path), strings.ToLower(strings.TrimSuffix(folder, "/"))+"/")
	return path == folder || below
}

// need adds a demand.
func (p *plan) need(path string, anyOf ...scope.Operation) {
	p.demands = append(p.demands, demand{path, anyOf})
}

// entry demands one operation of a file and another one of a folder; where it is not
// known which it is both, and where nothing is either.
func (p *plan) entry(e entry, ofFile, ofFolder scope.Operation) {
	if e.kind == nothing {
		p.need(e.path, ofFile, ofFolder)
		return
	}
	if e.kind != aFolder {
		p.need(e.path, ofFile)
	}
	if e.kind != aFile {
		p.need(e.path, ofFolder)
	}
}

// tree is entry of everything that is at a path and below it.
func (p *plan) tree(f *files, path string, ofFile, ofFolder scope.Operation) error {
	all, err := f.tree(path)
	for _, one := range all {
		p.entry(one, ofFile, ofFolder)
	}
	return err
}
