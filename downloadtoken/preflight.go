package downloadtoken

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// isPreflight reports whether r is a CORS preflight (WHATWG Fetch, "CORS
// protocol"). A browser sends it without credentials, so it can carry no token.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

// passPreflight lets the next handlers answer a preflight, but only with what
// CORS is about: nothing that says what a file contains, or whether there is
// one, goes to somebody without a token. The status is always 204, and header
// directives of the site in front of this one decide if nobody behind it does.
func passPreflight(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	p := &preflight{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		before:                w.Header().Clone(),
	}
	if err := next.ServeHTTP(p, r); err != nil && !p.sent {
		p.allowed = false
	}
	p.send()
	return nil
}

// preflight lets CORS header fields through, and nothing else.
type preflight struct {
	*caddyhttp.ResponseWriterWrapper
	before  http.Header
	allowed bool // whoever answers means what the header says
	sent    bool
}

// WriteHeader notes whether the answer is one.
func (p *preflight) WriteHeader(status int) {
	if status >= 200 {
		p.allowed = status < 300
		p.send()
	}
}

// send answers with the header as it was, and the CORS fields of the answer.
func (p *preflight) send() {
	if p.sent {
		return
	}
	p.sent = true
	header := p.Header()
	answers := header.Get("Access-Control-Allow-Origin") != p.before.Get("Access-Control-Allow-Origin")
	for name := range header {
		cors := strings.HasPrefix(name, "Access-Control-") || name == "Vary" && answers
		if cors && p.allowed {
			continue
		}
		if values, ok := p.before[name]; ok {
			header[name] = values
		} else {
			delete(header, name)
		}
	}
	p.ResponseWriterWrapper.WriteHeader(http.StatusNoContent)
}

// Write swallows the body.
func (p *preflight) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return len(b), nil
}

// ReadFrom swallows the body without reading it.
func (p *preflight) ReadFrom(io.Reader) (int64, error) {
	p.WriteHeader(http.StatusOK)
	return 0, nil
}
