package carry

import (
	"bytes"
	"strings"
)

// HLS puts the token into the URIs of an HTTP Live Streaming playlist (RFC 8216, and
// draft-pantos-hls-rfc8216bis for low latency), or of a plain list of files: lines that
// are no comment, and attributes named URI or like those of HLS that hold one, in tags of
// any name. Every other byte stays as it is.
//
// References that hold a variable, {$name}, stay as they are: where they lead is decided
// by the client. So does all of a playlist with content steering: a steering server may
// put another host into its references, and they would keep the token.
func HLS(body []byte, l *Links) []byte {
	if bytes.IndexByte(body, 0) >= 0 || bytes.Contains(body, []byte("#EXT-X-CONTENT-STEERING")) {
		return body // UTF-16, or steered
	}
	h := hls{splice: splice{body: body}, text: string(body), varies: bytes.Contains(body, []byte("{$")), links: l}
	start := 0
	if bytes.HasPrefix(body, byteOrderMark) {
		start = len(byteOrderMark)
	}
	for start < len(body) && !h.full {
		end, next := len(body), len(body)
		if i := bytes.IndexByte(body[start:], '\n'); i >= 0 {
			end, next = start+i, start+i+1
		}
		if end > start && body[end-1] == '\r' {
			end--
		}
		h.line(start, end)
		start = next
	}
	return h.result()
}

// hls goes through the lines of a playlist.
type hls struct {
	splice
	text    string // the body
	varies  bool   // there are variables in it
	links   *Links
	variant bool // the next URI is that of another playlist
}

// line is body[start:end].
func (h *hls) line(start, end int) {
	switch line := h.body[start:end]; {
	case len(line) == 0:
	case line[0] != '#':
		h.sign(start, end, h.variant)
		h.variant = false
	case bytes.HasPrefix(line, []byte("#EXT")):
		tag, _, found := bytes.Cut(line, []byte(":"))
		if !found || bytes.ContainsFunc(line, breaksLine) { // so that a part of it may be a URI
			return
		}
		index := false
		switch string(tag) {
		case "#EXT-X-STREAM-INF":
			h.variant = true // comments may stand between it and its URI
		case "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-IMAGE-STREAM-INF", "#EXT-X-RENDITION-REPORT":
			index = true
		}
		h.attributes(start+len(tag)+1, end, index)
	}
}

// attributes goes through an attribute list (RFC 8216 section 4.2), body[at:end], as far
// as it is one.
func (h *hls) attributes(at, end int, index bool) {
	for at < end {
		for at < end && h.body[at] == ' ' {
			at++
		}
		equals := bytes.IndexByte(h.body[at:end], '=')
		if equals < 0 {
			return
		}
		name := h.text[at : at+equals]
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return
		}
		at += equals + 1
		if at < end && h.body[at] == '"' {
			size := bytes.IndexByte(h.body[at+1:end], '"')
			if size < 0 {
				return
			}
			first, after := at+1, at+1+size+1
			if after < end && h.body[after] != ',' {
				return // clients do not agree on what the value is
			}
			if holdsURI(name) {
				h.sign(first, first+size, index || name == "X-ASSET-URI")
			}
			at = after
		}
		comma := bytes.IndexByte(h.body[at:end], ',')
		if comma < 0 {
			return
		}
		at += comma + 1
	}
}

// holdsURI is about the name of an attribute. A list of assets is a URI, too.
func holdsURI(name string) bool {
	return name == "URI" || name == "X-ASSET-LIST" || strings.HasSuffix(name, "-URI")
}

// sign puts the token into the reference body[start:end].
func (h *hls) sign(start, end int, index bool) {
	ref := h.text[start:end]
	if h.varies && strings.Contains(ref, "{$") {
		return
	}
	if text := h.links.insertion(h.links.Page, ref, index || isPlaylist(ref)); text != "" {
		h.insert(start+endOfQuery(ref), text)
	}
}
