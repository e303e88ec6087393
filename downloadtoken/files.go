package downloadtoken

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// files are what the next handlers write, by the paths of requests.
type files struct {
	system fs.FS  // nil: nothing is known of them
	space  string // tells file systems apart
	root   string
	prefix string // that the paths have, and the files do not
}

// kind is what is at a path.
type kind int

const (
	unknown kind = iota
	nothing
	aFile
	aFolder
)

// entry is a path, and what is there.
type entry struct {
	path string // without a slash at the end, unless it is the root
	kind kind
}

// files are those that the request may be about.
func (v *visit) files() *files {
	m, repl := v.h.Methods, replacerOf(v)
	f := &files{space: repl.ReplaceAll(m.FileSystem, ""), root: repl.ReplaceAll(m.Root, ""), prefix: m.StripPrefix}
	if m.systems != nil && f.root != "" {
		f.system, _ = m.systems.Get(f.space)
	}
	return f
}

// name is the name of a file in the file system. It is not ok if it is not known.
func (f *files) name(path string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(path, f.prefix)
	if !ok || f.system == nil || rest != "" && rest[0] != '/' {
		return "", false
	}
	return caddyhttp.SanitizedPathJoin(f.root, strings.TrimSuffix(rest, "/")), true
}

// look says what is at a path. An error other than that nothing is there leaves it
// unknown, and so does a root that is no folder, under which nothing would ever be.
func (f *files) look(path string) kind {
	name, ok := f.name(path)
	if !ok {
		return unknown
	}
	info, err := fs.Stat(f.system, name)
	switch {
	case err == nil && info.IsDir():
		return aFolder
	case err == nil:
		return aFile
	case errors.Is(err, fs.ErrNotExist):
		if root, err := fs.Stat(f.system, f.root); err == nil && root.IsDir() {
			return nothing
		}
	}
	return unknown
}

// doubt is what to say of a path if it is not known what is there: a request for it needs
// more than it would otherwise.
func (f *files) doubt(path string) string {
	if f.look(path) != unknown {
		return ""
	}
	return "; what is there is not known: see whether the root of methods is the folder that is written"
}

// maxTree bounds the files and folders that one request can be about: each of them is
// asked about.
const maxTree = 10_000

// madeUp is a name that no scope was made for.
var madeUp = rand.Text()

// tree is what is at a path and, if it is a folder, everything below it, behind symbolic
// links as well. Where that is not known, it is made up: what a token may do to what is
// made up, it may do to whatever is there.
func (f *files) tree(path string) ([]entry, error) {
	all := []entry{{clean(path), f.look(path)}}
	if all[0].kind == unknown {
		below := strings.TrimSuffix(all[0].path, "/") + "/" + madeUp
		return append(all, entry{below, unknown}, entry{below + "/" + madeUp, unknown}), nil
	}
	for i := 0; i < len(all); i++ {
		if all[i].kind != aFolder {
			continue
		}
		name, _ := f.name(all[i].path)
		content, err := f.content(name, maxTree-len(all))
		if err != nil {
			return nil, fmt.Errorf("%w: what is in a folder cannot be found out", errScope)
		}
		if len(all)+len(content) > maxTree {
			return nil, fmt.Errorf("%w: more than %d files and folders are below it", errScope, maxTree)
		}
		for _, one := range content {
			e := entry{strings.TrimSuffix(all[i].path, "/") + "/" + one.Name(), aFile}
			if one.IsDir() {
				e.kind = aFolder
			} else if one.Type()&fs.ModeSymlink != 0 {
				if at := f.look(e.path); at != nothing {
					e.kind = at
				}
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// content is what is in a folder. Of more than most it reads no more than shows that: a
// folder may have millions.
func (f *files) content(name string, most int) (all []fs.DirEntry, err error) {
	folder, err := f.system.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	dir, ok := folder.(fs.ReadDirFile)
	if !ok {
		return fs.ReadDir(f.system, name)
	}
	for len(all) <= most { // it may return less than it is asked for
		some, err := dir.ReadDir(most + 1 - len(all))
		all = append(all, some...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// clean is the path without a slash at its end, unless it is the root.
func clean(path string) string {
	if path == "/" {
		return path
	}
	return strings.TrimSuffix(path, "/")
}

// lockName is the name under which a path is locked. It is made from that of the file, so
// that several directives for the same files keep out of each other's way. It is not ok
// if the file is not known.
func (f *files) lockName(path string) (name string, ok bool) {
	name, ok = f.name(path)
	if full, err := filepath.Abs(name); err == nil { // a root can be spelled in several ways
		name = full
	}
	return f.space + ":" + filepath.ToSlash(name), ok
}
