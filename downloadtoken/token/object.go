package token

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a strict JSON object (RFC 8259, I-JSON of RFC 7493): valid UTF-8 without
// lone surrogates, and no name twice, at any depth. It keeps the text, and where its
// members are in it: most of them are never looked at. The zero value has none.
type object struct {
	text    string
	members []span
	few     [8]span // the room for so many members
}

// span is where a member is in the text of an object: its name as it is written,
// without the quotes, and its value. A token is shorter than 64 KiB.
type span struct{ name, nameEnd, value, valueEnd uint16 }

// reader is what it takes to read an object, used again and again.
type reader struct {
	decoded [MaxLength]byte
	buffer  bytes.Buffer
	decoder *jsontext.Decoder
}

var readers = sync.Pool{New: func() any {
	r := new(reader)
	r.decoder = jsontext.NewDecoder(&r.buffer)
	return r
}}

// parse reads an object in base64url. It is not ok if that is not valid, or not an
// object, or if something follows it.
func (o *object) parse(encoded string) (ok bool) {
	if len(encoded) > MaxLength {
		return false
	}
	r := readers.Get().(*reader)
	defer readers.Put(r)
	r.buffer.Reset()
	r.buffer.WriteString(encoded)
	n, err := base64url.Decode(r.decoded[:], r.buffer.Bytes())
	if err != nil {
		return false
	}
	r.buffer.Reset()
	r.buffer.Write(r.decoded[:n])
	o.text = string(r.decoded[:n])
	o.members = o.few[:0]
	d := r.decoder
	d.Reset(&r.buffer)
	if token, err := d.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return false
	}
	for d.PeekKind() == jsontext.KindString {
		var at span
		name, err := d.ReadValue()
		if err != nil {
			return false
		}
		end := d.InputOffset()
		at.name, at.nameEnd = uint16(end-int64(len(name))+1), uint16(end-1)
		value, err := d.ReadValue()
		if err != nil {
			return false
		}
		end = d.InputOffset()
		at.value, at.valueEnd = uint16(end-int64(len(value))), uint16(end)
		o.members = append(o.members, at)
	}
	if token, err := d.ReadToken(); err != nil || token.Kind() != jsontext.KindEndObject {
		return false
	}
	_, err = d.ReadToken()
	return err == io.EOF
}

// member returns the value of a member as it is written.
func (o *object) member(name string) (value string, ok bool) {
	for _, at := range o.members {
		written := o.text[at.name:at.nameEnd]
		if written == name && !strings.Contains(name, `\`) || strings.Contains(written, `\`) && unquoted(written) == name {
			return o.text[at.value:at.valueEnd], true
		}
	}
	return "", false
}

// textOf is the text of a JSON string, ok only if the value is one.
func textOf(value string) (text string, ok bool) {
	if !isString(value) {
		return "", false
	}
	text = value[1 : len(value)-1]
	if strings.Contains(text, `\`) {
		text = unquoted(text)
	}
	return text, true
}

// unquoted is the text of a JSON string that has been found valid, from between its
// quotes.
func unquoted(written string) string {
	text, err := jsontext.AppendUnquote(nil, []byte(`"`+written+`"`))
	if err != nil {
		return ""
	}
	return string(text)
}

func isString(value string) bool { return value != "" && value[0] == '"' }

func isNumber(value string) bool {
	return value != "" && (value[0] == '-' || '0' <= value[0] && value[0] <= '9')
}
