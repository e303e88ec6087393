package response

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ErrPartial is what a gate says of a part of something of which only the whole can
// be sent: the next handlers are then asked again, without Range.
var ErrPartial = errors.New("download_token: a part of a file that cannot be resumed")

// Why a response that the next handler had begun was not let out.
var (
	errOtherFile = errors.New("download_token: a later handler changed the path after it was authorised; " +
		"put rewrite, uri and try_files before download_token, or download_token behind them")
	errNoBody  = errors.New("download_token: the next handler announced a body and sent none")
	errUntaken = errors.New("download_token: no handler behind it has answered a request that writes, so nothing was written; " +
		"add one that does, such as download_token_upload, and see whether its matcher fits the path")
)

// Serve calls the next handler and sees its answer through. What was drawn on a
// budget and not handed to the server is given back, whatever happens.
//
// If nothing has gone out, [Delivery.Stopped] says why, and the error is what the
// server should answer; it is the gate's own where the gate has refused. A body that
// cannot be finished, or a client that is gone, ends in http.ErrAbortHandler.
func (d *Delivery) Serve(next caddyhttp.Handler) error {
	defer func() { d.meter.end() }() // in a defer: reverse_proxy panics when it cannot go on
	url := *d.r.URL
	err := d.run(next)
	if errors.Is(d.stopped, ErrPartial) {
		*d.r.URL = url // a later handler may have stripped a prefix
		d.r.Header.Del("Range")
		d.r.Header.Del("If-Range")
		d.dropHeld(true)
		d.stopped, d.status = nil, 0
		err = d.run(next)
	}
	return d.finish(err)
}

// run calls the next handler. One that copies, such as reverse_proxy, aborts the
// connection when it is not let out; since nothing has gone out, the client can
// still be told why.
func (d *Delivery) run(next caddyhttp.Handler) error {
	defer func() {
		if d.stopped == nil || d.sent {
			return
		}
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	return next.ServeHTTP(d, d.r)
}

// finish settles what is left when the next handler has returned with err.
func (d *Delivery) finish(err error) error {
	if d.meter.Broke() != nil {
		panic(http.ErrAbortHandler) // there is no other way to say that the body is not whole
	}
	if d.sent {
		return err
	}
	held := d.status != 0
	if d.stopped == nil && err == nil {
		switch {
		case !held && !d.Writes:
			if d.stopped = d.leaveUnanswered(); d.stopped == nil {
				return nil
			}
		case !held && unhandled(d.r):
			d.answered() // something on the way may have been done all the same
			d.stopped = errUntaken
		case d.r.Method == http.MethodGet && announcesBody(d.Header()) && d.status != http.StatusNoContent:
			d.stopped = errNoBody
		default:
			if d.letOut() == nil {
				return nil
			}
		}
	}
	if d.stopped == nil {
		d.dropHeld(held)
		d.setCaching(http.StatusInternalServerError) // or whatever the error is answered with
		return err
	}
	d.dropHeld(true)
	switch {
	case d.r.Context().Err() != nil:
		// Returning would make an empty 200 of it, for a client that has only closed
		// its sending side.
		panic(http.ErrAbortHandler)
	case d.Failed():
		confineHeader(d.Header())
		status := http.StatusInternalServerError
		switch {
		case errors.Is(d.stopped, errSwitch):
			status = http.StatusBadGateway
		case errors.Is(d.stopped, errUntaken):
			status = http.StatusNotImplemented
		}
		d.setCaching(status)
		return caddyhttp.Error(status, d.stopped)
	}
	return d.stopped
}

// leaveUnanswered sees to the empty 200 that Caddy sends if no handler has answered.
// reverse_proxy does not answer either when its upstream switches protocols unasked.
func (d *Delivery) leaveUnanswered() error {
	if err := context.Cause(d.r.Context()); err != nil {
		return err
	}
	repl := d.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if status, _ := repl.Get("http.reverse_proxy.status_code"); status == http.StatusSwitchingProtocols {
		return errSwitch
	}
	d.unanswered = true
	header := d.w.Header() // also where d writes to a probe
	ForbidCaching(header)
	d.Policy.Vary(header)
	return nil
}

// unhandled reports whether the request has come to the end of Caddy's routes.
func unhandled(r *http.Request) bool {
	at, _ := caddyhttp.GetVar(r.Context(), "unhandled").(bool)
	return at
}

// announcesBody reports whether Content-Length promises at least one byte.
func announcesBody(header http.Header) bool {
	n, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	return err == nil && n > 0
}

// dropHeld takes the description of a body that will not be sent out of the
// header, so that it does not end up with the body of an error.
func (d *Delivery) dropHeld(held bool) {
	if !held {
		return
	}
	header := d.Header()
	header.Del("Vary")
	DropBodyFields(header)
}
