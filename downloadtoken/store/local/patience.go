package local

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// Patience is how long a request goes on waiting, however often it has to. Make it
// with [NewPatience], and Stop it.
type Patience struct {
	left  time.Duration
	timer *time.Timer
}

// NewPatience begins to run when it is first needed. 0: not at all.
func NewPatience(d time.Duration) *Patience { return &Patience{left: d} }

// Stop frees what waiting has taken.
func (p *Patience) Stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// wait returns when done is closed, or with [rules.ErrInUse] when patience or ctx
// ends first.
func (p *Patience) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-p.out():
		p.left = 0
		return rules.ErrInUse
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", rules.ErrInUse, context.Cause(ctx))
	}
}

// out is when patience ends.
func (p *Patience) out() <-chan time.Time {
	if p.timer == nil {
		p.timer = time.NewTimer(p.left)
	}
	return p.timer.C
}
