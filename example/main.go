// Command example is a Caddy with this plugin.
//
// Without arguments it serves a demonstration on http://localhost:8080, or on the
// next port that is free, with a key that it makes up and forgets: a page on which to
// make links and try them. With arguments it is the whole Caddy command line:
//
//	go run ./example
//	go run ./example validate --config example/chris/Caddyfile
package main

import (
	"fmt"
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-download-token/caddy-download-token"
)

func main() {
	if len(os.Args) > 1 {
		caddycmd.Main()
		return
	}
	fmt.Fprintln(os.Stderr, "example:", demonstrate(os.Stdout)) // it ends only with an error
	os.Exit(1)
}
