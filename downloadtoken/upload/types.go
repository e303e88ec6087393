package upload

import (
	"fmt"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

// types are media types, or ranges of them as in Accept: `image/*`, `*/*`.
type types []string

// parseTypes checks types and writes them in small letters. None are nil.
func parseTypes(names []string) (types, error) {
	var all types
	for _, name := range names {
		mediaType, params, err := mime.ParseMediaType(name)
		if kind, sub, ok := strings.Cut(mediaType, "/"); err != nil || len(params) > 0 || !ok || kind == "*" && sub != "*" || sub == "" {
			return nil, fmt.Errorf("content_type: '%s' is no media type; write one such as application/pdf or image/*", name)
		}
		all = append(all, mediaType)
	}
	return all, nil
}

// unserved are the types that no file can have, because no extension has them here.
func (t types) unserved() (all []string) {
	for _, one := range t {
		if known, _ := mime.ExtensionsByType(one); len(known) == 0 && !strings.HasSuffix(one, "/*") {
			all = append(all, one)
		}
	}
	return all
}

// admit tells whether a type is among them.
func (t types) admit(mediaType string) bool {
	kind, _, whole := strings.Cut(mediaType, "/")
	return slices.ContainsFunc(t, func(one string) bool {
		return one == mediaType || whole && one == kind+"/*" || one == "*/*"
	})
}

// admitsName tells whether a file may be stored by what is known before its content:
// its name, and the type that the client declares, "" for none.
func (l limits) admitsName(name, declared string) bool {
	if len(l.types) == 0 {
		return true
	}
	if declared != "" {
		var err error
		if declared, _, err = mime.ParseMediaType(declared); err != nil {
			return false
		}
	}
	served := servedAs(name)
	return !slices.ContainsFunc(l.types, func(t types) bool {
		return !t.admit(served) || declared != "" && !t.admit(declared)
	})
}

// servedAs is the type that file_server gives a file of this name; "" if it gives none,
// so that browsers guess, which only `*/*` admits.
func servedAs(name string) string {
	mediaType, _, _ := mime.ParseMediaType(mime.TypeByExtension(path.Ext(name)))
	return mediaType
}

// sniffed is how many bytes of a file show its type.
const sniffed = 512

// admitsContent tells whether the first bytes of a file do not show another type than
// those that are admitted. Many types cannot be told from the bytes; they pass.
func (l limits) admitsContent(name string, head []byte) bool {
	shown, _, _ := mime.ParseMediaType(http.DetectContentType(head))
	served := servedAs(name)
	kind, _, _ := strings.Cut(served, "/")
	played := kind == "audio" || kind == "video"
	switch {
	case len(head) == 0, shown == "application/octet-stream":
		return true // they show nothing
	case strings.HasPrefix(shown, "text/") && (strings.HasSuffix(served, "+xml") ||
		kind != "image" && kind != "font" && !played && served != "application/pdf"):
		return true // what browsers do not run, or what is text as well
	case (shown == "application/zip" || shown == "application/x-gzip") && kind == "application" && served != "application/pdf":
		return true // as documents, books and programs are
	case played && (shown == "application/ogg" || strings.HasPrefix(shown, "audio/") || strings.HasPrefix(shown, "video/")):
		return true // the containers are the same
	case shown == "image/x-icon" && served == "image/vnd.microsoft.icon":
		return true
	}
	return !slices.ContainsFunc(l.types, func(t types) bool { return !t.admit(shown) })
}
