package confirm

import (
	"mime"
	"path"
	"strings"
	"unicode"
)

// FileName is the name that the file will be saved under. Characters that turn
// the direction of text are left out: with them, a name can look like another.
func FileName(disposition, urlPath string) string {
	name := path.Base(urlPath)
	if _, params, err := mime.ParseMediaType(disposition); err == nil && params["filename"] != "" {
		name = params["filename"]
	}
	return Plain(name)
}

// Plain is a name without what is not seen and changes how the rest is read.
func Plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(bidiControls, r) {
			return -1
		}
		return r
	}, name)
}

// bidiControls are the embeddings, overrides and isolates of Unicode Annex 9.
var bidiControls = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x202a, Hi: 0x202e, Stride: 1}, {Lo: 0x2066, Hi: 0x2069, Stride: 1}}}
