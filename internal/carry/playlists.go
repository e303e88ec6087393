package carry

import (
	"bytes"
	"net/http"
	"strings"
)

// Playlists is the rule for HLS and DASH, by Content-Type. A server that does not know
// these types may send a file that is named like a playlist with another; what it is then
// stands in the file.
func Playlists(l *Links) Rule {
	return func(_ int, header http.Header) (rewrite func([]byte) []byte, must bool) {
		mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl":
			return func(body []byte) []byte { return HLS(body, l) }, false
		case "application/dash+xml":
			return func(body []byte) []byte { return DASH(body, l) }, false
		case "", "application/octet-stream", "application/xml", "text/plain", "text/xml":
			if isPlaylist(l.Page.Path) {
				return func(body []byte) []byte { return unnamed(body, l) }, false
			}
		}
		return nil, false
	}
}

// unnamed is for a body that only its name says to be a playlist.
func unnamed(body []byte, l *Links) []byte {
	if bytes.HasPrefix(bytes.TrimPrefix(body, byteOrderMark), []byte("#EXTM3U")) {
		return HLS(body, l)
	}
	return DASH(body, l)
}

// isPlaylist tells whether a path or reference is named like a playlist.
func isPlaylist(ref string) bool {
	ref = beforeQuery(ref)
	for _, extension := range []string{".m3u8", ".m3u", ".mpd"} {
		if start := len(ref) - len(extension); start >= 0 && strings.EqualFold(ref[start:], extension) {
			return true
		}
	}
	return false
}

var byteOrderMark = []byte("\uFEFF")

// splice is a copy of a body into which texts are inserted, in ascending order of where.
type splice struct {
	body   []byte
	out    []byte
	copied int  // of body
	full   bool // it would become too large
}

// insert puts text in front of body[at].
func (s *splice) insert(at int, text string) {
	if s.out == nil {
		lines := bytes.Count(s.body, []byte("\n"))
		s.out = make([]byte, 0, min(len(s.body)+(lines/2+1)*len(text), maxSent)) // as it is in most
	}
	if len(s.out)+len(s.body)-s.copied+len(text) > maxSent {
		s.full = true
		return
	}
	s.out = append(append(s.out, s.body[s.copied:at]...), text...)
	s.copied = at
}

// result is body itself if nothing was inserted, or too much.
func (s *splice) result() []byte {
	if s.copied == 0 || s.full {
		return s.body
	}
	return append(s.out, s.body[s.copied:]...)
}
