//go:build !linux

package upload

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

func openNameless(*os.Root, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkNameless(*os.File, *os.Root, string) error { return errors.ErrUnsupported }

// isFull also knows ERROR_DISK_FULL of Windows.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		runtime.GOOS == "windows" && errors.Is(err, syscall.Errno(112))
}

func isNotFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
