package upload

import (
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
)

// maxName is how many bytes a name has at most on most file systems.
const maxName = 255

// cleanName makes the name of a file of what a form calls it, which may be a whole path
// of the client's system. What would show as another name than it is, is left out. ok:
// every system takes it for the name of a file, and it is not hidden.
func cleanName(given string) (name string, ok bool) {
	name = given[strings.LastIndexAny(given, `/\`)+1:]
	name = strings.TrimFunc(confirm.Plain(name), unicode.IsSpace)
	ok = name != "" && len(name) <= maxName && utf8.ValidString(given) && !strings.HasPrefix(name, ".") &&
		!strings.ContainsAny(name, `<>:"|?*`) && scope.Portable(name)
	return name, ok
}

// ownName is the name that a path has; ok: it may be that of a file.
func ownName(path string) (name string, ok bool) {
	name = path[strings.LastIndexByte(path, '/')+1:]
	clean, ok := cleanName(name)
	return name, ok && clean == name
}

// local is a path of a URL as a name under the root.
func local(path string) string {
	if path = strings.Trim(path, "/"); path == "" {
		return "."
	}
	return filepath.FromSlash(path)
}

func escaped(segment string) string { return (&url.URL{Path: "/" + segment}).EscapedPath()[1:] }
