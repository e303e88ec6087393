package redact

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Filter replaces every token in one field, for operators who have a filter encoder
// already. In an object or array, it looks into every value. [Encoder] needs no names of
// fields.
type Filter struct{}

// CaddyModule returns the Caddy module information.
func (*Filter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.filter.redact_jwt",
		New: func() caddy.Module { return new(Filter) },
	}
}

// UnmarshalCaddyfile sets up the filter from Caddyfile tokens:
//
//	redact_jwt
func (*Filter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name
	if d.NextArg() || d.NextBlock(0) {
		return d.ArgErr()
	}
	return nil
}

// Filter returns the field without tokens.
func (*Filter) Filter(in zapcore.Field) zapcore.Field {
	switch value := in.Interface.(type) {
	case nil:
		in.String = token.Redact(in.String)
		return in
	case []byte:
		if redacted := token.Redact(string(value)); redacted != string(value) {
			in.Interface = []byte(redacted)
		}
		return in
	}
	return redactObject(in)
}

// redactObject encodes what is not plain text, as the log would. The encoder of the log
// gets JSON if there was a token in it, and otherwise the field itself.
func redactObject(in zapcore.Field) zapcore.Field {
	const key = "v"
	named := in
	named.Key = key
	line, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{SkipLineEnding: true}).EncodeEntry(zapcore.Entry{}, []zapcore.Field{named})
	if err != nil {
		return zap.String(in.Key, token.Redacted) // what cannot be looked through
	}
	defer line.Free()
	text := line.String()
	redacted := token.Redact(text)
	if redacted == text {
		return in
	}
	var values map[string]json.RawMessage // an error may have written several
	if json.Unmarshal([]byte(redacted), &values) != nil {
		return zap.String(in.Key, token.Redacted)
	}
	return zap.Reflect(in.Key, values[key])
}

// Interface guards
var (
	_ logging.LogFieldFilter = (*Filter)(nil)
	_ caddyfile.Unmarshaler  = (*Filter)(nil)
)
