package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxKeyBytes is more than any key has, and less than what would hurt.
const maxKeyBytes = 1 << 20

// readKey reads the key that source names: env:NAME, - for standard input, or a
// file. Of the last two it takes off one line break at the end, as Caddy does
// for {file.}; of the environment, every byte counts.
//
// No error repeats the source. Whoever gives the secret itself by mistake must
// not find it in a log as well.
func readKey(source string, stdin io.Reader) (string, error) {
	if name, ok := strings.CutPrefix(source, "env:"); ok {
		text, found := os.LookupEnv(name)
		if !found || text == "" {
			return "", fmt.Errorf("--key: the environment variable %s is not set", name)
		}
		return text, nil
	}
	content, err := readSource(source, stdin)
	if err != nil {
		return "", err
	}
	if len(content) > maxKeyBytes {
		return "", errors.New("--key: this is too large to be a key")
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text == "" {
		return "", errors.New("--key: there is nothing in it")
	}
	return text, nil
}

func readSource(source string, stdin io.Reader) ([]byte, error) {
	switch source {
	case "":
		return nil, errors.New("--key is missing; write a file's name, env:NAME, or - for standard input")
	case "-":
		return io.ReadAll(io.LimitReader(stdin, maxKeyBytes+1))
	}
	file, err := os.Open(source)
	var failed *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("--key: there is no such file; write a file's name, env:NAME, or - for standard input " +
			"(the secret itself is never an argument, because everybody on the machine can see those)")
	case errors.As(err, &failed):
		return nil, fmt.Errorf("--key: the file cannot be read: %w", failed.Err)
	case err != nil:
		return nil, errors.New("--key: the file cannot be read")
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxKeyBytes+1))
	if err != nil {
		return nil, errors.New("--key: the file cannot be read")
	}
	return content, nil
}

// writeFile writes a new file with exactly this mode. With force, it takes the
// place of one that exists, as a whole: at no time is a secret in a file that
// others had opened or may read.
func writeFile(name, content string, mode os.FileMode, force bool) error {
	if !force {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			return exists(name)
		}
		if err != nil {
			return err
		}
		return fill(file, content, mode)
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".download-token-*")
	if err != nil {
		return err
	}
	if err := fill(file, content, mode); err != nil {
		os.Remove(file.Name())
		return err
	}
	if err := os.Rename(file.Name(), name); err != nil {
		os.Remove(file.Name())
		return err
	}
	return nil
}

// fill writes and closes a file.
func fill(file *os.File, content string, mode os.FileMode) error {
	_, err := file.WriteString(content)
	return errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
}

func exists(name string) error {
	return fmt.Errorf("%s exists already, and a key that was replaced is lost; choose another name, or add --force", name)
}

// shown is a key as a member of a JSON document: a JWK as an object, all else as
// a string.
func shown(text string, isJWK bool) any {
	if isJWK {
		return jsontext.Value(text)
	}
	return strings.TrimSuffix(text, "\n")
}
