package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// http1 is HTTP/1.1 on a bare connection: the server shares the machine with it, so it
// must cost little. It knows only answers with a Content-Length.
type http1 struct {
	conn    net.Conn
	r       *bufio.Reader
	suffix  string // of the request, behind the target
	request []byte
	body    []byte
	release func() bool
}

func newHTTP1(ctx context.Context, addr string) (*http1, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &http1{
		conn:    conn,
		r:       bufio.NewReaderSize(conn, 16<<10),
		suffix:  " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n",
		body:    make([]byte, 512<<10),
		release: context.AfterFunc(ctx, func() { conn.Close() }),
	}, nil
}

func (c *http1) close() {
	c.release()
	c.conn.Close()
}

func (c *http1) get(target string, w want) (int64, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	c.request = append(append(append(c.request[:0], "GET "...), target...), c.suffix...)
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, err
	}
	status, length, err := c.head()
	if err != nil {
		return 0, err
	}
	body, err := c.discard(length, w.word != "")
	if err != nil {
		return 0, err
	}
	return length, w.check(status, length, body)
}

// head reads the status line and the header fields.
func (c *http1) head() (status int, length int64, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	if string(version) != "HTTP/1.1" || len(rest) < 3 {
		return 0, 0, fmt.Errorf("not HTTP/1.1: %.40q", line)
	}
	if status, err = strconv.Atoi(string(rest[:3])); err != nil {
		return 0, 0, err
	}
	length = -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		name, value, found := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		switch {
		case !found && len(name) == 0 && length < 0:
			return 0, 0, fmt.Errorf("status %d without Content-Length", status)
		case !found && len(name) == 0:
			return status, length, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return 0, 0, err
			}
		}
	}
}

// discard reads the body, and gives it back, as far as it fits, if it is wanted.
func (c *http1) discard(length int64, wanted bool) ([]byte, error) {
	if wanted && length <= int64(len(c.body)) {
		_, err := io.ReadFull(c.r, c.body[:length])
		return c.body[:length], err
	}
	buffered := min(int64(c.r.Buffered()), length)
	if _, err := c.r.Discard(int(buffered)); err != nil {
		return nil, err
	}
	for left := length - buffered; left > 0; {
		n, err := c.conn.Read(c.body[:min(left, int64(len(c.body)))])
		if err != nil {
			return nil, err
		}
		left -= int64(n)
	}
	return nil, nil
}
