package response

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
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
	path := cmp.Or(d.Asked.Path, asked.Path)
	if _, err := scope.Path(&url.URL{Path: path, RawPath: asked.RawPath}); err != nil {
		return false
	}
	decoded, escaped := path+"/", asked.EscapedPath()+"/"
	if strings.HasSuffix(path, "/") {
		var ok bool // not, if the token stands behind the slash
		if escaped, ok = strings.CutSuffix(asked.EscapedPath(), "/"); !ok {
			return false
		}
		decoded = strings.TrimSuffix(path, "/")
	}
	if query := d.r.URL.RawQuery; query != "" {
		decoded += "?" + query
	}
	if header.Get("Location") != escapeNonASCII(decoded) {
		return false
	}
	if d.Asked.RawQuery != "" {
		escaped += "?" + d.Asked.RawQuery
	}
	header.Set("Location", escaped)
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
