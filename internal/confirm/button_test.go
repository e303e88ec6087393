package confirm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// TestPressed: who may press the button, by what a browser tells of it.
func TestPressed(t *testing.T) {
	const (
		safari   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
		chrome   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
		headless = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 Safari/537.36"
		firefox  = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
	)
	type fields map[string]string
	for name, tt := range map[string]struct {
		header fields
		want   bool
	}{
		"a script":                                  {nil, true},
		"a browser over plain http":                 {fields{"Origin": "null"}, true},
		"a browser that tells its origin":           {fields{"Origin": "http://files.example"}, true},
		"an origin in other letters":                {fields{"Origin": "http://FILES.example"}, true},
		"behind a proxy that ends TLS":              {fields{"Origin": "https://files.example"}, true},
		"a person":                                  {fields{"Origin": "null", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}, true},
		"a person with Firefox":                     {fields{"User-Agent": firefox, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?1"}, true},
		"a person with Chrome":                      {fields{"User-Agent": chrome, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?1"}, true},
		"a person behind a proxy that changes Host": {fields{"Origin": "https://other.example", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?1"}, true},
		"a person who reloads":                      {fields{"Sec-Fetch-Site": "none", "Sec-Fetch-User": "?1"}, true},
		"a person with Safari":                      {fields{"User-Agent": safari, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}, true},
		"a person with an old Safari":               {fields{"User-Agent": safari, "Origin": "null"}, true},
		"a browser that tells only of the person":   {fields{"Sec-Fetch-User": "?1"}, true},
		"a scanner that submits forms":              {fields{"User-Agent": headless, "Origin": "null", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, false},
		"a scanner that calls itself Chrome":        {fields{"User-Agent": chrome, "Sec-Fetch-Site": "same-origin"}, false},
		"a scanner that calls itself Firefox":       {fields{"User-Agent": firefox, "Sec-Fetch-Site": "same-origin"}, false},
		"a scanner without Sec-Fetch-Site":          {fields{"Sec-Fetch-Mode": "navigate"}, false},
		"a scanner that tells only where it goes":   {fields{"Sec-Fetch-Dest": "document"}, false},
		"a scanner with a false Sec-Fetch-User":     {fields{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?0"}, false},
		"a scanner with another Sec-Fetch-User":     {fields{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "1"}, false},
		"another site":                              {fields{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-User": "?1"}, false},
		"another site in Safari":                    {fields{"User-Agent": safari, "Sec-Fetch-Site": "cross-site"}, false},
		"another subdomain":                         {fields{"Sec-Fetch-Site": "same-site", "Sec-Fetch-User": "?1"}, false},
		"a site that nobody knows":                  {fields{"Sec-Fetch-Site": "planted", "Sec-Fetch-User": "?1"}, false},
		"another origin over plain http":            {fields{"Origin": "http://evil.example"}, false},
		"another origin in Safari":                  {fields{"User-Agent": safari, "Origin": "http://evil.example"}, false},
		"another origin, and only a person":         {fields{"Origin": "http://evil.example", "Sec-Fetch-User": "?1"}, false},
		"another port over plain http":              {fields{"Origin": "http://files.example:8080"}, false},
		"an origin that begins the same":            {fields{"Origin": "http://files.example.evil.example"}, false},
		"an origin with this host as its user":      {fields{"Origin": "http://files.example@evil.example"}, false},
		"an origin that is none":                    {fields{"Origin": "files.example"}, false},
		"an origin that cannot be read":             {fields{"Origin": "http://files.example\x7f"}, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://files.example/a", nil)
		for field, value := range tt.header {
			r.Header.Set(field, value)
		}
		if got := Pressed(r); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAcceptsHTML(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	for name, tt := range map[string]struct {
		accept []string
		want   bool
	}{
		"a browser":                  {[]string{browser}, true},
		"in other letters":           {[]string{"TEXT/HTML"}, true},
		"in a second field":          {[]string{"image/*", "text/html ; q=0.1"}, true},
		"a small weight":             {[]string{"text/html;q=0.001"}, true},
		"a weight that is no number": {[]string{"text/html;q=high"}, true},
		"a parameter":                {[]string{"text/html;level=1"}, true},
		"refused once, accepted":     {[]string{"text/html;q=0, text/html;level=1"}, true},
		"nothing":                    {nil, false},
		"empty":                      {[]string{""}, false},
		"a script":                   {[]string{"application/json, text/plain, */*"}, false},
		"curl":                       {[]string{"*/*"}, false},
		"any text":                   {[]string{"text/*"}, false},
		"refused":                    {[]string{"text/html;q=0.0, */*"}, false},
		"refused, with a parameter":  {[]string{"text/html;level=1; Q=0, */*"}, false},
		"refused, with spaces":       {[]string{"text/html ; q = 0 "}, false},
		"another type":               {[]string{"application/xhtml+xml"}, false},
		"a longer name":              {[]string{"text/html+x, x-text/html"}, false},
	} {
		if got := AcceptsHTML(http.Header{"Accept": tt.accept}); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// connection is where a request came from: its deadline can be set.
type connection struct {
	http.ResponseWriter
	deadlines []time.Time
}

func (c *connection) SetReadDeadline(at time.Time) error {
	c.deadlines = append(c.deadlines, at)
	return nil
}

func TestReadForm(t *testing.T) {
	for name, tt := range map[string]struct {
		body   io.Reader
		press  string
		err    error
		panics any
	}{
		"a value":               {strings.NewReader("press=abc"), "abc", nil, nil},
		"among others":          {strings.NewReader("a=b&press=a%2Bb&press=2"), "a+b", nil, nil},
		"none":                  {strings.NewReader("a=b"), "", nil, nil},
		"empty":                 {strings.NewReader(""), "", nil, nil},
		"no body":               {nil, "", nil, nil},
		"no form":               {strings.NewReader("press=%zz"), "", nil, nil},
		"as long as it may be":  {strings.NewReader("press=a&" + strings.Repeat("x", maxForm-8)), "a", nil, nil},
		"too long":              {strings.NewReader("press=a&" + strings.Repeat("x", maxForm-7)), "", ErrUnconfirmed, nil},
		"much too long":         {io.LimitReader(endless{}, 1<<40), "", ErrUnconfirmed, nil},
		"too slow":              {io.MultiReader(strings.NewReader("press=a"), iotest.ErrReader(fmt.Errorf("read: %w", os.ErrDeadlineExceeded))), "", ErrUnconfirmed, nil},
		"broken off":            {io.MultiReader(strings.NewReader("press=a"), iotest.ErrReader(io.ErrUnexpectedEOF)), "", nil, http.ErrAbortHandler},
		"broken off at its end": {iotest.DataErrReader(io.MultiReader(strings.NewReader("press=a"), iotest.ErrReader(errors.New("reset")))), "", nil, http.ErrAbortHandler},
	} {
		func() {
			c := &connection{ResponseWriter: httptest.NewRecorder()}
			r := httptest.NewRequest(http.MethodPost, "/a", nil)
			r.Body = nil
			if tt.body != nil {
				r.Body = io.NopCloser(tt.body)
			}
			defer func() {
				if p := recover(); p != tt.panics {
					t.Errorf("%s: panic %v", name, p)
				}
			}()
			press, err := ReadForm(c, r)
			if press != tt.press || err != tt.err {
				t.Errorf("%s: %q, %v", name, press, err)
			}
			if tt.err == nil && tt.body != nil && (len(c.deadlines) != 2 || !c.deadlines[1].IsZero()) {
				t.Errorf("%s: what follows has a deadline: %v", name, c.deadlines)
			}
		}()
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestReadFormOfASlowClient: a server waits ten seconds for the form, and does not go on
// reading after that.
func TestReadFormOfASlowClient(t *testing.T) {
	for pause, want := range map[time.Duration]string{9 * time.Second: "abc", 11 * time.Second: ErrUnconfirmed.Error()} {
		synctest.Test(t, func(t *testing.T) {
			client, conn := net.Pipe()
			listener := newOne(conn)
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				press, err := ReadForm(w, r)
				if err != nil {
					press = err.Error()
				}
				w.Header().Set("Connection", "close")
				_, _ = io.WriteString(w, press)
			})}
			go server.Serve(listener)
			began := time.Now()
			go func() {
				_, _ = io.WriteString(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npress=")
				time.Sleep(pause)
				_, _ = io.WriteString(client, "abc") // fails if nothing is read any more
			}()
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if took := time.Since(began); string(body) != want || took > formTimeout {
				t.Errorf("after %v: %q, after %v", pause, body, took)
			}
			client.Close()
			server.Close()
			synctest.Wait()
			time.Sleep(pause)
		})
	}
}

// one is a listener with one connection.
type one struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newOne(conn net.Conn) *one {
	l := &one{make(chan net.Conn, 1), make(chan struct{})}
	l.conns <- conn
	return l
}

func (l *one) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *one) Close() error   { close(l.closed); return nil }
func (l *one) Addr() net.Addr { return &net.TCPAddr{} }

// TestPressFieldIsReadAsItWasWritten: what NewPress writes survives a form.
func TestPressFieldIsReadAsItWasWritten(t *testing.T) {
	value := NewPress([32]byte{1}, time.Now())
	r := httptest.NewRequest(http.MethodPost, "/a", strings.NewReader(url.Values{"press": {value}}.Encode()))
	if press, err := ReadForm(httptest.NewRecorder(), r); press != value || err != nil {
		t.Errorf("%q, %v", press, err)
	}
}
