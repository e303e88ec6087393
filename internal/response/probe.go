package response

import (
	"io"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Probe asks the next handlers what they would send, without its body: the whole
// file, whatever part or encoding the client has asked for. If they would serve
// something, it returns their status and header, and nothing has gone out.
// Otherwise their answer is the answer, status is 0, and everything else is as
// after [Delivery.Serve].
func (d *Delivery) Probe(next caddyhttp.Handler) (status int, header http.Header, err error) {
	r, p := d.r, &probe{w: d.w, header: d.w.Header().Clone()}
	asked, fields := r.Method, r.Header
	defer func() { r.Method, r.Header = asked, fields }()
	r.Method, r.Header = http.MethodHead, fields.Clone()
	for _, name := range []string{
		"Accept-Encoding", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range",
	} {
		r.Header.Del(name)
	}
	d.out.ResponseWriter = p
	err = d.finish(d.run(next))
	if err != nil {
		d.sent = d.sent && !p.held() // of what is held, nothing has gone out
		if p.status != 0 {
			DropBodyFields(p.header)
		}
		maps.Copy(d.w.Header(), p.header) // Caddy keeps the header for its error routes
	}
	if err != nil || !p.held() {
		return 0, nil, err
	}
	return p.status, p.header, nil
}

// probe stands in for the client. It keeps the header of an answer that serves
// something, and lets every other answer out.
type probe struct {
	w      http.ResponseWriter
	header http.Header
	status int
}

// held reports whether the answer serves something. A handler that answers 405 or
// 501 does not know HEAD, and may still serve the file.
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
