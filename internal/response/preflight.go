package response

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// IsPreflight reports whether r is a CORS preflight (WHATWG Fetch, "CORS
// protocol"). A browser sends it without credentials, so it can carry no token.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

// Preflight asks the next handlers what they answer to a preflight, and
// answers with the CORS fields of that: nothing that says what a file contains,
// or whether there is one, goes to a client without a token. The status is always
// 204, and header directives of the site in front of this one decide if none behind
// it does.
func Preflight(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, 0, nil, nil // a browser sends none
	for _, name := range []string{"Content-Length", "Expect", "Trailer", "Transfer-Encoding"} {
		r.Header.Del(name)
	}
	p := &preflight{header: w.Header().Clone()}
	if p.run(next, r) == nil && p.status >= 200 && p.status < 300 {
		p.allow(w.Header())
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// preflight is all that the next handlers get to answer a preflight with. It
// reaches neither the client nor its connection: there is nothing to unwrap.
type preflight struct {
	header  http.Header
	answer  http.Header // as it was when the status was written
	status  int         // 0: none yet
	dropped int         // bytes of a body
}

// maxDropped is how much of a body is dropped without a word, because frameworks
// answer with "OK". More need not be fetched for a client without a token.
const maxDropped = 4 << 10

// run calls the next handlers. reverse_proxy aborts when it cannot write a body
// to its end; its header has been seen then.
func (p *preflight) run(next caddyhttp.Handler, r *http.Request) error {
	defer func() {
		if p.dropped <= maxDropped {
			return
		}
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	return next.ServeHTTP(p, r)
}

// allow copies the CORS fields of the answer into header.
func (p *preflight) allow(header http.Header) {
	const origin, fields = "Access-Control-Allow-Origin", "Access-Control-"
	if p.answer.Get(origin) != header.Get(origin) {
		header["Vary"] = slices.Clone(p.answer["Vary"])
	}
	maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, fields) })
	for name, values := range p.answer {
		if strings.HasPrefix(name, fields) {
			header[name] = values
		}
	}
}

// Header returns a header of its own.
func (p *preflight) Header() http.Header { return p.header }

// WriteHeader notes what the answer would be. 1xx are none.
func (p *preflight) WriteHeader(status int) {
	if p.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		p.status, p.answer = status, p.header.Clone()
	}
}

// Write drops the body.
func (p *preflight) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if p.dropped += len(b); p.dropped > maxDropped {
		return 0, http.ErrBodyNotAllowed
	}
	return len(b), nil
}

// ReadFrom drops the body without reading it.
func (p *preflight) ReadFrom(io.Reader) (int64, error) {
	p.WriteHeader(http.StatusOK)
	return 0, nil
}

// Flush is the end of the header, as everywhere, but nothing goes out.
func (p *preflight) Flush() { p.WriteHeader(http.StatusOK) }
