package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
)

// http2 is HTTP/2 over TLS, with net/http and a connection of its own.
type http2 struct {
	ctx       context.Context
	transport *http.Transport
	client    *http.Client
	url       string
	buffer    []byte
}

func newHTTP2(ctx context.Context, addr string, roots *x509.CertPool) *http2 {
	transport := &http.Transport{
		DisableCompression: true,
		ForceAttemptHTTP2:  true,
		TLSClientConfig:    &tls.Config{RootCAs: roots},
	}
	return &http2{
		ctx:       ctx,
		transport: transport,
		client:    &http.Client{Transport: transport, Timeout: patience},
		url:       "https://" + addr,
		buffer:    make([]byte, 512<<10),
	}
}

func (c *http2) close() { c.transport.CloseIdleConnections() }

func (c *http2) get(target string, w want) (int64, error) {
	r, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.url+target, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		return 0, fmt.Errorf("%s instead of HTTP/2", resp.Proto)
	}
	if w.word != "" {
		var body bytes.Buffer
		n, err := body.ReadFrom(resp.Body)
		if err != nil {
			return 0, err
		}
		return n, w.check(resp.StatusCode, n, body.Bytes())
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, c.buffer)
	if err != nil {
		return 0, err
	}
	return n, w.check(resp.StatusCode, n, nil)
}
