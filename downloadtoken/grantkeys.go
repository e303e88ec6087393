package downloadtoken

import (
	"net/netip"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
)

// grantKeys are what the grants of a use of a token are found by. The zero value
// of each is none.
type grantKeys struct {
	resume rules.GrantKey // of the whole window of resume
	press  rules.GrantKey // of the seconds after the button was pressed
}

func (k grantKeys) list() (keys []rules.GrantKey) {
	for _, key := range [...]rules.GrantKey{k.resume, k.press} {
		if key != (rules.GrantKey{}) {
			keys = append(keys, key)
		}
	}
	return keys
}

// grantKeys pins the grants to the path as it was judged: behind handle_path, files
// of several folders have one r.URL.Path.
func (o *oneTime) grantKeys(spent rules.Key, v *visit, judged string) (k grantKeys) {
	if o.resume == nil && v.h.Confirm == nil {
		return k
	}
	network := networkOf(problem.ClientIP(v.r))
	if o.resume != nil {
		client := network
		if o.resume.Roam {
			client = ""
		}
		k.resume = rules.NewGrantKey(spent, judged, client, "")
	}
	v.page = rules.NewGrantKey(spent, judged, network, "")
	if v.press != "" && confirm.IsPress(v.press, v.page, v.judged) {
		k.press = rules.NewGrantKey(spent, judged, network, v.press)
	}
	return k
}

// networkOf is what stays the same of a client's address: all of IPv4, and the
// /64 of IPv6, in which clients change their address at will (RFC 8981).
func networkOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	network, _ := addr.Prefix(64) // always fits
	return network.String()
}
