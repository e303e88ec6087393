package e2e

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// relay is a long way to a server: a proxy on loopback that hands on what it
// reads when it has been under way for latency, in each direction. So does it hand
// on that a side has ended or has broken off, or a server behind it would never
// see that a client has gone.
type relay struct {
	url     string
	cut     atomic.Int64 // after so many bytes of answers, a connection breaks off; 0: never
	latency time.Duration
	target  string
}

// far puts a relay in front of a server; its URL has no slash at the end.
func far(t testing.TB, url string, latency time.Duration) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &relay{url: "http://" + l.Addr().String(), latency: latency, target: strings.TrimPrefix(url, "http://")}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.carry(client.(*net.TCPConn))
		}
	}()
	return r
}

// link is the address of target with a token, by way of the relay.
func (r *relay) link(target, token string) string {
	return r.url + target + "?download_token=" + token
}

func (r *relay) carry(client *net.TCPConn) {
	time.Sleep(2 * r.latency) // the handshake
	dialled, err := net.Dial("tcp", r.target)
	if err != nil {
		breakOff(client)
		return
	}
	server := dialled.(*net.TCPConn)
	up := make(chan struct{})
	go func() {
		defer close(up)
		r.hand(client, server, 0)
	}()
	r.hand(server, client, r.cut.Load())
	<-up
	client.Close()
	server.Close()
}

// parcel is what was read at a time; err is what ended the reading.
type parcel struct {
	bytes []byte
	due   time.Time
	err   error
}

// What a direction holds is bounded, or whoever hangs up would have been sent the
// whole file: 16 parcels, and the buffers of its connections.
const (
	underWay   = 16
	parcelSize = 32 << 10
	bufferSize = 128 << 10
)

// hand carries one direction until it has ended or broken off, or has carried as
// much as it may; 0 is all.
func (r *relay) hand(from, to *net.TCPConn, most int64) {
	_ = from.SetReadBuffer(bufferSize)
	_ = to.SetWriteBuffer(bufferSize)
	carried := int64(0)
	parcels := make(chan parcel, underWay)
	go func() {
		defer close(parcels)
		for {
			b := make([]byte, parcelSize)
			n, err := from.Read(b)
			parcels <- parcel{b[:n], time.Now().Add(r.latency), err}
			if err != nil {
				return
			}
		}
	}()
	broken := false
	for p := range parcels {
		if broken { // only until the reader has noticed
			continue
		}
		time.Sleep(time.Until(p.due))
		if most > 0 {
			p.bytes = p.bytes[:min(int64(len(p.bytes)), most-carried)]
		}
		n, err := to.Write(p.bytes)
		carried += int64(n)
		switch {
		case most > 0 && carried >= most:
			breakOff(to)
			breakOff(from)
			broken = true
		case err != nil: // to has gone: tell whoever writes to it
			time.AfterFunc(r.latency, func() { breakOff(from) })
			broken = true
		case p.err == io.EOF:
			_ = to.CloseWrite()
		case p.err != nil:
			breakOff(to)
		}
	}
}

// breakOff closes a connection with a reset.
func breakOff(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	conn.Close()
}

// TestRelay: what the tests over a relay rely on.
func TestRelay(t *testing.T) {
	const latency = 30 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := func() (client, server *net.TCPConn) {
		a, err := net.Dial("tcp", strings.TrimPrefix(far(t, "http://"+l.Addr().String(), latency).url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, conn := range []net.Conn{a, b} {
			_ = conn.SetDeadline(time.Now().Add(patience))
		}
		t.Cleanup(func() { a.Close(); b.Close() })
		return a.(*net.TCPConn), b.(*net.TCPConn)
	}
	t.Run("there and back", func(t *testing.T) {
		client, server := dial()
		sent := []byte(random(t, 5<<20))
		go func() {
			_, _ = io.Copy(server, server)
			_ = server.CloseWrite()
		}()
		began := time.Now()
		go func() {
			_, _ = client.Write(sent)
			_ = client.CloseWrite()
		}()
		got, err := io.ReadAll(client)
		if err != nil || string(got) != string(sent) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if took := time.Since(began); took < 2*latency {
			t.Errorf("took %v", took)
		}
	})
	for _, side := range []string{"client", "server"} {
		t.Run("the "+side+" breaks off", func(t *testing.T) {
			goes, stays := dial()
			if side == "server" {
				goes, stays = stays, goes
			}
			breakOff(goes)
			if _, err := io.ReadAll(stays); err == nil {
				t.Error("nothing was noticed")
			}
		})
		t.Run("the "+side+" goes while it is being sent to", func(t *testing.T) {
			goes, stays := dial()
			if side == "server" {
				goes, stays = stays, goes
			}
			time.AfterFunc(2*latency, func() { goes.Close() })
			if _, err := io.Copy(stays, endless{}); err == nil {
				t.Error("nothing was noticed")
			}
		})
	}
}

// endless is zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
