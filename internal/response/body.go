package response

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Body is what an answer says about the file that it is (a part of).
type Body struct {
	ETag string // strong (RFC 9110 section 8.8.3)
	Size int64  // in bytes, of the whole
	Part int64  // in bytes, of what this answer has of it
}

// BodyOf reads it out of the header; ok is false without a strong entity tag or
// a size.
func BodyOf(status int, header http.Header) (b Body, ok bool) {
	b.ETag = header.Get("Etag")
	if !strings.HasPrefix(b.ETag, `"`) { // W/ is weak (RFC 9110 section 8.8.3)
		return b, false
	}
	var err error
	switch status {
	case http.StatusOK:
		b.Size, err = strconv.ParseInt(header.Get("Content-Length"), 10, 64)
		b.Part = b.Size
	case http.StatusPartialContent:
		_, b.Part, b.Size, err = parseContentRange(header.Get("Content-Range"))
	default:
		return b, false
	}
	return b, err == nil && b.Size > 0
}

// IsOpenEnded reports whether a request's range goes to the end of the file. A client
// that asks for that often wants less, and breaks off.
func IsOpenEnded(header http.Header) bool {
	return strings.HasSuffix(strings.TrimSpace(header.Get("Range")), "-")
}

// IsListing reports whether an answer is the listing of a folder by file_server, a
// redirect or an error: nothing of a file. A listing is known by what it says of
// itself, not by what it lacks: file_server's listings vary by Accept, in just this
// line. That there is no entity tag proves nothing, templates takes it away.
func IsListing(status int, header http.Header) bool {
	if status >= 300 && status != http.StatusNotModified {
		return true
	}
	return slices.Contains(header.Values("Vary"), "Accept, Accept-Encoding") && header.Get("Etag") == ""
}

// Extent is where in a file the answer begins, and the size of the file in bytes,
// negative if it is not known.
func Extent(status int, header http.Header) (first, size int64) {
	var err error
	switch status {
	case http.StatusOK:
		size, err = strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	case http.StatusPartialContent:
		first, _, size, err = parseContentRange(header.Get("Content-Range"))
	default:
		return 0, -1
	}
	if err != nil {
		return 0, -1
	}
	return first, size
}

// parseContentRange reads "bytes first-last/size" (RFC 9110 section 14.4): from where
// on, how many bytes of how many.
func parseContentRange(text string) (first, part, size int64, err error) {
	span, total, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 || !strings.HasPrefix(text, "bytes ") {
		return 0, 0, 0, strconv.ErrSyntax
	}
	first, err = strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	if err := errors.Join(err, err2, err3); err != nil {
		return 0, 0, 0, err
	}
	if first < 0 || last < first || size <= last {
		return 0, 0, 0, strconv.ErrRange
	}
	return first, last - first + 1, size, nil
}
