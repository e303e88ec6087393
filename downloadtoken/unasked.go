package downloadtoken

import (
	"net/http"
	"strings"
)

// unasked finds out whether a request that would use a one-time token may not
// be what its sender wants: made ahead by a browser, or sent before the TLS
// handshake was complete, when anybody on the way could send it again (RFC 8470).
func unasked(r *http.Request) error {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz", "X-Purpose"} {
		for _, value := range r.Header.Values(name) {
			if strings.Contains(strings.ToLower(value), "prefetch") || strings.Contains(strings.ToLower(value), "preview") {
				return errPrefetch
			}
		}
	}
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		return errEarly
	}
	for _, value := range r.Header.Values("Early-Data") {
		if strings.TrimSpace(value) == "1" {
			return errEarly // RFC 8470 section 5.1, from a proxy
		}
	}
	return nil
}
