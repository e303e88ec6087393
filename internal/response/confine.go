package response

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// errSwitch stops an answer that would make something else of the connection.
var errSwitch = errors.New("download_token: a later handler, or the server behind it, wanted to switch protocols (101) or to take " +
	"over the connection; a token opens one request, so WebSocket and other upgrades do not pass: serve them without download_token")

// Confine takes out of a request what asks for more than its own answer. What
// goes over a connection after 101, or in the stream of an extended CONNECT (RFC
// 8441, RFC 9220), are requests that are not judged, whatever has expired since.
func Confine(r *http.Request) {
	confineHeader(r.Header)
	for _, name := range overrides {
		delete(r.Header, name)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		// A server behind that ignores the body of a GET may take it for the next
		// request (RFC 9110 section 9.3.1).
		DropBody(r)
	}
	if !strings.HasPrefix(r.Proto, "HTTP/") { // quic-go puts the :protocol of an extended CONNECT there
		r.Proto = fmt.Sprintf("HTTP/%d.%d", r.ProtoMajor, r.ProtoMinor)
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.Method == http.MethodConnect {
		r.Method = http.MethodConnect // though the directive `method` has made a GET of it
	}
}

// overrides are the fields by which some frameworks take another method or another
// URL for the one that was judged.
var overrides = []string{"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"}

// DropBody makes a request without a body of r.
func DropBody(r *http.Request) {
	if r.Body != nil { // as in a request of the server
		r.Body = http.NoBody
	}
	r.ContentLength, r.TransferEncoding = 0, nil
	for _, name := range []string{"Content-Length", "Content-Type", "Expect", "Transfer-Encoding"} {
		r.Header.Del(name)
	}
}

// confineHeader takes the fields of an upgrade out, and those that Connection names: they
// are for this hop only (RFC 9110 section 7.6.1), and reverse_proxy would take them out
// behind the judgement, which would have been made with them.
func confineHeader(header http.Header) {
	for name := range header {
		if upgrades(name) {
			delete(header, name)
		}
	}
	var kept []string
	for _, line := range header["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			option = strings.Trim(option, " \t")
			if strings.EqualFold(option, "close") || strings.EqualFold(option, "keep-alive") {
				kept = append(kept, option)
			} else {
				header.Del(option)
			}
		}
	}
	header.Del("Connection")
	if len(kept) > 0 {
		header.Set("Connection", strings.Join(kept, ", "))
	}
}

// upgrades reports whether a field belongs to an upgrade. :protocol is where
// net/http puts the pseudo-header field of an extended CONNECT.
func upgrades(name string) bool {
	const webSocket = "sec-websocket-"
	return strings.EqualFold(name, "Upgrade") || strings.EqualFold(name, "HTTP2-Settings") || name == ":protocol" ||
		len(name) >= len(webSocket) && strings.EqualFold(name[:len(webSocket)], webSocket)
}
