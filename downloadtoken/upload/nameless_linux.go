package upload

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// openNameless makes a file without a name (O_TMPFILE, open(2)). Not all file systems
// can, and it takes /proc to give it a name later.
func openNameless(root *os.Root, folder string) (*os.File, error) {
	f, err := root.OpenFile(folder, unix.O_TMPFILE|os.O_WRONLY, draftMode)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(procName(f)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func procName(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// linkNameless gives such a file its name, which must not be taken (linkat(2)).
func linkNameless(f *os.File, root *os.Root, name string) error {
	folder, err := root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close()
	return os.NewSyscallError("linkat", unix.Linkat(unix.AT_FDCWD, procName(f), int(folder.Fd()), filepath.Base(name), unix.AT_SYMLINK_FOLLOW))
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func isNotFolder(err error) bool { return errors.Is(err, unix.ENOTDIR) }
