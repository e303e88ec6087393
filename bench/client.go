package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// want is what every answer of a case must be.
type want struct {
	status int
	length int64  // of the body; -1: any
	word   string // in the body
}

// check judges an answer. body is read only for the word.
func (w want) check(status int, length int64, body []byte) error {
	switch {
	case status != w.status:
		return fmt.Errorf("status %d instead of %d", status, w.status)
	case w.length >= 0 && length != w.length:
		return fmt.Errorf("%d bytes instead of %d", length, w.length)
	case w.word != "" && !bytes.Contains(body, []byte(w.word)):
		return fmt.Errorf("refused, but not as %q", w.word)
	}
	return nil
}

// client is one connection that is kept. get asks, waits for the whole answer, and
// returns its length.
type client interface {
	get(target string, w want) (int64, error)
	close()
}

// patience is how long one answer may take.
const patience = time.Minute

// dial connects to the server.
func (w *world) dial(ctx context.Context, s *server, m mode) (client, error) {
	if m == tlsHTTP2 {
		return newHTTP2(ctx, s.addrs[m], w.roots), nil
	}
	return newHTTP1(ctx, s.addrs[m])
}
