package response

import (
	"context"
	"errors"
	"io"
)

// ErrBudget ends a connection when its budget has no bytes left.
var ErrBudget = errors.New("download_token: the byte budget of the grant is used up")

// Budget is a number of bytes that may still be sent, shared by connections.
type Budget interface {
	// Draw takes at most n bytes, n > 0, and returns how many; 0: none is left.
	Draw(ctx context.Context, n int64) (int64, error)
	// Return gives n bytes back.
	Return(n int64)
}

// Meter draws what is written on a budget, before it is written. What was drawn
// and handed to the server's writer counts as sent, whatever comes of it: when a
// stream of HTTP/2 is reset, its writer says that nothing went out, although
// frames did. A nil Meter counts nothing.
type Meter struct {
	ctx     context.Context // of the request
	budget  Budget
	prepaid int64 // drawn, and not handed to the server yet
	broke   error // why nothing more can be sent: ErrBudget, or the store failed
}

// NewMeter counts on a budget until the request ends.
func NewMeter(ctx context.Context, budget Budget) *Meter {
	return &Meter{ctx: ctx, budget: budget}
}

// Broke is why the answer could not be sent to its end: [ErrBudget], or an error of
// the budget. nil: it did not.
func (m *Meter) Broke() error {
	if m == nil {
		return nil
	}
	return m.broke
}

// draw takes at most n bytes out of the budget. 0: nothing more can be sent.
func (m *Meter) draw(n int64) int64 {
	if m.prepaid == 0 && m.broke == nil {
		m.prepaid, m.broke = m.budget.Draw(m.ctx, n)
		if m.prepaid == 0 && m.broke == nil {
			m.broke = ErrBudget
		}
	}
	n = min(n, m.prepaid)
	m.prepaid -= n
	return n
}

// Prepay makes sure that at least one byte of an answer of n bytes can be sent. It
// returns [ErrBudget] if none can, or an error of the budget.
func (m *Meter) Prepay(n int64) (err error) {
	m.prepaid, err = m.budget.Draw(m.ctx, n)
	if err == nil && m.prepaid == 0 {
		err = ErrBudget
	}
	return err
}

// end gives back what was drawn and not handed to the server.
func (m *Meter) end() {
	if m == nil {
		return
	}
	m.budget.Return(m.prepaid)
	m.prepaid = 0
}

// write writes p in draws.
func (m *Meter) write(w io.Writer, p []byte) (int, error) {
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

// readFrom copies whole in draws, each of which is sent in one go.
func (m *Meter) readFrom(send func(part *io.LimitedReader) (int64, error), whole *io.LimitedReader) (int64, error) {
	var written int64
	for whole.N > 0 {
		drawn := m.draw(whole.N)
		if drawn == 0 {
			return written, m.broke
		}
		n, err := send(&io.LimitedReader{R: whole.R, N: drawn})
		written += n
		whole.N -= n
		if err != nil {
			return written, err
		}
		if n < drawn { // the end of whole: there was no more to hand over
			m.budget.Return(drawn - n)
			return written, nil
		}
	}
	return written, nil
}
