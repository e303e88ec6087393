package response

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// client is where answers go out. It notes in what order that happens.
type client struct {
	header http.Header
	events []string // such as "gate 200", "103", "200", "write 2", "flush"
	body   bytes.Buffer
	status int

	fails    func(n int) (handed int, err error) // instead of taking n bytes
	deadline [2]time.Time                        // for reading, for writing
}

func (c *client) note(format string, args ...any) {
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

func (c *client) Header() http.Header {
	if c.header == nil {
		c.header = make(http.Header)
	}
	return c.header
}

func (c *client) WriteHeader(status int) {
	c.note("%d", status)
	if status >= 200 {
		c.status = status
	}
}

func (c *client) Write(p []byte) (int, error) {
	c.note("write %d", len(p))
	if c.fails != nil {
		n, err := c.fails(len(p))
		c.body.Write(p[:n])
		return n, err
	}
	return c.body.Write(p)
}

func (c *client) Flush() { c.note("flush") }

func (c *client) SetReadDeadline(at time.Time) error  { c.deadline[0] = at; return nil }
func (c *client) SetWriteDeadline(at time.Time) error { c.deadline[1] = at; return nil }

// fakeGate answers what it is told to, and notes with the client when it is asked.
type fakeGate struct {
	client *client
	errs   []error // of the first questions; then there is none
	meter  func() (*Meter, error)
	asked  int
}

func (g *fakeGate) Admit(status int, _ http.Header) (*Meter, error) {
	g.client.note("gate %d", status)
	g.asked++
	if g.asked <= len(g.errs) && g.errs[g.asked-1] != nil {
		return nil, g.errs[g.asked-1]
	}
	if g.meter == nil {
		return nil, nil
	}
	return g.meter()
}

// asking is a request as Caddy hands it to handlers.
func asking(method, target string) *http.Request {
	return caddyhttp.PrepareRequest(httptest.NewRequest(method, target, nil), caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
}

// deliver has next answer a request. What it panics with comes back as well.
func deliver(d *Delivery, c *client, r *http.Request, next func(w http.ResponseWriter, r *http.Request) error) (panicked any, err error) {
	defer func() { panicked = recover() }()
	if d.Policy == nil {
		d.Policy = new(Policy)
	}
	if d.Gate == nil {
		d.Gate = &fakeGate{client: c}
	}
	d.Begin(c, r)
	return nil, d.Serve(caddyhttp.HandlerFunc(next))
}

var errSite, errGate = errors.New("the site failed"), errors.New("the gate is closed")
