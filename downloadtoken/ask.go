package downloadtoken

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ask answers with the page, if the next handlers would serve something. What
// they answer otherwise, such as a redirect or 404, is the answer.
func (h *Handler) ask(v *visit, next caddyhttp.Handler) error {
	p := &probe{w: v.w, header: v.w.Header().Clone()}
	d, err := h.probe(v, p, next)
	if err != nil || !p.held() {
		return d.conclude(err)
	}
	countOutcome("asked")
	page := Page{
		State:  "page",
		Status: http.StatusOK,
		Title:  "Ready to download",
		Detail: "The download starts when you press the button.",
		Name:   fileName(p.header.Get("Content-Disposition"), v.path),
	}
	if h.oneTime != nil {
		page.Press = newPress(v.page, v.now)
		page.Detail = "The download starts when you press the button. This link can be used only once."
		if h.oneTime.uses > 1 {
			page.Detail = "The download starts when you press the button. This link works a limited number of times."
		}
	}
	if n, err := strconv.ParseInt(p.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 && p.status < 300 {
		page.Bytes, page.Size = n, humanSize(n)
	}
	h.vary(v.w.Header())
	return h.pages.write(v.w, page)
}

// probe asks the next handlers what they would send, without its body.
func (h *Handler) probe(v *visit, p *probe, next caddyhttp.Handler) (*delivery, error) {
	method, header := v.r.Method, v.r.Header
	defer func() { v.r.Method, v.r.Header = method, header }()
	v.r.Method, v.r.Header = http.MethodHead, header.Clone()
	for _, name := range []string{ // what would make another answer than the whole file
		"Accept-Encoding", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range",
	} {
		v.r.Header.Del(name)
	}
	d := h.newDelivery(v)
	d.out = &caddyhttp.ResponseWriterWrapper{ResponseWriter: p}
	err := d.finish(d.run(next))
	if err != nil {
		d.sent = d.sent && !p.held() // of what is held, nothing has gone out
		if p.status != 0 {
			dropBodyFields(p.header)
		}
		maps.Copy(v.w.Header(), p.header) // Caddy keeps the header for its error routes
	}
	return d, err
}

// probe stands in for the client. It keeps the header of an answer that serves
// something, and lets every other answer out.
type probe struct {
	w      http.ResponseWriter
	header http.Header
	status int
}

// held reports whether the answer serves something. Who answers 405 or 501 does
// not know HEAD, and may still serve the file.
func (p *probe) held() bool {
	return p.status >= 200 && p.status < 300 || p.status == http.StatusMethodNotAllowed || p.status == http.StatusNotImplemented
}

// Header returns a header of its own, so that nothing of it ends up on the page.
func (p *probe) Header() http.Header { return p.header }

// WriteHeader notes the status, and lets it out if it is the answer.
func (p *probe) WriteHeader(status int) {
	if status < 200 || p.status != 0 {
		return
	}
	if p.status = status; p.held() {
		return
	}
	header := p.w.Header()
	clear(header)
	maps.Copy(header, p.header)
	header.Del("Content-Length") // of a body that HEAD does not have
	p.w.WriteHeader(status)
}

// Write drops the body of what is held.
func (p *probe) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if p.held() {
		return len(b), nil
	}
	return p.w.Write(b)
}

// ReadFrom does not read what would be dropped.
func (p *probe) ReadFrom(src io.Reader) (int64, error) {
	p.WriteHeader(http.StatusOK)
	if p.held() {
		return 0, nil
	}
	return io.Copy(struct{ io.Writer }{p.w}, src)
}

// Flush does nothing: the answer, or the page, is short.
func (p *probe) Flush() {}

// fileName is the name that the file will be saved under. Characters that turn
// the direction of text are left out: with them, a name can look like another.
func fileName(disposition, urlPath string) string {
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

// humanSize writes a number of bytes with two or three digits.
func humanSize(n int64) string {
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
