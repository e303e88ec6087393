//go:build unix

package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestNoTunnelByExtendedCONNECT speaks HTTP/2 in raw frames. Go takes an extended
// CONNECT (RFC 8441) only if GODEBUG says so.
func TestNoTunnelByExtendedCONNECT(t *testing.T) {
	t.Setenv("GODEBUG", "http2xconnect=1")
	upstream := newSwitcher(t, false)
	p := newProcess(t, nil, proxied(upstream.address, "", "")+errorProxy(upstream.address))
	p.globals = "servers {\nprotocols h1 h2c\n}"
	p.start()
	link := "/a?download_token=" + mint(t, claims{"jti": "j", "scope": "download:/a"})
	for name, tt := range map[string]struct{ method, path, want string }{
		"with a token": {http.MethodConnect, link, "405"},
		"without":      {http.MethodConnect, "/a", "401"},
		"a preflight":  {http.MethodOptions, "/a", "204"}, // Go takes :protocol with any method
		"a GET":        {http.MethodGet, link, "200 plain"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := extendedCONNECT(t, strings.TrimPrefix(p.url, "http://"), tt.method, tt.path); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "planted") {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if n := upstream.switched.Load(); n > 0 {
		t.Errorf("the upstream was asked to switch %d times", n)
	}
}

// extendedCONNECT asks for a WebSocket over HTTP/2 and returns the status, with
// what comes back through the tunnel.
func extendedCONNECT(t testing.TB, address, method, path string) (got string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", method}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", address}, {":path", path},
		{"origin", "https://app.example"}, {"access-control-request-method", "GET"}, {"sec-websocket-version", "13"},
	} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: method != http.MethodConnect}); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return strings.TrimSpace(got + " " + err.Error())
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			got = frame.PseudoValue("status")
			if frame.StreamEnded() {
				return got
			}
			if method == http.MethodConnect {
				_ = framer.WriteData(1, true, []byte("planted"))
			}
		case *http2.DataFrame:
			if got += " " + string(frame.Data()); strings.Contains(got, "planted") {
				return got
			}
			if frame.StreamEnded() {
				return got
			}
		case *http2.RSTStreamFrame:
			return strings.TrimSpace(got + " reset")
		}
	}
}
