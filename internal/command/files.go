package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxKeyBytes is more than any key has, and less than what would hurt.
const maxKeyBytes = 1 << 20

// readKey reads the key that source names: env:NAME, - for standard input, or a
// file. Of the last two it takes off one line break at the end, as Caddy does
// for {file.}; of the environment, every byte counts.
//
// No error repeats the source: it may be the secret itself, given by mistake.
func readKey(source string, stdin io.Reader) (string, error) {
	if name, ok := strings.CutPrefix(source, "env:"); ok {
		text := os.Getenv(name)
		if text == "" {
			return "", fmt.Errorf("--key: the environment variable %s is not set", name)
		}
		return text, nil
	}
	content, err := readSource(source, stdin)
	switch {
	case source == "":
		return "", errors.New("--key is missing; write a file's name, env:NAME, or - for standard input")
	case errors.Is(err, fs.ErrNotExist):
		return "", errors.New("--key: there is no such file; write a file's name, env:NAME, or - for standard input " +
			"(the secret itself is never an argument, because every user of the machine can see those)")
	case err != nil:
		if failed := new(fs.PathError); errors.As(err, &failed) {
			err = failed.Err // the rest is the name
		}
		return "", fmt.Errorf("--key: the file cannot be read: %w", err)
	case len(content) > maxKeyBytes:
		return "", errors.New("--key: this is too large to be a key")
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text == "" {
		return "", errors.New("--key: there is nothing in it")
	}
	return text, nil
}

// readSource reads at most one byte more than a key may have.
func readSource(source string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if source != "-" {
		file, err := os.Open(source)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, maxKeyBytes+1))
}

// writeFile writes a new file with exactly this mode. With force, it takes the
// place of one that exists, as a whole: at no time is a secret in a file that
// others had opened or may read. Of a file that could not be written nothing is
// left.
func writeFile(name, content string, mode os.FileMode, force bool) error {
	if info, err := os.Stat(name); err == nil && force && !info.Mode().IsRegular() { // such as /dev/null, which root can replace
		return fmt.Errorf("%s is not a file, and cannot be replaced by one; choose another name", name)
	}
	var file *os.File
	var err error
	if force {
		file, err = os.CreateTemp(filepath.Dir(name), ".download-token-*")
	} else {
		file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists already, and a key that was replaced is lost; choose another name, or add --force", name)
	case err != nil:
		return err
	}
	_, err = file.WriteString(content)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil && force {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
