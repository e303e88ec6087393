package downloadtoken

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// isPreflight reports whether r is a CORS preflight (WHATWG Fetch, "CORS
// protocol"). A browser sends it without credentials, so it can carry no token.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

// passPreflight lets the next handlers answer a preflight, but only with a
// header: nothing that says what a file contains, or whether there is one,
// goes to somebody without a token. Where nobody answers OPTIONS, as behind
// file_server, the answer is 204, and the site's own header directives decide.
func passPreflight(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	p := &preflight{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	err := next.ServeHTTP(p, r)
	if err != nil || !p.sent {
		p.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// preflight lets a header through, and no body.
type preflight struct {
	*caddyhttp.ResponseWriterWrapper
	sent bool
}

// WriteHeader lets success out, and makes 204 of everything else.
func (p *preflight) WriteHeader(status int) {
	if p.sent || status < 200 {
		return
	}
	p.sent = true
	dropBodyFields(p.Header())
	if status >= 300 {
		status = http.StatusNoContent
	}
	p.ResponseWriterWrapper.WriteHeader(status)
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
