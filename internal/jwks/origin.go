package jwks

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	fetchTimeout = 10 * time.Second
	maxSetBytes  = 1 << 20
	maxRedirects = 3
)

// A source reads the text of a JWK set. Its errors are of type [*readError].
type source interface {
	read(ctx context.Context) ([]byte, error)
}

// A readError tells apart what went wrong, which stays the same while it lasts, from
// its cause, whose text may name a port or the time and so change with each attempt.
type readError struct {
	problem string
	cause   error
}

func (e *readError) Error() string {
	if e.cause == nil {
		return e.problem
	}
	return e.problem + ": " + e.cause.Error()
}

func (e *readError) Unwrap() error { return e.cause }

// A file is a path. It is read in full each time: that costs less than finding out
// by date and size whether it changed, and cannot be wrong.
type file string

func (f file) read(context.Context) ([]byte, error) {
	info, err := os.Stat(string(f))
	if err == nil && !info.Mode().IsRegular() {
		return nil, &readError{"is not a regular file", nil} // a pipe would make the reader wait
	}
	var opened *os.File
	if err == nil {
		opened, err = os.Open(string(f))
	}
	if err != nil {
		return nil, unreadable(err)
	}
	defer opened.Close()
	data, err := readBounded(opened)
	if err != nil {
		return nil, unreadable(err)
	}
	return data, nil
}

func unreadable(err error) error {
	if own := (*readError)(nil); errors.As(err, &own) {
		return own
	}
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return &readError{"file cannot be read", err}
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSetBytes+1))
	if err == nil && len(data) > maxSetBytes {
		return nil, &readError{"is larger than 1 MiB", nil}
	}
	return data, err
}

// An origin is a URL and the client that fetches it.
type origin struct {
	location string
	client   *http.Client
}

func newOrigin(location *url.URL, client *http.Client) *origin {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSHandshakeTimeout:    fetchTimeout / 2,
			ResponseHeaderTimeout:  fetchTimeout,
			MaxResponseHeaderBytes: 64 << 10,
		}}
	}
	bounded := *client
	bounded.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return &readError{"redirects too often", nil}
		}
		if !sameOrigin(next.URL, location) {
			return &readError{"redirects to another host, port or scheme, which is not followed: write its final address", nil}
		}
		return nil
	}
	return &origin{location.String(), &bounded}
}

// sameOrigin is the one of RFC 6454 4.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func (o *origin) read(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.location, nil)
	if err != nil {
		return nil, &readError{"has an address that cannot be fetched", nil}
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Close = true // an idle connection would outlive the configuration
	response, err := o.client.Do(request)
	if err != nil {
		return nil, unreachable(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &readError{fmt.Sprintf("answers %d instead of 200", response.StatusCode), nil}
	}
	data, err := readBounded(response.Body)
	if err != nil {
		return nil, unreachable(err)
	}
	return data, nil
}

// unreachable sorts what a client may return. The URL is left out, since its query
// may hold a secret.
func unreachable(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var (
		own         *readError
		timeout     interface{ Timeout() bool }
		certificate *tls.CertificateVerificationError
		network     *net.OpError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &timeout) && timeout.Timeout():
		return &readError{"does not answer in time", nil}
	case errors.As(err, &certificate):
		return &readError{"has a certificate that is not accepted", certificate.Err}
	case errors.As(err, &network):
		return &readError{"cannot be reached", network.Err}
	}
	return &readError{"cannot be fetched", err}
}
