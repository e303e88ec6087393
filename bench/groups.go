package main

import "fmt"

// mode is a protocol with its settings; each server has an address for each.
type mode string

const (
	plainHTTP mode = "h1"         // HTTP/1.1
	noIdle    mode = "h1-no-idle" // HTTP/1.1 with `write_idle -1s`
	tlsHTTP2  mode = "h2"         // HTTP/2 over TLS
)

var modes = []mode{plainHTTP, noIdle, tlsHTTP2}

// group is what is compared with each other.
type group struct {
	size     int64
	mode     mode
	requests int // a round
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

func groups(o *options) []group {
	large := int64(gib)
	if o.short {
		large = 8 * mib
	}
	medium := max(1, o.requests/20)
	return []group{
		{kib, plainHTTP, o.requests},
		{kib, tlsHTTP2, o.requests},
		{mib, plainHTTP, medium},
		{mib, tlsHTTP2, medium},
		{large, plainHTTP, 1},
		{large, noIdle, 1},
		{large, tlsHTTP2, 1},
	}
}

// file is the name of the group's file, which says its size.
func (g group) file() string {
	switch {
	case g.size >= gib:
		return fmt.Sprintf("%dGiB", g.size/gib)
	case g.size >= mib:
		return fmt.Sprintf("%dMiB", g.size/mib)
	}
	return fmt.Sprintf("%dKiB", g.size/kib)
}

// name is that of a case in the group, which -case looks at.
func (g group) name(c testCase) string { return g.file() + "/" + string(g.mode) + "/" + c.name }

// has reports whether the case is part of the group.
func (g group) has(c testCase) bool {
	if c.server == nginxServer && g.mode == noIdle {
		return false // a setting of Caddy
	}
	return c.large || g.size == kib
}
