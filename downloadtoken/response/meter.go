package downloadtoken

import (
	"context"
	"errors"
	"io"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// errBudget ends a connection when its grant has no bytes left.
var errBudget = errors.New("download_token: the byte budget of the grant is used up")

// meter draws what is written on a grant, before it is written. What was drawn
// and handed to the server's writer counts as sent, whatever comes of it: when a
// stream of HTTP/2 is reset, its writer says that nothing went out, although
// frames did.
type meter struct {
	ctx     context.Context // of the request
	grant   store.Grant
	prepaid int64 // drawn, and not handed to anybody yet
	broke   error // why nothing more can be sent: errBudget, or the store failed
}

// draw takes at most n bytes out of the budget. 0: nothing more can be sent.
func (m *meter) draw(n int64) int64 {
	if m.prepaid == 0 && m.broke == nil {
		m.prepaid, m.broke = m.grant.Draw(m.ctx, n)
		if m.prepaid == 0 && m.broke == nil {
			m.broke = errBudget
		}
	}
	n = min(n, m.prepaid)
	m.prepaid -= n
	return n
}

// prepay makes sure that at least one byte of an answer of n can be sent.
func (m *meter) prepay(n int64) (err error) {
	m.prepaid, err = m.grant.Draw(m.ctx, n)
	if err == nil && m.prepaid == 0 {
		err = rules.ErrBudget
	}
	return err
}

// end gives back what was drawn and not handed to anybody.
func (m *meter) end() {
	m.grant.Return(m.prepaid)
	m.prepaid = 0
}

// write writes p in draws.
func (m *meter) write(w io.Writer, p []byte) (int, error) {
	written := 0
	for written < len(p) {
		drawn := m.draw(int64(len(p) - written))
		if drawn == 0 {
			return written, m.broke
		}
		n, err := w.Write(p[written : written+int(drawn)])
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
		drawn := m.draw(whole.N)
		if drawn == 0 {
			return written, m.broke
		}
		n, err := w.ReadFrom(&io.LimitedReader{R: whole.R, N: drawn})
		written += n
		whole.N -= n
		if err != nil {
			return written, err
		}
		if n < drawn { // the end of src: there was no more to hand over
			m.grant.Return(drawn - n)
			return written, nil
		}
	}
	return written, nil
}
