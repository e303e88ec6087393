// Package redact keeps tokens out of what Caddy logs. Whatever looks like a JSON Web
// Token is replaced by jwt: and its fingerprint, the one in the lines of download_token,
// so that a line of the access log and one of ours can be joined. What is found, and
// what is not, is written at [token.Redact].
package redact

import (
	"encoding/json"
	"fmt"
	"os"
	"unsafe"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func init() {
	caddy.RegisterModule(new(Encoder))
	caddy.RegisterModule(new(Filter))
}

// Encoder replaces every token in a whole line of a log: message, names and values of
// fields, at any depth. It has another encoder write the line, and looks through what
// that has written, so there is no field that it does not know.
//
// A line without a token stays as it is and costs no memory. A token that the wrapped
// encoder writes in another form than text, such as the base64 of a binary field, is not
// found; [Filter] finds it.
type Encoder struct {
	zapcore.Encoder `json:"-"`

	// The encoder that writes the lines. Default: json, or console if the output is a
	// terminal.
	WrappedRaw json.RawMessage `json:"wrap,omitempty" caddy:"namespace=caddy.logging.encoders inline_key=format"`

	ctx caddy.Context
}

// CaddyModule returns the Caddy module information.
func (*Encoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.redact_jwt",
		New: func() caddy.Module { return new(Encoder) },
	}
}

// UnmarshalCaddyfile sets up the encoder from Caddyfile tokens:
//
//	redact_jwt {
//	    wrap <encoder>
//	}
func (e *Encoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name
	if d.NextArg() {
		return d.Errf("redact_jwt: unexpected argument '%s'; write another encoder into a block, such as: wrap console", d.Val())
	}
	for d.NextBlock(0) {
		if d.Val() != "wrap" {
			return d.Errf("redact_jwt: unknown subdirective '%s'; write wrap and an encoder, such as: wrap console", d.Val())
		}
		if e.WrappedRaw != nil {
			return d.Err("redact_jwt: wrap is written twice; write it once")
		}
		if !d.NextArg() {
			return d.Err("redact_jwt: wrap names no encoder; write one, such as: wrap console")
		}
		name := d.Val()
		module, err := caddyfile.UnmarshalModule(d, "caddy.logging.encoders."+name)
		if err != nil {
			return err
		}
		e.WrappedRaw = caddyconfig.JSONModuleObject(module, "format", name, nil)
	}
	return nil
}

// Provision loads the wrapped encoder.
func (e *Encoder) Provision(ctx caddy.Context) error {
	e.ctx = ctx
	if e.WrappedRaw == nil {
		return e.use(new(logging.JSONEncoder))
	}
	module, err := ctx.LoadModule(e, "WrappedRaw")
	if err != nil {
		return fmt.Errorf("redact_jwt: wrap: %w", err)
	}
	wrapped, ok := module.(zapcore.Encoder)
	if !ok {
		return fmt.Errorf("redact_jwt: wrap: %T is not an encoder; write one, such as json or console", module)
	}
	e.Encoder = wrapped
	return nil
}

// use wraps an encoder that no configuration has named.
func (e *Encoder) use(wrapped interface {
	zapcore.Encoder
	caddy.Provisioner
}) error {
	e.Encoder = wrapped
	return wrapped.Provision(e.ctx)
}

// ConfigureDefaultFormat makes console the default if the writer is a terminal, as it
// is without this encoder.
func (e *Encoder) ConfigureDefaultFormat(writer caddy.WriterOpener) error {
	if wrapped, ok := e.Encoder.(caddy.ConfiguresFormatterDefault); ok {
		return wrapped.ConfigureDefaultFormat(writer)
	}
	if e.WrappedRaw == nil && caddy.IsWriterStandardStream(writer) && term.IsTerminal(int(os.Stderr.Fd())) {
		return e.use(new(logging.ConsoleEncoder))
	}
	return nil
}

// Clone returns an encoder to which fields can be added apart from this one.
func (e *Encoder) Clone() zapcore.Encoder { return &Encoder{Encoder: e.Encoder.Clone()} }

// EncodeEntry has the wrapped encoder write the line, and takes the tokens out of it.
func (e *Encoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line, err := e.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		return line, err
	}
	written := line.Bytes()
	text := unsafe.String(unsafe.SliceData(written), len(written)) //nolint:gosec // G103: no copy of each line; the buffer is written to only when text is done with
	if redacted := token.Redact(text); redacted != text {
		line.Reset()
		line.AppendString(redacted)
	}
	return line, nil
}

// Interface guards
var (
	_ zapcore.Encoder                  = (*Encoder)(nil)
	_ caddy.Provisioner                = (*Encoder)(nil)
	_ caddy.ConfiguresFormatterDefault = (*Encoder)(nil)
	_ caddyfile.Unmarshaler            = (*Encoder)(nil)
)
