package response

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestConfine(t *testing.T) {
	for _, tt := range []struct {
		name       string
		have, want http.Header
	}{
		{"nothing", http.Header{"Accept": {"*/*"}, "Connection": {"keep-alive"}}, http.Header{"Accept": {"*/*"}, "Connection": {"keep-alive"}}},
		{"what is for this hop only", http.Header{"Accept": {"*/*"}, "Connection": {"Depth", "keep-alive, connection,, x-hop"}, "Depth": {"0"}, "X-Hop": {"1", "2"}}, http.Header{"Accept": {"*/*"}, "Connection": {"keep-alive"}}},
		{"WebSocket", http.Header{
			"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {"x"}, "Sec-WebSocket-Version": {"13"},
			"Upgrade-Insecure-Requests": {"1"}, "Sec-Fetch-Mode": {"websocket"},
		}, http.Header{"Connection": {"keep-alive"}, "Upgrade-Insecure-Requests": {"1"}, "Sec-Fetch-Mode": {"websocket"}}},
		{"h2c", http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AAMA"}}, http.Header{}},
		{"several lines and letter cases", http.Header{"Connection": {"close,uPgRaDe", "X-Hop\t,\tUPGRADE"}, "Upgrade": {"a", "b"}}, http.Header{"Connection": {"close"}}},
		{"Upgrade alone", http.Header{"Upgrade": {"test"}}, http.Header{}},
		{"Connection alone", http.Header{"Connection": {"upgrade"}}, http.Header{}},
		{"another method, another URL", http.Header{
			"X-Http-Method-Override": {"DELETE"}, "X-Method-Override": {"PUT"}, "X-Http-Method": {"PUT"}, "X-Original-Url": {"/b"}, "X-Rewrite-Url": {"/b"}, "X-Forwarded-Uri": {"/c"},
		}, http.Header{"X-Forwarded-Uri": {"/c"}}},
		{"extended CONNECT", http.Header{":protocol": {"websocket"}}, http.Header{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Header: tt.have, Proto: "websocket", ProtoMajor: 3}
			Confine(r)
			if !reflect.DeepEqual(r.Header, tt.want) {
				t.Errorf("%v, want %v", r.Header, tt.want)
			}
			if r.Proto != "HTTP/3.0" {
				t.Errorf("Proto %q", r.Proto)
			}
		})
	}
}

// TestConfineDropsTheBodyOfAGET, and of no other request: the button's POST has one.
func TestConfineDropsTheBodyOfAGET(t *testing.T) {
	for _, tt := range []struct {
		method string
		kept   bool
	}{{http.MethodGet, false}, {http.MethodHead, false}, {http.MethodPost, true}} {
		r := httptest.NewRequest(tt.method, "/a", strings.NewReader("GET /b HTTP/1.1\r\n\r\n"))
		r.Header.Set("Content-Length", "19")
		r.TransferEncoding = []string{"chunked"}
		Confine(r)
		body, _ := io.ReadAll(r.Body)
		if (len(body) > 0) != tt.kept || (r.ContentLength > 0) != tt.kept || (r.TransferEncoding != nil) != tt.kept || (r.Header.Get("Content-Length") != "") != tt.kept {
			t.Errorf("%s: %q, %d, %v, %v", tt.method, body, r.ContentLength, r.TransferEncoding, r.Header)
		}
	}
}
