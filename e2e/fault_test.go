package e2e

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(fault{})
	httpcaddyfile.RegisterHandlerDirective("fault", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		f := new(fault)
		if !h.AllArgs(&f.Kind) {
			return nil, h.ArgErr()
		}
		return f, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("fault", httpcaddyfile.Before, "file_server")
}

// fault is a handler that behaves as few handlers do. The kind can be chosen by
// the request, with the header Fault; without one, the next handler is called. A
// duration is an error after that time.
type fault struct {
	Kind string `json:"kind,omitempty"`
}

func (fault) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.fault", New: func() caddy.Module { return new(fault) }}
}

var errFault = errors.New("fault")

// goOn lets a fault that is stuck go on.
var goOn = make(chan struct{})

// released lets the faults that wait go on.
var released = make(chan struct{})

func (f *fault) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	kind := r.Header.Get("Fault")
	if kind == "" {
		return next.ServeHTTP(w, r)
	}
	if code, err := strconv.Atoi(kind); err == nil {
		w.WriteHeader(code)
		return nil
	}
	if pause, err := time.ParseDuration(kind); err == nil {
		time.Sleep(pause)
		kind = "error"
	}
	switch kind {
	case "error":
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "panic":
		panic(errFault)
	case "header, then error":
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(http.StatusOK)
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "header, then panic":
		w.WriteHeader(http.StatusOK)
		panic(errFault)
	case "announced body":
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(http.StatusOK)
	case "read error":
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(http.StatusOK)
		_, _ = io.Copy(w, brokenReader{})
	case "empty write":
		_, _ = w.Write(nil)
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "empty answer":
		_, err := w.Write(nil)
		return err
	case "nothing":
	case "early hints":
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "byte, then panic":
		_, _ = w.Write([]byte("x"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "flush, then error":
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "hijack":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhijacked")
	case "wait for the client to go":
		<-r.Context().Done()
		_, err := io.WriteString(w, "too late")
		return err
	case "wait":
		_, err := io.WriteString(w, "begun")
		if err != nil {
			return err
		}
		_ = http.NewResponseController(w).Flush()
		<-released
		_, err = io.WriteString(w, ", done")
		return err
	case "stuck": // until a request says "go on"
		<-goOn
		_, err := io.WriteString(w, "stuck")
		return err
	case "stuck, then error":
		<-goOn
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "go on":
		goOn <- struct{}{}
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "slow, then error":
		time.Sleep(300 * time.Millisecond)
		return caddyhttp.Error(http.StatusBadGateway, errFault)
	case "slow":
		time.Sleep(300 * time.Millisecond)
		_, err := io.WriteString(w, "slow")
		return err
	}
	return nil
}

// brokenReader fails before its first byte, as a disk may.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

// goOn lets the request go on that is stuck in its fault, a moment after those that were
// sent just before have come in, or have not: they are judged as late as they are.
func (s *server) goOn() {
	s.t.Helper()
	time.Sleep(50 * time.Millisecond)
	s.get("/a.txt?download_token="+once(s.t), "Fault", "go on").want(s.t, http.StatusBadGateway)
}
