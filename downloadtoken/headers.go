package downloadtoken

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// setHeaders completes the header of the next handler's answer.
func (d *delivery) setHeaders() {
	header := d.Header()
	header.Set("Referrer-Policy", "no-referrer")
	if d.status == http.StatusPermanentRedirect && d.v.source.Kind == token.Query && d.keepToken(header) {
		header.Set("Cache-Control", "no-store")
		return
	}
	if cc := d.cacheControl(header.Values("Cache-Control")); cc != "" {
		header.Set("Cache-Control", cc)
	}
	if d.h.Confirm != nil {
		header.Add("Vary", "Accept") // a browser that has the file must not take it for the page
	}
	if a := d.h.Attachment; a != nil && d.status >= 200 && d.status < 300 {
		header.Set("Content-Disposition", a.disposition(d.v.r))
	}
}

// cacheControl decides how long the answer may be kept, given what the site
// says. "" leaves it as it is.
func (d *delivery) cacheControl(site []string) string {
	if d.h.oneTime != nil {
		return "private, no-store"
	}
	if len(site) == 0 {
		left := d.v.token.Claims.ExpiresAt.Sub(d.v.now) / time.Second
		if d.status >= 400 || left <= 0 {
			return "private, no-store"
		}
		// An object that outlives its token in a cache makes the token's expiry
		// meaningless.
		return "private, max-age=" + strconv.FormatInt(int64(left), 10)
	}
	if d.v.source.Kind == token.Query {
		return ""
	}
	// The URL is the same for everybody, so a shared cache would hand the file
	// to those without a token (RFC 9111 section 3.5 protects Authorization only).
	private := []string{"private"}
	for _, directive := range strings.Split(strings.Join(site, ","), ",") {
		directive = strings.TrimSpace(directive)
		name, _, _ := strings.Cut(directive, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "", "public", "private", "s-maxage":
		default:
			private = append(private, directive)
		}
	}
	return strings.Join(private, ", ")
}

// keepToken puts the token back into the Location of file_server's canonical
// redirect (/dir to /dir/, /file/ to /file), which would otherwise lead to a
// refusal. It does so only for that redirect, and builds the target from the
// path as it was received, so that a path which browsers read differently
// (/%5Cevil.example/) cannot become a redirect to another site.
func (d *delivery) keepToken(header http.Header) bool {
	asked := &d.v.original.url
	if _, err := scope.Path(asked); err != nil {
		return false
	}
	decoded, escaped := asked.Path+"/", asked.EscapedPath()+"/"
	if strings.HasSuffix(asked.Path, "/") {
		decoded, escaped = strings.TrimSuffix(asked.Path, "/"), strings.TrimSuffix(asked.EscapedPath(), "/")
	}
	if query := d.v.r.URL.RawQuery; query != "" {
		decoded += "?" + query
	}
	if header.Get("Location") != escapeNonASCII(decoded) {
		return false
	}
	header.Set("Location", escaped+"?"+d.v.original.rawQuery)
	return true
}

// escapeNonASCII does to a redirect's target what http.Redirect does.
func escapeNonASCII(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%x", c)
		}
	}
	return b.String()
}

// dropBodyFields takes out what describes a body, which will not be sent.
func dropBodyFields(header http.Header) {
	for _, name := range []string{
		"Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Location", "Content-Range", "Content-Type", "Etag", "Expires", "Last-Modified", "Location", "Trailer",
	} {
		header.Del(name)
	}
}
