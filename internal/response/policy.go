package response

import "net/http"

// Policy is what a directive wants of every answer. The zero value is for tokens
// that may be used as often as they like, and come in the URL.
type Policy struct {
	// An answer is for one request, so nothing may be kept.
	OneTime bool

	// Files are sent whole only: Range is not offered. With OneTime.
	Whole bool

	// The same URL has a page for people (RFC 9110 section 12.5.1), so that a cache
	// must not take the one for the other.
	Negotiated bool

	// The header fields in which a token may come, for Vary.
	Carriers []string

	// Content-Disposition of a 2xx answer. nil: as the site says.
	Disposition func(*http.Request) string
}
