package token

import (
	"encoding/base64"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// base64url refuses set bits after the last byte, of which each pattern would be
// another spelling of the same token.
var base64url = base64.RawURLEncoding.Strict()

// A joseHeader is what we read of the header (RFC 7515 4.1). What it does not hold
// is ignored: jku, x5u, jwk and x5c would let the token choose its own key, and b64
// means something only together with crit (RFC 7797 6), which is refused.
type joseHeader struct {
	alg, kid, typ string
}

// parseHeader decodes the first part. It must be a strict JSON object: duplicate
// members, at any depth, and lone surrogates are [ErrMalformed], and names are
// compared byte by byte. Any crit is [ErrCritical]: no extension is understood here,
// and an empty list is forbidden (RFC 7515 4.1.11).
func parseHeader(encoded string) (joseHeader, error) {
	data, err := base64url.DecodeString(encoded)
	if err != nil {
		return joseHeader{}, errHeader
	}
	var members struct {
		Alg  jsontext.Value `json:"alg"`
		Kid  jsontext.Value `json:"kid"`
		Typ  jsontext.Value `json:"typ"`
		Crit jsontext.Value `json:"crit"`
	}
	if err := json.Unmarshal(data, &members); err != nil {
		return joseHeader{}, errHeader
	}
	if members.Crit != nil {
		return joseHeader{}, ErrCritical
	}
	var h joseHeader
	var ok bool
	if h.alg, ok = unquote(members.Alg); !ok || h.alg == "" {
		return joseHeader{}, errHeaderType
	}
	if h.kid, ok = unquote(members.Kid); !ok && members.Kid != nil {
		return joseHeader{}, errHeaderType
	}
	if h.typ, ok = unquote(members.Typ); !ok && members.Typ != nil {
		return joseHeader{}, errHeaderType
	}
	return h, nil
}

// unquote returns the text of a JSON string, ok only if the value is one.
func unquote(value jsontext.Value) (text string, ok bool) {
	if value.Kind() != jsontext.KindString {
		return "", false
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	return string(unquoted), err == nil
}
