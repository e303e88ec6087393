package downloadtoken

import (
	"errors"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
)

// errBudget ends a connection when its grant has no bytes left.
var errBudget = errors.New("download_token: the byte budget of the grant is used up")

// meter draws what is written on a grant, before it is written.
type meter struct {
	grant     *nonce.Grant
	now       func() time.Time
	offset    int64 // of the file, of the next byte
	exhausted bool
}

// write writes p in draws.
func (m *meter) write(w io.Writer, p []byte) (int, error) {
	written := 0
	for written < len(p) {
		drawn := m.grant.Draw(int64(len(p) - written))
		if drawn == 0 {
			m.exhausted = true
			return written, errBudget
		}
		n, err := w.Write(p[written : written+int(drawn)])
		m.settle(drawn, int64(n))
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// readFrom copies src in draws. It hands the server a limited reader around the
// file itself, which is the one form in which it uses sendfile.
func (m *meter) readFrom(w *caddyhttp.ResponseWriterWrapper, src io.Reader) (int64, error) {
	whole, limited := src.(*io.LimitedReader)
	if !limited {
		whole = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	var written int64
	for whole.N > 0 {
		drawn := m.grant.Draw(whole.N)
		if drawn == 0 {
			m.exhausted = true
			return written, errBudget
		}
		part := &io.LimitedReader{R: whole.R, N: drawn}
		n, err := w.ReadFrom(part)
		m.settle(drawn, n)
		written += n
		whole.N -= n
		if err != nil || n < drawn {
			return written, err
		}
	}
	return written, nil
}

// settle gives back what was drawn and not written.
func (m *meter) settle(drawn, written int64) {
	m.grant.Wrote(drawn, m.offset, written, m.now())
	m.offset += written
}
