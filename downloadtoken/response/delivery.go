package downloadtoken

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Why a response that the next handler had begun was not let out.
var (
	errOtherFile = errors.New("download_token: a later handler changed the path after it was authorised; " +
		"put rewrite, uri and try_files before download_token, or download_token behind them")
	errNoBody = errors.New("download_token: the next handler announced a body and sent none")
)

// deliver serves the request with the next handler.
func (h *Handler) deliver(v *visit, next caddyhttp.Handler) error {
	return h.newDelivery(v).serve(next)
}

func (h *Handler) newDelivery(v *visit) *delivery {
	return &delivery{
		out:        &caddyhttp.ResponseWriterWrapper{ResponseWriter: v.w},
		h:          h,
		v:          v,
		authorised: v.r.URL.Path,
	}
}

// run calls the next handler. One that copies, such as reverse_proxy, aborts the
// connection when it is not let out; since nothing has gone out, the client can
// still be told why.
func (d *delivery) run(next caddyhttp.Handler) error {
	defer func() {
		if d.stopped == nil || d.sent {
			return
		}
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	return next.ServeHTTP(d, d.v.r)
}

// serve calls the next handler and sees the answer through.
func (d *delivery) serve(next caddyhttp.Handler) error {
	defer d.settle()
	url := *d.v.r.URL
	err := d.run(next)
	if errors.Is(d.stopped, errPartial) {
		*d.v.r.URL = url // a later handler may have stripped a prefix
		d.v.r.Header.Del("Range")
		d.v.r.Header.Del("If-Range")
		d.dropHeld(true)
		d.stopped, d.status = nil, 0
		err = d.run(next)
	}
	return d.conclude(d.finish(err))
}

// settle gives back what of the budget was drawn and not handed to anybody, and tells
// of a download that the budget has ended. It runs in a defer, because reverse_proxy
// panics when it cannot go on.
func (d *delivery) settle() {
	if d.meter == nil {
		return
	}
	d.meter.end()
	if d.meter.broke != nil {
		d.h.brokeOff(d.v, d.meter)
	}
}

// delivery stands between the next handlers and the client. It holds the header
// of a 2xx answer back until it is known that a body, or deliberately none,
// follows; then it spends the token, and only then lets anything out. It passes
// 1xx, and everything about which there is nothing to decide, straight through,
// and keeps sendfile, Flush and deadlines working. What is behind it cannot be
// unwrapped: nobody gets at the connection, or can push, for one request's token.
type delivery struct {
	out        *caddyhttp.ResponseWriterWrapper
	h          *Handler
	v          *visit
	authorised string      // r.URL.Path when it was judged
	spending   *spending   // nil if nothing has to be spent
	grant      store.Grant // that was joined; nil if none
	meter      *meter      // nil if bytes are not counted

	status  int   // final status of the next handler, 0 if it has none yet
	sent    bool  // the header has gone out
	stopped error // why nothing may go out any more
}

// Header is the client's.
func (d *delivery) Header() http.Header { return d.out.Header() }

// WriteHeader notes a final status and lets it out unless a token has to be
// spent first. 101 never goes out.
func (d *delivery) WriteHeader(status int) {
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
	if !d.spends() {
		_ = d.letOut() // kept in d.stopped, and returned by the next Write
	}
}

// spends reports whether this answer would spend the token: only success does.
func (d *delivery) spends() bool {
	return d.spending != nil && (d.status < 300 || d.status == 0)
}

// letOut makes sure that the header has gone out, if it may.
func (d *delivery) letOut() error {
	if d.sent || d.stopped != nil {
		return d.stopped
	}
	if d.status == 0 {
		d.status = http.StatusOK
	}
	if err := d.allow(); err != nil {
		return err
	}
	d.setHeaders()
	d.sent = true
	d.out.WriteHeader(d.status)
	return nil
}

// Write lets the header out before the first byte.
func (d *delivery) Write(p []byte) (int, error) {
	if !d.sent {
		if len(p) == 0 && d.stopped == nil {
			d.answered()
			return 0, nil // no byte, nothing to spend a token on
		}
		if err := d.letOut(); err != nil {
			return 0, err
		}
	}
	if d.meter != nil && d.status < 300 {
		return d.meter.write(d.out, p)
	}
	return d.out.Write(p)
}

// answered notes that the next handler has begun an answer without saying which.
func (d *delivery) answered() {
	if d.status == 0 {
		d.status = http.StatusOK
	}
}

// ReadFrom copies from src and keeps sendfile: once the first bytes have shown
// that src can be read at all, the rest is left to the server's own writer.
func (d *delivery) ReadFrom(src io.Reader) (int64, error) {
	var head int64
	if !d.sent {
		first := make([]byte, 512) // as many as net/http looks at itself
		n, err := readSome(src, first)
		if n == 0 {
			if err == nil {
				d.answered()
			}
			return 0, err
		}
		n, writeErr := d.Write(first[:n])
		head = int64(n)
		if writeErr != nil || err != nil {
			return head, errors.Join(writeErr, err)
		}
	}
	var n int64
	var err error
	switch {
	case d.meter == nil || d.status >= 300:
		n, err = d.out.ReadFrom(src)
	case d.v.r.ProtoMajor == 1 && d.v.r.TLS == nil:
		n, err = d.meter.readFrom(d.out, src)
	default: // there is no sendfile to be kept, and small draws lose less
		n, err = io.Copy(struct{ io.Writer }{d}, src)
	}
	return head + n, err
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
// http.ResponseController looks for. Where a token has to be spent, a header
// alone is not worth it: reverse_proxy flushes as soon as the upstream has
// answered, and the upstream may still die before its first byte. The header
// then goes out with that byte.
func (d *delivery) FlushError() error {
	if !d.sent && d.stopped == nil && d.spends() {
		d.answered()
		return nil
	}
	if err := d.letOut(); err != nil {
		return err
	}
	return http.NewResponseController(d.out).Flush()
}

// Flush is FlushError for callers that know only http.Flusher.
func (d *delivery) Flush() {
	_ = d.FlushError()
}

// Hijack is refused: what goes over the connection afterwards cannot be seen.
func (d *delivery) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !d.sent && d.stopped == nil {
		d.stopped = errSwitch
	}
	return nil, nil, errors.Join(errSwitch, http.ErrNotSupported)
}

// SetReadDeadline is for http.ResponseController, as is SetWriteDeadline.
func (d *delivery) SetReadDeadline(deadline time.Time) error {
	return http.NewResponseController(d.out).SetReadDeadline(deadline)
}

// SetWriteDeadline is SetReadDeadline for what goes out.
func (d *delivery) SetWriteDeadline(deadline time.Time) error {
	return http.NewResponseController(d.out).SetWriteDeadline(deadline)
}

// finish settles what is left when the next handler has returned with err.
func (d *delivery) finish(err error) error {
	if d.meter != nil && d.meter.broke != nil {
		panic(http.ErrAbortHandler) // there is no other way to say that the body is not whole
	}
	if d.sent {
		return err
	}
	held := d.status != 0
	if d.stopped == nil && err == nil {
		switch {
		case !held:
			if d.stopped = d.unanswered(); d.stopped == nil {
				return nil
			}
		case d.v.r.Method == http.MethodGet && announcesBody(d.Header()) && d.status != http.StatusNoContent:
			d.stopped = errNoBody
		default:
			if d.letOut() == nil {
				return nil
			}
		}
	}
	if d.stopped == nil {
		d.dropHeld(held)
		d.setCaching(http.StatusInternalServerError) // or whatever the error is answered with
		return err
	}
	d.dropHeld(true)
	switch {
	case d.v.r.Context().Err() != nil:
		// Nobody is there any more. Returning would make an empty 200 of it, for
		// whoever has only closed its sending side.
		panic(http.ErrAbortHandler)
	case d.failed():
		confineHeader(d.Header())
		status := http.StatusInternalServerError
		if errors.Is(d.stopped, errSwitch) {
			status = http.StatusBadGateway
		}
		d.setCaching(status)
		d.h.logger.Error(d.stopped.Error(),
			zap.String("fingerprint", d.v.fingerprint.String()),
			zap.String("authorised", token.Redact(d.authorised)),
			zap.String("path", token.Redact(d.v.r.URL.Path)))
		return caddyhttp.Error(status, d.stopped)
	}
	if errors.Is(d.stopped, rules.ErrBudget) {
		d.v.fields = budgetFields(d.grant)
	}
	return d.h.deny(d.v, d.stopped)
}

// failed reports whether the answer was stopped for what a later handler did.
func (d *delivery) failed() bool {
	return errors.Is(d.stopped, errOtherFile) || errors.Is(d.stopped, errNoBody) || errors.Is(d.stopped, errSwitch)
}

// unanswered sees to the empty 200 that Caddy sends if no handler has answered.
// It is no file, so it spends nothing. reverse_proxy does not answer either when
// its upstream switches protocols unasked.
func (d *delivery) unanswered() error {
	if err := context.Cause(d.v.r.Context()); err != nil {
		return err
	}
	repl := d.v.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if status, _ := repl.Get("http.reverse_proxy.status_code"); status == http.StatusSwitchingProtocols {
		return errSwitch
	}
	header := d.v.w.Header() // for the page of confirm, d writes to a probe
	forbidCaching(header)
	d.h.vary(header)
	d.h.logger.Warn("no handler behind download_token has answered, so there is nothing to download; "+
		"add one that does, such as file_server",
		zap.String("fingerprint", d.v.fingerprint.String()),
		zap.String("path", token.Redact(d.v.path)))
	return nil
}

// announcesBody reports whether Content-Length promises at least one byte.
func announcesBody(header http.Header) bool {
	n, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	return err == nil && n > 0
}

// dropHeld takes the description of a body that will not be sent out of the
// header, so that it does not end up with the body of an error.
func (d *delivery) dropHeld(held bool) {
	if !held {
		return
	}
	header := d.Header()
	header.Del("Vary")
	dropBodyFields(header)
}

// Interface guards
var (
	_ http.ResponseWriter = (*delivery)(nil)
	_ io.ReaderFrom       = (*delivery)(nil)
	_ http.Flusher        = (*delivery)(nil)
)
