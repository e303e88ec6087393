package downloadtoken

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// usesOf is how often the token may be used: as often as its claim says, but
// not more often than configured. A token without the claim may be used once.
func (o *oneTime) usesOf(claims *token.Claims) (int, error) {
	if o.usesClaim == "" {
		return o.uses, nil
	}
	value, ok := claims.Raw(o.usesClaim)
	if !ok {
		return 1, nil
	}
	n, err := strconv.ParseUint(string(value), 10, 32)
	if value.Kind() != jsontext.KindNumber || err != nil || n == 0 {
		return 0, fmt.Errorf("%w: %s is not a whole number of at least 1", token.ErrClaim, o.usesClaim)
	}
	return min(int(n), o.uses), nil
}
