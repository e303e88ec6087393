package response

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// Gate decides whether the answer to one request may go out.
type Gate interface {
	// Admit is asked once, when the header of the final answer is about to go out;
	// with [Delivery.Spends], only when its first byte, or deliberately none, is
	// there. An error keeps the answer back; [ErrPartial] asks for the whole file
	// instead of a part. The meter counts the bytes of the answer; nil: they are not
	// counted.
	Admit(status int, header http.Header) (*Meter, error)
}

// Delivery stands between the next handlers and the client. It holds the header
// of a 2xx answer back until it is known that a body, or deliberately none,
// follows; then it asks its gate, and only then lets anything out. It passes
// 1xx, and everything about which there is nothing to decide, straight through,
// and keeps sendfile, Flush and deadlines working. What is behind it cannot be
// unwrapped: no handler gets at the connection, or can push, for one request's
// token.
type Delivery struct {
	Policy *Policy
	Gate   Gate

	// The token came in the URL, so that caches keep the answers to two tokens apart.
	InURL bool

	// How long the token is still valid.
	Lifetime time.Duration

	// Whether a 2xx answer uses something up. Its header then goes out with its
	// first byte.
	Spends bool

	// Whether the request may have changed something. An answer that a handler leaves to
	// the server is then the 200 that it is to the client; if there was no handler, it is 501.
	Writes bool

	// Set-Cookie of a 2xx answer that shared caches may not keep. Default: none.
	Cookie string

	// Renew adds to an answer of 2xx or 3xx, which is then private, what lets the client
	// come again. Default: nothing.
	Renew func(status int, header http.Header)

	// What the client asked for, for the redirects of file_server.
	Asked Asked

	w          http.ResponseWriter // the client's
	r          *http.Request
	out        caddyhttp.ResponseWriterWrapper
	authorised string // r.URL.Path when it was judged
	meter      *Meter // nil if bytes are not counted

	bytes      int64 // of a successful answer that the server has taken
	status     int   // final status of the next handler, 0 if it has none yet
	sent       bool  // the header has gone out
	stopped    error // why nothing may go out any more
	unanswered bool
}

// Asked is the request before anything was taken out of it.
type Asked struct {
	URL      url.URL // as received, before any rewrite
	Path     string  // of URL, without the token; "": the same
	RawQuery string  // as it reached the directive
}

// Begin takes the request, whose path is authorised as it is now.
func (d *Delivery) Begin(w http.ResponseWriter, r *http.Request) {
	d.w, d.r, d.authorised = w, r, r.URL.Path
	d.out.ResponseWriter = w
}

// Status is that of the next handler's answer, 0 if it has not given one.
func (d *Delivery) Status() int { return d.status }

// Bytes is how many bytes of a successful answer the server has taken. Some of them may
// not have reached the client.
func (d *Delivery) Bytes() int64 { return d.bytes }

// Sent reports whether the header has gone out.
func (d *Delivery) Sent() bool { return d.sent }

// Stopped is why nothing has gone out: an error of the gate, or one of this package.
func (d *Delivery) Stopped() error { return d.stopped }

// Failed reports whether the answer was stopped for what a later handler did.
func (d *Delivery) Failed() bool {
	return errors.Is(d.stopped, errOtherFile) || errors.Is(d.stopped, errNoBody) || errors.Is(d.stopped, errSwitch) ||
		errors.Is(d.stopped, errUntaken)
}

// Unanswered reports whether no handler has answered, so that Caddy sends its empty
// 200. That is no file, so the gate was not asked.
func (d *Delivery) Unanswered() bool { return d.unanswered }

// Meter is what counts the bytes of this answer; nil if nothing does.
func (d *Delivery) Meter() *Meter { return d.meter }

// Header is the client's.
func (d *Delivery) Header() http.Header { return d.out.Header() }

// WriteHeader notes a final status and lets it out unless something has to be
// spent first. 101 never goes out.
func (d *Delivery) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		d.out.WriteHeader(status)
		return
	}
	if d.status != 0 || d.stopped != nil {
		return
	}
	if status == http.StatusSwitchingProtocols {
		d.stopped = errSwitch
		return
	}
	d.status = status
	if !d.waits() {
		_ = d.letOut() // kept in d.stopped, and returned by the next Write
	}
}

// waits reports whether the header waits for a body: only success spends anything.
func (d *Delivery) waits() bool {
	return d.Spends && (d.status < 300 || d.status == 0)
}

// letOut makes sure that the header has gone out, if it may: the answer must be for
// the file that was authorised.
func (d *Delivery) letOut() error {
	if d.sent || d.stopped != nil {
		return d.stopped
	}
	if d.status == 0 {
		d.status = http.StatusOK
	}
	if !scope.Suffix(d.authorised, d.r.URL.Path) {
		d.stopped = errOtherFile
	} else {
		d.meter, d.stopped = d.Gate.Admit(d.status, d.Header())
	}
	if d.stopped != nil {
		return d.stopped
	}
	d.setHeaders()
	d.sent = true
	d.out.WriteHeader(d.status)
	return nil
}

