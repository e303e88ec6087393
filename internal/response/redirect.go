package response

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// keepToken puts the token back into the Location of file_server's canonical
// redirect (/dir to /dir/, /file/ to /file), which would otherwise lead to a
// refusal. It does so only for that redirect, and builds the target from the
// path as it was received, so that a path which browsers read differently
// (/%5Cevil.example/) cannot become a redirect to another site.
func (d *Delivery) keepToken(header http.Header) bool {
	asked := &d.Asked.URL
	if _, err := scope.Path(asked); err != nil {
		return false
	}
	decoded, escaped := asked.Path+"/", asked.EscapedPath()+"/"
	if strings.HasSuffix(asked.Path, "/") {
		decoded, escaped = strings.TrimSuffix(asked.Path, "/"), strings.TrimSuffix(asked.EscapedPath(), "/")
	}
	if query := d.r.URL.RawQuery; query != "" {
		decoded += "?" + query
	}
	if header.Get("Location") != escapeNonASCII(decoded) {
		return false
	}
	header.Set("Location", escaped+"?"+d.Asked.RawQuery)
	return true
}

// escapeNonASCII does to a redirect's target what http.Redirect does.
func escapeNonASCII(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%x", c)
		}
	}
	return b.String()
}
