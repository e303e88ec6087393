package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestForgedAddresses sends what clients can write into the fields of proxies, and
// what proxies make of it, to a token that is bound to 203.0.113.9.
func TestForgedAddresses(t *testing.T) {
	const bound, other = "203.0.113.9", "198.51.100.7"
	guard := `download_token {
		key HS256 "` + secret + `"
		scope any
		ip_claim ip
	}
	file_server`
	for name, tt := range map[string]struct {
		globals  string
		admitted map[string]string // X-Forwarded-For, with the claim
		refused  map[string]string
	}{
		"no trusted proxy": {"", map[string]string{bound: "127.0.0.1"}, map[string]string{bound: bound}},
		"strict": {"servers {\n\t\ttrusted_proxies static 127.0.0.1/32 10.0.0.0/8\n\t\ttrusted_proxies_strict\n\t}",
			map[string]string{
				bound: bound, other + ", " + bound: bound, bound + ", 10.1.2.3": bound, "::ffff:" + bound: bound, bound + ":4711": bound,
				"[fe80::9%25eth0]:1": "fe80::9", "garbage, " + bound: "203.0.113.0/24", "": "127.0.0.1", bound + ", garbage": bound,
			}, map[string]string{
				bound + ", " + other: bound, bound + "," + other + ",10.0.0.1": bound, "127.0.0.1, " + other: "127.0.0.1",
				"2001:db8::1": bound, bound + ",, " + other: bound, other: "::ffff:203.0.113.0/120",
			}},
		// What Caddy does by itself: the first address counts, which the client may
		// have written. The reference says so under ip_claim.
		"not strict": {"servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}",
			map[string]string{bound + ", " + other: bound}, map[string]string{other + ", " + bound: bound}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, map[string]string{"a.txt": "a"}, tt.globals, guard)
			ask := func(forwarded, claim string) answer {
				return s.get("/a.txt?download_token="+mint(t, claims{"ip": claim}), "X-Forwarded-For", forwarded, "Forwarded", "for="+bound,
					"X-Real-Ip", bound, "True-Client-Ip", bound, "Cf-Connecting-Ip", bound, "X-Client-Ip", bound)
			}
			for forwarded, claim := range tt.admitted {
				if a := ask(strings.ReplaceAll(forwarded, "%25", "%"), claim); a.StatusCode != http.StatusOK {
					t.Errorf("%q: %d, want 200", forwarded, a.StatusCode)
				}
			}
			for forwarded, claim := range tt.refused {
				if a := ask(forwarded, claim); a.StatusCode != http.StatusForbidden {
					t.Errorf("%q: %d, want 403", forwarded, a.StatusCode)
				}
			}
		})
	}
}

// TestForgedAddressOfAGrant asks for somebody else's grant.
func TestForgedAddressOfAGrant(t *testing.T) {
	config := strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tresume 1m\n\t\t}", 1)
	for name, tt := range map[string]struct {
		globals, owner, thief string
		status                int
	}{
		"no trusted proxy: everybody is the proxy": {"", "203.0.113.9", "198.51.100.7", http.StatusPartialContent},
		"strict": {"servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}",
			"203.0.113.9", "203.0.113.9, 198.51.100.7", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, map[string]string{"a.txt": strings.Repeat("a", 1000)}, tt.globals, config)
			token := once(t)
			s.get("/a.txt?download_token="+token, "X-Forwarded-For", tt.owner).want(t, http.StatusOK)
			s.get("/a.txt?download_token="+token, "X-Forwarded-For", tt.thief, "Range", "bytes=0-9").want(t, tt.status)
		})
	}
}
