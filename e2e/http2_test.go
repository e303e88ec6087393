package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is an HTTP/2 connection on which a test says frame by frame what it
// wants.
type frames struct {
	*http2.Framer
	t      testing.TB
	host   string
	stream uint32
	block  bytes.Buffer
	fields *hpack.Encoder
}

// dialFrames opens a connection whose streams have windows of that size.
func dialFrames(t testing.TB, conn net.Conn, host string, window uint32) *frames {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	f := &frames{Framer: http2.NewFramer(conn, conn), t: t, host: host, stream: 1}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.fields = hpack.NewEncoder(&f.block)
	f.must(f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
	return f
}

func (f *frames) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// ask sends a request without a body; fields are name, value, name, value.
func (f *frames) ask(method, path string, fields ...string) (stream uint32) {
	f.t.Helper()
	f.block.Reset()
	for _, field := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", f.host}, {":path", path}} {
		f.must(f.fields.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	for i := 0; i < len(fields); i += 2 {
		f.must(f.fields.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	stream = f.stream
	f.stream += 2
	f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: true}))
	return stream
}

// read reads frames of the stream until it has ended or so many bytes of its body
// have come.
func (f *frames) read(stream uint32, enough int) (status string, n int) {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		f.must(err)
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.must(f.WriteSettingsAck())
			}
		case *http2.MetaHeadersFrame:
			if frame.StreamID == stream {
				status = frame.PseudoValue("status")
				if frame.StreamEnded() {
					return status, n
				}
			}
		case *http2.DataFrame:
			if size := uint32(len(frame.Data())); size > 0 {
				f.must(f.WriteWindowUpdate(0, size))
			}
			if frame.StreamID == stream {
				if n += len(frame.Data()); n >= enough || frame.StreamEnded() {
					return status, n
				}
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return status, n
			}
		case *http2.GoAwayFrame:
			f.t.Fatalf("%v", frame)
		}
	}
}

// TestBudgetOfStreamsThatAreReset: a client reads all but the last byte of a
// range and resets the stream. The writer then says that nothing was sent.
func TestBudgetOfStreamsThatAreReset(t *testing.T) {
	const size, part = 1 << 20, 1 << 15
	content := random(t, size)
	for name, dial := range map[string]func(address string) (net.Conn, error){
		"h2c": func(address string) (net.Conn, error) { return net.Dial("tcp", address) },
		"tls": func(address string) (net.Conn, error) {
			return tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, ServerName: "localhost"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, map[string]string{"f.bin": content}, "servers {\n\t\tprotocols h1 h2 h2c\n\t}\n\tauto_https disable_redirects", resumable("1h 1"))
			address := strings.TrimPrefix(s.url, "http://")
			if name == "tls" {
				address = freeAddress(t)
				_, port, _ := net.SplitHostPort(address)
				address = "localhost:" + port
				config := s.caddyfile(resumable("1h 1")) + fmt.Sprintf("\nhttps://%s {\n\t%s\n\troot %q\n\t%s\n}\n", address, ownTLS(t), s.root, resumable("1h 1"))
				if err := s.post(s.adaptWhole(config)); err != nil {
					t.Fatal(err)
				}
			}
			var conn net.Conn
			s.eventually(func() (ok bool) { // the certificate is being made
				var err error
				conn, err = dial(address)
				return err == nil
			})
			f := dialFrames(t, conn, address, part-1)
			path := "/f.bin?download_token=" + once(t)
			total, asked := 0, 0
			for ; asked < 2000; asked++ {
				first := asked % (size / part) * part
				stream := f.ask(http.MethodGet, path, "range", fmt.Sprintf("bytes=%d-%d", first, first+part-1))
				status, n := f.read(stream, part-1)
				if status != "206" {
					break
				}
				total += n
				f.must(f.WriteRSTStream(stream, http2.ErrCodeCancel))
			}
			if budget := size + size/4; total > budget || total < size/2 {
				t.Errorf("%d bytes came out of a budget of %d, in %d streams", total, budget, asked)
			}
		})
	}
}
