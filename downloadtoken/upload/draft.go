package upload

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// draft is a file that is not complete yet. Where the system can, it has no name, and
// is gone when it is closed; else one that cannot be guessed, in the same folder.
type draft struct {
	*os.File
	root *os.Root
	name string // under the root; "" if it has none
}

// draftPrefix begins the names of drafts.
const draftPrefix = ".download-token-upload-"

// draftMode is what umask takes from, as with any file.
const draftMode = 0o666

var nameless = openNameless // a variable for the tests of what has a name

func newDraft(root *os.Root, folder string) (*draft, error) {
	if f, err := nameless(root, folder); err == nil {
		return &draft{f, root, ""}, nil
	} else if isFull(err) {
		return nil, err
	}
	d := &draft{root: root, name: draftName(folder)}
	var err error
	d.File, err = root.OpenFile(d.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, draftMode)
	return d, err
}

func draftName(folder string) string { return filepath.Join(folder, draftPrefix+rand.Text()) }

// publish gives the draft its name under the root: over the file that has it, or, with
// an error that is fs.ErrExist, only if no file has it. Afterwards nothing is left to
// discard.
func (d *draft) publish(name string, replace bool) error {
	target := name
	if replace {
		target = draftName(filepath.Dir(name))
	}
	switch {
	case d.name == "":
		if err := linkNameless(d.File, d.root, target); err != nil {
			return err
		}
	case !replace:
		if err := d.root.Link(d.name, name); err != nil {
			return err
		}
	default:
		target = d.name
	}
	if !replace {
		return nil
	}
	d.name = target
	if err := d.File.Close(); err != nil { // Windows renames no open file
		return err
	}
	if err := d.root.Rename(target, name); err != nil {
		return err
	}
	d.name = ""
	return nil
}

// discard closes the draft and takes away its own name, if it has one.
func (d *draft) discard() {
	_ = d.File.Close()
	if d.name != "" {
		_ = d.root.Remove(d.name)
	}
}

// syncFolder makes the names in a folder last. Some systems cannot, and need not.
func syncFolder(root *os.Root, folder string) error {
	f, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// leftOver is how old a draft is that no upload can be writing any more.
const leftOver = 24 * time.Hour

// swept are the roots in which this process has looked for drafts.
var swept sync.Map

// sweep removes the drafts that a crash has left, once for each root. Most have no name,
// and leave nothing.
func (u *Upload) sweep(root string) {
	if _, done := swept.LoadOrStore(root, true); done {
		return
	}
	go removeLeftOvers(u.ctx, root, time.Now().Add(-leftOver))
}

func removeLeftOvers(ctx interface{ Err() error }, root string, before time.Time) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return
	}
	defer func() { _ = r.Close() }()
	_ = fs.WalkDir(r.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil: // the configuration is replaced; the next one looks again
			swept.Delete(root)
			return fs.SkipAll
		case err != nil, !entry.Type().IsRegular(), !strings.HasPrefix(entry.Name(), draftPrefix):
			return nil
		}
		if info, err := entry.Info(); err == nil && info.ModTime().Before(before) {
			_ = r.Remove(filepath.FromSlash(name))
		}
		return nil
	})
}