// Write lets the header out before the first byte.
func (d *Delivery) Write(p []byte) (int, error) {
	if !d.sent {
		if len(p) == 0 && d.stopped == nil {
			d.answered()
			return 0, nil // no byte, nothing to spend anything on
		}
		if err := d.letOut(); err != nil {
			return 0, err
		}
	}
	var n int
	var err error
	if d.meter != nil && d.status < 300 {
		n, err = d.meter.write(&d.out, p)
	} else {
		n, err = d.out.Write(p)
	}
	d.count(int64(n))
	return n, err
}

func (d *Delivery) count(n int64) {
	if d.status < 300 {
		d.bytes += n
	}
}

// answered notes that the next handler has begun an answer without saying which.
func (d *Delivery) answered() {
	if d.status == 0 {
		d.status = http.StatusOK
	}
}

// ReadFrom copies from src and keeps sendfile: once the first bytes have shown
// that src can be read at all, the rest is left to the server's own writer.
func (d *Delivery) ReadFrom(src io.Reader) (int64, error) {
	if limited, ok := src.(*io.LimitedReader); ok && limited.N <= smallFile {
		buffer := buffers.Get().(*[smallFile]byte)
		n, err := io.CopyBuffer(struct{ io.Writer }{d}, src, buffer[:])
		giveBack(buffer, err)
		if n == 0 && err == nil {
			d.answered()
		}
		return n, err
	}
	var head int64
	if !d.sent {
		var err error
		if head, err = d.sendHead(src); head == 0 || err != nil {
			return head, err
		}
	}
	n, err := d.copy(src)
	return head + n, err
}

// sendHead sends the first bytes of src, as many as net/http looks at itself.
func (d *Delivery) sendHead(src io.Reader) (int64, error) {
	buffer := buffers.Get().(*[smallFile]byte)
	n, err := readSome(src, buffer[:512])
	switch {
	case n > 0:
		var writeErr error
		n, writeErr = d.Write(buffer[:n])
		err = errors.Join(writeErr, err)
	case err == nil:
		d.answered()
	}
	giveBack(buffer, err)
	return int64(n), err
}

// smallFile is up to how many bytes a file goes out with its header: writing once costs
// less than sendfile.
const smallFile = 32 << 10

var buffers = sync.Pool{New: func() any { return new([smallFile]byte) }}

// giveBack lets a buffer be used again, unless something went wrong: when a stream of
// HTTP/2 is reset, its writer returns although its server may not have copied the bytes
// yet, and would then send those of another request.
func giveBack(buffer *[smallFile]byte, err error) {
	if err == nil {
		buffers.Put(buffer)
	}
}

// copy copies what follows the first bytes.
func (d *Delivery) copy(src io.Reader) (int64, error) {
	counted, plain := d.meter != nil && d.status < 300, d.r.ProtoMajor == 1 && d.r.TLS == nil
	limited, ok := src.(*io.LimitedReader)
	switch {
	case counted && !(plain && ok):
		// There is no sendfile to be kept, and small draws lose less; or no end is known,
		// and a budget must not be asked for more than there is: it may end with the file.
		return io.Copy(struct{ io.Writer }{d}, src)
	case !plain:
		n, err := d.out.ReadFrom(src)
		d.count(n)
		return n, err
	case !ok:
		limited = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	_, idle := caddyhttp.IdleTimeoutsFromContext(d.r.Context())
	send := func(part *io.LimitedReader) (int64, error) {
		n, err := d.out.ReadFrom(sendable(idle, part))
		d.count(n)
		return n, err
	}
	if counted {
		return d.meter.readFrom(send, limited)
	}
	return send(limited)
}

// readSome reads until there is at least one byte. At the end of src it returns
// 0 and no error, as io.Copy would.
func readSome(src io.Reader, p []byte) (int, error) {
	for {
		n, err := src.Read(p)
		if errors.Is(err, io.EOF) {
			err = nil
			if n == 0 {
				return 0, nil
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// FlushError lets the header out and flushes; it is what
// http.ResponseController looks for. Where something has to be spent, a header
// alone is not worth it: reverse_proxy flushes as soon as the upstream has
// answered, and the upstream may still die before its first byte. The header
// then goes out with that byte.
func (d *Delivery) FlushError() error {
	if !d.sent && d.stopped == nil && d.waits() {
		d.answered()
		return nil
	}
	if err := d.letOut(); err != nil {
		return err
	}
	return http.NewResponseController(&d.out).Flush()
}

// Flush is FlushError for callers that know only http.Flusher.
func (d *Delivery) Flush() {
	_ = d.FlushError()
}

// Hijack is refused: what goes over the connection afterwards cannot be seen.
func (d *Delivery) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !d.sent && d.stopped == nil {
		d.stopped = errSwitch
	}
	return nil, nil, errors.Join(errSwitch, http.ErrNotSupported)
}

// SetReadDeadline is for http.ResponseController, as is SetWriteDeadline.
func (d *Delivery) SetReadDeadline(deadline time.Time) error {
	return http.NewResponseController(&d.out).SetReadDeadline(deadline)
}

// SetWriteDeadline is SetReadDeadline for what goes out.
func (d *Delivery) SetWriteDeadline(deadline time.Time) error {
	return http.NewResponseController(&d.out).SetWriteDeadline(deadline)
}

// Interface guards
var (
	_ http.ResponseWriter = (*Delivery)(nil)
	_ io.ReaderFrom       = (*Delivery)(nil)
	_ http.Flusher        = (*Delivery)(nil)
)
