package bolt

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestReport: a disk that is full by turns is told of once, and that it is not when that
// has lasted.
func TestReport(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	e := &engine{logger: zap.New(core)}
	full := errors.New("disk full")
	for i, step := range []struct {
		after time.Duration
		err   error
		lines int
	}{
		{0, nil, 0}, {1, full, 1}, {2, nil, 1}, {3, full, 1}, {quiet, nil, 1}, {quiet + 3, nil, 2}, {quiet + 4, nil, 2}, {quiet + 5, full, 3},
	} {
		e.reportLocked(step.err, start.Add(step.after))
		if logs.Len() != step.lines {
			t.Fatalf("step %d: %d lines, want %d", i, logs.Len(), step.lines)
		}
	}
}
