package trust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Material returns what a configured key stands for: its placeholders are
// replaced, once. One that is unknown or empty is an error, which says what to
// write instead and never holds a key.
func Material(configured string) (string, error) {
	material, err := caddy.NewReplacer().ReplaceOrErr(configured, true, true)
	if err != nil {
		if unreadable := unreadableFile(configured); unreadable != nil {
			return "", unreadable
		}
		return "", fmt.Errorf("%w; write {env.NAME} or {file./absolute/path} and make sure that it is set "+
			`(a brace that belongs to a secret is written \{)`, withoutValue(err))
	}
	return material, nil
}

// unreadableFile says why a file that configured names cannot be used, which Caddy
// only logs: for the replacer, it is as good as empty.
func unreadableFile(configured string) error {
	for {
		_, rest, found := strings.Cut(configured, "{file.")
		name, rest, closed := strings.Cut(rest, "}")
		if !found || !closed || strings.Contains(name, "{") {
			return nil
		}
		configured = rest
		err := readable(name)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("the file %s cannot be read: %w; let the user that Caddy runs as read it, such as with: "+
				"chown root:caddy and chmod 640", name, err)
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("the file %s cannot be read: %w; write the absolute path of a file that is there", name, err)
		case err != nil:
			return fmt.Errorf("the file %s cannot be read: %w", name, err)
		}
	}
}

// readable reports why there is not one byte to be read.
func readable(name string) error {
	file, err := os.Open(name)
	if err == nil {
		defer file.Close()
		_, err = io.ReadFull(file, make([]byte, 1))
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err // without the name once more
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	}
	return err
}

// withoutValue keeps an error of the replacer from quoting a secret in which a
// brace looked like a placeholder.
func withoutValue(err error) error {
	text := err.Error()
	if i := strings.IndexByte(text, '{'); i >= 0 && !knownPlaceholder(text[i:]) {
		return errors.New("unknown placeholder")
	}
	return err
}

// knownPlaceholder reports whether text begins with a placeholder of the kind
// that is meant to stand in a key.
func knownPlaceholder(text string) bool {
	return strings.HasPrefix(text, "{env.") || strings.HasPrefix(text, "{file.") || strings.HasPrefix(text, "{system.")
}
