package confirm

import (
	"mime"
	"path"
	"strconv"
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
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(bidiControls, r) {
			return -1
		}
		return r
	}, name)
}

// bidiControls are the embeddings, overrides and isolates of Unicode Annex 9.
var bidiControls = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x202a, Hi: 0x202e, Stride: 1}, {Lo: 0x2066, Hi: 0x2069, Stride: 1}}}

// HumanSize writes a number of bytes with two or three digits.
func HumanSize(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.5 {
		size, unit = size/1000, unit+1
	}
	digits := 0
	if size < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(size, 'f', digits, 64) + " " + []string{"KB", "MB", "GB", "TB", "PB", "EB"}[unit]
}
