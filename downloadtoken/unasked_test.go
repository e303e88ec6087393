package downloadtoken

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// TestUnasked: what a browser fetches ahead, or somebody on the way could send again.
func TestUnasked(t *testing.T) {
	for name, tt := range map[string]struct {
		header http.Header
		tls    *tls.ConnectionState
		want   error
	}{
		"a request":                     {http.Header{"Sec-Fetch-Mode": {"navigate"}}, nil, nil},
		"a prefetch":                    {http.Header{"Sec-Purpose": {"prefetch"}}, nil, errPrefetch},
		"a prerendering":                {http.Header{"Sec-Purpose": {"prefetch;prerender"}}, nil, errPrefetch},
		"of an older browser":           {http.Header{"Purpose": {"prefetch"}}, nil, errPrefetch},
		"of an old Firefox":             {http.Header{"X-Moz": {"prefetch"}}, nil, errPrefetch},
		"a preview of Safari":           {http.Header{"X-Purpose": {"preview"}}, nil, errPrefetch},
		"in other letters":              {http.Header{"Sec-Purpose": {"PreFetch"}}, nil, errPrefetch},
		"in a second field":             {http.Header{"Purpose": {"x", "prefetch"}}, nil, errPrefetch},
		"another purpose":               {http.Header{"Sec-Purpose": {"fetch"}, "Purpose": {""}}, nil, nil},
		"another field":                 {http.Header{"X-Prefetch": {"prefetch"}, "Accept": {"prefetch"}}, nil, nil},
		"early data":                    {nil, &tls.ConnectionState{}, errEarly},
		"after the handshake":           {nil, &tls.ConnectionState{HandshakeComplete: true}, nil},
		"early data at a proxy":         {http.Header{"Early-Data": {"1"}}, &tls.ConnectionState{HandshakeComplete: true}, errEarly},
		"early data at a proxy, spaced": {http.Header{"Early-Data": {" 1 "}}, nil, errEarly},
		"in a second line":              {http.Header{"Early-Data": {"0", "1"}}, nil, errEarly},
		"no early data":                 {http.Header{"Early-Data": {"0"}}, nil, nil},
		"both":                          {http.Header{"Early-Data": {"1"}, "Sec-Purpose": {"prefetch"}}, nil, errPrefetch},
	} {
		if got := unasked(&http.Request{Header: tt.header, TLS: tt.tls}); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
