package trust

import (
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/caddy-download-token/caddy-download-token/internal/jwks"
)

// identities name a set so that its other spellings have a name in common with
// it. They are never fetched: what they take for one and is two is only an error
// when the configuration is loaded.
func identities(location string) []string {
	if jwks.IsFile(location) {
		names := []string{filepath.Clean(location)}
		// Both, since where a link leads can change from one configuration to the next.
		if target, err := filepath.EvalSymlinks(location); err == nil {
			names = append(names, target)
		}
		return slices.Compact(names)
	}
	u, err := url.Parse(location)
	if err != nil {
		return []string{location}
	}
	name := u.Scheme + "://" + hostIdentity(u.Hostname())
	if port := u.Port(); port != "" && port != map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		name += ":" + port
	}
	name += path.Clean("/" + u.Path)
	if query := u.Query().Encode(); query != "" {
		name += "?" + query
	}
	return []string{name}
}

// hostIdentity is a host in lower case, as DNS has it, without the dot of the
// root, or an address in its usual form; all names of this machine are one.
func hostIdentity(host string) string {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return host
	case addr == netip.IPv6Loopback(), addr.Unmap() == netip.AddrFrom4([4]byte{127, 0, 0, 1}):
		return "localhost"
	}
	return addr.Unmap().String()
}
