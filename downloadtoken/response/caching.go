package downloadtoken

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// maxAge is how long a browser may show a file again without asking, if its URL
// holds the token. A token that is revoked, or used with other rules after a
// reload, opens the file that long where it was opened before.
const maxAge = time.Minute

// setHeaders completes the header of the next handler's answer.
func (d *delivery) setHeaders() {
	header := d.Header()
	header.Set("Referrer-Policy", "no-referrer")
	if d.status == http.StatusPermanentRedirect && d.v.source.Kind == token.Query && d.keepToken(header) {
		forbidCaching(header)
		d.h.vary(header)
		return
	}
	d.setCaching(d.status)
	if d.h.Confirm != nil {
		header.Add("Vary", "Accept") // a browser that has the file must not take it for the page
	}
	if d.status < 200 || d.status >= 300 {
		return
	}
	if a := d.h.Attachment; a != nil {
		header.Set("Content-Disposition", a.disposition(d.v.r))
	}
	if d.h.oneTime != nil && d.h.oneTime.resume == nil {
		header.Set("Accept-Ranges", "none") // Range was taken out: a second request would be refused
	}
}

// setCaching says who may keep an answer of this status.
func (d *delivery) setCaching(status int) {
	header := d.Header()
	if cc := d.cacheControl(status, header.Values("Cache-Control")); cc != "" {
		replaceCaching(header, cc)
	}
	d.h.vary(header)
}

// forbidCaching is for refusals, pages, and whatever else is no file.
func forbidCaching(header http.Header) { replaceCaching(header, "no-store") }

// replaceCaching says who may keep an answer, and takes out what tells a cache in
// front something else.
func replaceCaching(header http.Header, cacheControl string) {
	header.Set("Cache-Control", cacheControl)
	for name := range header {
		if strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" || name == "Edge-Control" || name == "X-Accel-Expires" {
			delete(header, name)
		}
	}
}

// cacheControl decides how long the answer may be kept, given what the site
// says. "" leaves it as it is.
func (d *delivery) cacheControl(status int, site []string) string {
	if d.h.oneTime != nil {
		return "private, no-store"
	}
	if len(site) == 0 {
		// An object that outlives its token in a cache makes the token's expiry
		// meaningless.
		left := min(d.v.token.Claims.ExpiresAt.Sub(d.v.now), maxAge) / time.Second
		switch {
		case status >= 400 || left <= 0:
			return "private, no-store"
		case d.v.source.Kind == token.Query:
			return "private, max-age=" + strconv.FormatInt(int64(left), 10)
		}
	} else if d.v.source.Kind == token.Query {
		return ""
	}
	// The URL is the same for everybody, so any cache, the browser's own too, would
	// hand the file to whoever comes next, with another token or none. It has to
	// ask each time; with an entity tag that costs a 304.
	kept := []string{"private", "no-cache"}
	for _, directive := range strings.Split(strings.Join(site, ","), ",") {
		name, _, _ := strings.Cut(directive, "=")
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "no-store", "no-transform", "must-revalidate":
			kept = append(kept, name)
		}
	}
	return strings.Join(kept, ", ")
}

// vary names every field that could have carried the token, unless Vary does.
func (h *Handler) vary(header http.Header) {
	for _, source := range h.sources {
		name := source.Field()
		if name == "" { // the URL, by which answers are told apart anyhow
			continue
		}
		if !httpguts.HeaderValuesContainsToken(header["Vary"], name) && !httpguts.HeaderValuesContainsToken(header["Vary"], "*") {
			header.Add("Vary", name)
		}
	}
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
