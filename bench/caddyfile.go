package main

import (
	"fmt"
	"strings"
)

// sites are the directives in front of file_server, by the name of the server that has
// them. The address of the responder is filled in for forward_auth.
func sites(k *keys) map[string]string {
	guard := func(alg, more string) string {
		return "download_token {\n" + k.line(alg) + "\nscope template file:{name} /{name}\nmax_ttl 2h\n" + more + "}\n"
	}
	return map[string]string{
		bareAgain:    "",
		bareOneWrite: "bench_one_write\n",
		bare:         "",
		"one-time":   guard("HS256", "one_time\n"),
		boltSite:     guard("HS256", "one_time\n"),
		redisSite:    guard("HS256", "one_time\n"),
		"resume":     guard("HS256", "one_time {\nresume 1h\n}\n"),
		"HS256":      guard("HS256", ""),
		"RS256":      guard("RS256", ""),
		"ES256":      guard("ES256", ""),
		"EdDSA":      guard("EdDSA", ""),
		"naive":      "bench_naive " + secret + "\n",
		forwardAuth:  "forward_auth %s {\nuri /\n}\n",
		responder:    "respond 204\n",
	}
}

// responder is the server that forward_auth asks, which agrees to everything.
const responder = "responder"

// globals are the global options of every Caddy here: nothing outside of dir and
// loopback, and no second way in.
func globals(dir, more string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https disable_redirects
	default_bind 127.0.0.1
	storage file_system %q
	log {
		output discard
	}
	%s
}
`, dir, more)
}

// caddyfile is the whole configuration of a server: the site at an address for each mode.
func (w *world) caddyfile(storage, directives, store string, addrs map[mode]string) string {
	var b strings.Builder
	b.WriteString(globals(storage, store+fmt.Sprintf(`servers {
		protocols h1 h2
	}
	servers %s {
		protocols h1
		timeouts {
			write_idle -1s
		}
	}`, addrs[noIdle])))
	fmt.Fprintf(&b, "(site) {\n\troot %q\n\t%s\n\tfile_server\n}\n", w.root, directives)
	for _, m := range modes {
		if m == tlsHTTP2 {
			fmt.Fprintf(&b, "https://%s {\n\ttls %q %q\n\timport site\n}\n", addrs[m], w.certificate, w.certificateKey)
		} else {
			fmt.Fprintf(&b, "http://%s {\n\timport site\n}\n", addrs[m])
		}
	}
	return b.String()
}
