package response

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// maxAge is how long a browser may show a file again without asking, if its URL
// holds the token. A token that is revoked, or used with other rules after a
// reload, opens the file that long where it was opened before.
const maxAge = time.Minute

// setHeaders completes the header of the next handler's answer.
func (d *Delivery) setHeaders() {
	header := d.Header()
	if header.Get("Referrer-Policy") != "no-referrer" { // which it was before the next handlers
		header.Set("Referrer-Policy", "no-referrer")
	}
	if d.status == http.StatusPermanentRedirect && d.InURL && d.keepToken(header) {
		ForbidCaching(header)
		d.Policy.Vary(header)
		d.renew(header)
		return
	}
	d.setCaching(d.status)
	d.renew(header)
	if d.Policy.Negotiated {
		header.Add("Vary", "Accept") // a browser that has the file must not take it for the page
	}
	if d.status < 200 || d.status >= 300 || d.r.Method != http.MethodGet && d.r.Method != http.MethodHead {
		return
	}
	if d.Cookie != "" && isPrivate(header) {
		header.Add("Set-Cookie", d.Cookie)
	}
	if disposition := d.Policy.Disposition; disposition != nil {
		header.Set("Content-Disposition", disposition(d.r))
	}
	if d.Policy.Whole {
		header.Set("Accept-Ranges", "none") // Range was taken out: a second request would be refused
	}
}

func (d *Delivery) renew(header http.Header) {
	if d.Renew != nil && d.status >= 200 && d.status < 400 {
		d.Renew(d.status, header)
	}
}

// setCaching says who may keep an answer of this status.
func (d *Delivery) setCaching(status int) {
	header := d.Header()
	if cc := d.cacheControl(status, header.Values("Cache-Control")); cc != "" {
		replaceCaching(header, cc)
	}
	d.Policy.Vary(header)
}

// ForbidCaching is for refusals, pages, and whatever else is no file.
func ForbidCaching(header http.Header) { replaceCaching(header, "no-store") }

// replaceCaching says who may keep an answer, and takes out what tells a cache in
// front something else.
func replaceCaching(header http.Header, cacheControl string) {
	header.Set("Cache-Control", cacheControl)
	for name := range header {
		if isForSome(name) {
			delete(header, name)
		}
	}
}

// isForSome knows the fields that tell some caches something else than Cache-Control
// (RFC 9213).
func isForSome(name string) bool {
	return strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" || name == "Edge-Control" || name == "X-Accel-Expires"
}

// isPrivate reports whether no shared cache may keep the answer. A cache may take what
// is quoted for something else than it is, so it counts as unknown.
func isPrivate(header http.Header) bool {
	for name := range header {
		if isForSome(name) {
			return false
		}
	}
	lines := header["Cache-Control"]
	return !strings.Contains(strings.Join(lines, ","), `"`) &&
		(httpguts.HeaderValuesContainsToken(lines, "private") || httpguts.HeaderValuesContainsToken(lines, "no-store"))
}

// cacheControl decides how long the answer may be kept, given what the site
// says. "" leaves it as it is.
func (d *Delivery) cacheControl(status int, site []string) string {
	inURL := d.InURL && d.Renew == nil
	if d.Policy.OneTime {
		return "private, no-store"
	}
	if len(site) == 0 {
		// An object that outlives its token in a cache makes the token's expiry
		// meaningless.
		left := min(d.Lifetime, maxAge) / time.Second
		switch {
		case status >= 400 || left <= 0:
			return "private, no-store"
		case inURL:
			return "private, max-age=" + strconv.FormatInt(int64(left), 10)
		}
	} else if inURL {
		return ""
	}
	// The URL is the same for everybody, so any cache, the browser's own too, would
	// hand the file to the next user, with another token or none. It has to ask each
	// time; with an entity tag that costs a 304.
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

// Vary names every field that could have carried the token, unless Vary does.
func (p *Policy) Vary(header http.Header) { Vary(header, p.Carriers...) }

// Vary names the fields that the answer depends on, unless Vary does (RFC 9110 section
// 12.5.5).
func Vary(header http.Header, names ...string) {
	for _, name := range names {
		if !httpguts.HeaderValuesContainsToken(header["Vary"], name) && !httpguts.HeaderValuesContainsToken(header["Vary"], "*") {
			header.Add("Vary", name)
		}
	}
}

// DropBodyFields takes out what describes a body, which will not be sent.
func DropBodyFields(header http.Header) {
	for _, name := range []string{
		"Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Location", "Content-Range", "Content-Type", "Etag", "Expires", "Last-Modified", "Location", "Trailer",
	} {
		header.Del(name)
	}
}
